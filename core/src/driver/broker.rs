//! A broker in memory: topics, one consumer group with one member, transactions, and faults at any
//! step.
//!
//! It keeps Kafka's rules as far as the loop can notice them: records of an open transaction are
//! not read, an abort drops them, offsets become visible with the records, a newer producer fences
//! the older one and ends its transaction. It proves the app function and the loop's logic, and
//! nothing about a real broker.

use crate::headers::Header;
use crate::kafka::{Class, Event, Sent, Sink, SinkError, Source, SourceError, Waker};
use crate::liveness::Pulse;
use crate::message::{Message, MessageBody};
use crate::topic::{Notes, Offsets, TopicPartition};
use crate::transaction::Batch;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A step at which a fault can be injected. Each counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A new producer asks for its id.
    InitProducer,
    /// A transaction begins.
    Begin,
    /// Offsets are added to it.
    SendOffsets,
    /// A record is added to it.
    Send,
    /// It is to be committed; the fault comes before that takes effect.
    Commit,
    /// It has been committed; the fault is that the answer is lost.
    Committed,
    /// It is to be aborted.
    Abort,
    /// The group is served.
    Serve,
    /// Messages are fetched.
    Fetch,
}

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call asks for an abort (a failed record, a stale group generation).
    Abort,
    /// No answer in time.
    Timeout,
    /// Another producer takes the `transactional.id` over.
    Fence,
    /// The producer dies.
    Fatal,
    /// The partitions are revoked and assigned again.
    Rebalance,
    /// The partitions are lost and assigned again: nothing in hand may be committed.
    Lose,
    /// The process dies; nothing more of it reaches the broker.
    Crash,
}

#[derive(Debug, Default)]
struct OpenTransaction {
    records: Vec<(TopicPartition, MessageBody)>,
    offsets: Offsets,
    notes: Notes,
}

#[derive(Debug, Default)]
pub(super) struct Broker {
    logs: BTreeMap<TopicPartition, Vec<MessageBody>>,
    pub(super) committed: BTreeMap<TopicPartition, i64>,
    notes: BTreeMap<TopicPartition, String>,
    subscribed: Vec<String>,
    positions: BTreeMap<TopicPartition, i64>,
    paused: Vec<TopicPartition>,
    events: VecDeque<Event>,
    transaction: Option<OpenTransaction>,
    epoch: u64,
    faults: Vec<(Step, u64, Fault)>,
    steps: BTreeMap<Step, u64>,
    /// What the loop notes of itself, and at each serving of the group whether it said that an app
    /// function was running.
    pub(super) pulse: Option<Arc<Pulse>>,
    pub(super) in_function: Vec<bool>,
    pub(super) crashed: bool,
    pub(super) transactions: u64,
    pub(super) aborts: u64,
}

impl Broker {
    pub(super) fn create(&mut self, topic: &str, partitions: i32) {
        for partition in 0..partitions {
            self.logs.entry(TopicPartition::new(topic, partition)).or_default();
        }
    }

    /// How many partitions a topic has.
    pub(super) fn count(&self, topic: &str) -> i32 {
        let of_topic = self.logs.keys().filter(|at| at.topic.name() == topic);
        i32::try_from(of_topic.count()).unwrap_or(i32::MAX)
    }

    pub(super) fn records(&self, at: TopicPartition) -> &[MessageBody] {
        self.logs.get(&at).map_or(&[], Vec::as_slice)
    }

    pub(super) fn end(&self, at: TopicPartition) -> i64 {
        self.records(at).len() as i64
    }

    pub(super) fn append(&mut self, at: TopicPartition, body: MessageBody) -> i64 {
        let log = self.logs.entry(at).or_default();
        log.push(body);
        log.len() as i64 - 1
    }

    pub(super) fn log(&self, topic: &str) -> impl Iterator<Item = (TopicPartition, &MessageBody)> {
        let of_topic = self.logs.iter().filter(move |(at, _)| at.topic.name() == topic);
        of_topic.flat_map(|(at, log)| log.iter().map(|body| (*at, body)))
    }

    pub(super) fn inject(&mut self, step: Step, nth: u64, fault: Fault) {
        self.faults.push((step, self.steps.get(&step).unwrap_or(&0) + nth, fault));
    }

    /// A process starts: a new member of the group, which gets all partitions.
    pub(super) fn start(&mut self, topics: &[String]) {
        self.crashed = false;
        self.subscribed = topics.to_vec();
        self.positions.clear();
        self.paused.clear();
        self.events = VecDeque::from([Event::Assigned(self.inputs())]);
    }

    fn inputs(&self) -> Vec<TopicPartition> {
        let ours = |at: &&TopicPartition| self.subscribed.iter().any(|t| t == at.topic.name());
        self.logs.keys().filter(ours).copied().collect()
    }

    /// Says whether there is nothing left to fetch or tell.
    pub(super) fn drained(&self) -> bool {
        self.events.is_empty() && self.positions.iter().all(|(at, next)| *next >= self.end(*at))
    }

    /// Counts a step and answers the fault that is due at it, carrying out what concerns the broker
    /// itself.
    fn step(&mut self, step: Step) -> Option<Fault> {
        if self.crashed {
            return Some(Fault::Crash);
        }
        let count = self.steps.entry(step).or_default();
        *count += 1;
        let count = *count;
        let due = self.faults.iter().position(|(s, nth, _)| *s == step && *nth == count)?;
        let (_, _, fault) = self.faults.swap_remove(due);
        match fault {
            Fault::Fence => {
                self.epoch += 1;
                self.transaction = None;
            }
            Fault::Rebalance => {
                let inputs = self.inputs();
                self.events.push_back(Event::Revoked(inputs.clone()));
                self.events.push_back(Event::Assigned(inputs));
            }
            Fault::Lose => {
                let inputs = self.inputs();
                self.events.push_back(Event::Lost(inputs.clone()));
                self.events.push_back(Event::Assigned(inputs));
            }
            Fault::Crash => self.crashed = true,
            Fault::Abort | Fault::Timeout | Fault::Fatal => {}
        }
        Some(fault)
    }
}

/// The producer's side.
pub(super) struct MemorySink {
    broker: Rc<RefCell<Broker>>,
    epoch: u64,
    alive: bool,
}

impl MemorySink {
    pub(super) fn new(broker: &Rc<RefCell<Broker>>) -> Self {
        Self { broker: Rc::clone(broker), epoch: 0, alive: false }
    }

    fn step(&mut self, step: Step) -> Result<(), SinkError> {
        let fault = self.broker.borrow_mut().step(step);
        let failed = |class, text: &str| Err(SinkError { class, text: text.to_owned() });
        match fault {
            Some(Fault::Abort) => return failed(Class::Abortable, "injected: abort"),
            Some(Fault::Timeout) => return failed(Class::Retriable, "injected: no answer"),
            Some(Fault::Fatal | Fault::Crash) => {
                self.alive = false;
                return failed(Class::Fatal, "injected: the producer is dead");
            }
            Some(Fault::Fence | Fault::Rebalance | Fault::Lose) | None => {}
        }
        if step != Step::InitProducer && self.epoch != self.broker.borrow().epoch {
            return failed(Class::Fenced, "a newer producer has this transactional.id");
        }
        if step != Step::InitProducer && !self.alive {
            return failed(Class::Fatal, "this producer is dead");
        }
        Ok(())
    }
}

impl Sink for MemorySink {
    fn init(&mut self) -> Result<(), SinkError> {
        self.step(Step::InitProducer)?;
        let mut broker = self.broker.borrow_mut();
        broker.epoch += 1;
        broker.transaction = None;
        (self.epoch, self.alive) = (broker.epoch, true);
        Ok(())
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        self.step(Step::Begin)?;
        self.broker.borrow_mut().transaction = Some(OpenTransaction::default());
        Ok(())
    }

    fn send_offsets(&mut self, offsets: &Offsets, notes: &Notes) -> Result<(), SinkError> {
        self.step(Step::SendOffsets)?;
        if let Some(open) = &mut self.broker.borrow_mut().transaction {
            offsets.iter().for_each(|(at, next)| open.offsets.set(at, next));
            open.notes.extend(notes.iter().cloned());
        }
        Ok(())
    }

    fn send(&mut self, batch: &mut Batch, index: usize) -> Result<Sent, SinkError> {
        self.step(Step::Send)?;
        let headers = batch.records[index].take_headers();
        let record = &batch.records[index];
        let (key, value) = batch.bytes(record);
        let body = MessageBody {
            key: key.map(Vec::from),
            value: value.map(Vec::from),
            headers: headers
                .iter()
                .map(|(name, value)| Header { name: name.into(), value: value.map(Vec::from) })
                .collect(),
            timestamp: (record.timestamp > 0).then_some(record.timestamp),
        };
        let at = TopicPartition { topic: record.topic, partition: record.partition.max(0) };
        if let Some(open) = &mut self.broker.borrow_mut().transaction {
            open.records.push((at, body));
        }
        Ok(Sent::Queued)
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        // A repeated commit finds the transaction gone if the first request arrived: it is
        // confirmed then.
        self.step(Step::Commit)?;
        {
            let mut broker = self.broker.borrow_mut();
            if let Some(open) = broker.transaction.take() {
                for (at, body) in open.records {
                    broker.append(at, body);
                }
                for (at, next) in open.offsets.iter() {
                    broker.committed.insert(at, next);
                    broker.notes.remove(&at);
                }
                broker.notes.extend(open.notes);
                broker.transactions += 1;
            }
        }
        self.step(Step::Committed)
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        self.step(Step::Abort)?;
        let mut broker = self.broker.borrow_mut();
        broker.transaction = None;
        broker.aborts += 1;
        Ok(())
    }
}

/// The consumer's side.
pub(super) struct MemorySource {
    pub(super) broker: Rc<RefCell<Broker>>,
    pub(super) latest: bool,
}

impl Source for MemorySource {
    fn subscribe(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn serve(&mut self) -> Option<Event> {
        let mut broker = self.broker.borrow_mut();
        if let Some(pulse) = &broker.pulse {
            let busy = pulse.snapshot().app_since.is_some();
            broker.in_function.push(busy);
        }
        if broker.step(Step::Serve) == Some(Fault::Crash) {
            return Some(Event::Fatal("injected: crash".into()));
        }
        broker.events.pop_front()
    }

    fn fetch(&mut self, inbox: &mut VecDeque<Message>, wait: Duration) -> bool {
        let before = inbox.len();
        let mut broker = self.broker.borrow_mut();
        if broker.step(Step::Fetch) == Some(Fault::Crash) {
            return false;
        }
        let Broker { logs, positions, paused, .. } = &mut *broker;
        for (at, next) in positions.iter_mut().filter(|(at, _)| !paused.contains(at)) {
            let log = logs.get(at).map_or(&[][..], Vec::as_slice);
            let from = usize::try_from(*next).unwrap_or(0).min(log.len());
            for (offset, body) in log.iter().enumerate().skip(from) {
                inbox.push_back(Message::owned(*at, offset as i64, body.clone()));
            }
            *next = log.len() as i64;
        }
        if inbox.len() == before {
            // Nothing comes meanwhile: a part of the wait is enough to let time pass.
            std::thread::sleep(wait.min(Duration::from_millis(1)));
        }
        false
    }

    fn accept(&mut self, event: &Event, starts: &Offsets) -> Result<(), SourceError> {
        let mut broker = self.broker.borrow_mut();
        match event {
            Event::Assigned(_) => starts.iter().for_each(|(at, start)| {
                broker.positions.insert(at, start);
            }),
            Event::Revoked(partitions) | Event::Lost(partitions) => {
                broker.positions.retain(|at, _| !partitions.contains(at));
            }
            Event::Partition { .. } | Event::Trouble(_) | Event::Fatal(_) => {}
        }
        Ok(())
    }

    fn committed(
        &mut self,
        partitions: &[TopicPartition],
        _: Duration,
    ) -> Result<Offsets, SourceError> {
        let broker = self.broker.borrow();
        let found = |at: &TopicPartition| broker.committed.get(at).map(|offset| (*at, *offset));
        Ok(partitions.iter().filter_map(found).collect())
    }

    fn notes(&mut self) -> Notes {
        self.broker.borrow().notes.iter().map(|(at, note)| (*at, note.clone())).collect()
    }

    fn reset_offset(&mut self, at: TopicPartition, _: Duration) -> Result<i64, SourceError> {
        Ok(if self.latest { self.broker.borrow().end(at) } else { 0 })
    }

    fn watermarks(&mut self, at: TopicPartition, _: Duration) -> Result<(i64, i64), SourceError> {
        Ok((0, self.broker.borrow().end(at)))
    }

    fn seek(&mut self, to: &Offsets) -> Result<(), SourceError> {
        let mut broker = self.broker.borrow_mut();
        for (at, offset) in to.iter() {
            match broker.positions.get_mut(&at) {
                Some(next) => *next = offset,
                None => {
                    let text = format!("{at} not assigned");
                    return Err(SourceError { step: "seek", text, permanent: false });
                }
            }
        }
        Ok(())
    }

    fn pause(&mut self, at: TopicPartition) -> Result<(), SourceError> {
        self.broker.borrow_mut().paused.push(at);
        Ok(())
    }

    fn resume(&mut self, at: TopicPartition) -> Result<(), SourceError> {
        self.broker.borrow_mut().paused.retain(|known| *known != at);
        Ok(())
    }

    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }

    fn close(&mut self) {}
}
