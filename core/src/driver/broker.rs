//! A broker in memory: topics, one consumer group with one member or several, transactions, and
//! faults at any step.
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
    /// The consumer is moved.
    Seek,
    /// A partition is paused.
    Pause,
    /// A partition is resumed.
    Resume,
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
    /// One partition, the `n`th of those that are ours, is revoked and assigned again, or assigned
    /// to another member where there is one.
    RevokeOne(usize),
    /// One partition is lost, and is assigned again or to another member.
    LoseOne(usize),
    /// So many of the next seeks are refused.
    RefuseSeeks(u32),
    /// So many of the next calls that pause or resume are refused.
    RefusePauses(u32),
    /// The table's stores come no further for so many turns.
    LateStores(u32),
}

#[derive(Debug, Default)]
struct OpenTransaction {
    records: Vec<(TopicPartition, MessageBody)>,
    offsets: Offsets,
    notes: Notes,
}

/// One member of the group, and its producer.
#[derive(Debug, Default)]
pub(super) struct Member {
    positions: BTreeMap<TopicPartition, i64>,
    paused: Vec<TopicPartition>,
    events: VecDeque<Event>,
    transaction: Option<OpenTransaction>,
    epoch: u64,
    /// It has lost something and does not know yet: the group refuses its offsets.
    stale: bool,
    refused_seeks: u32,
    refused_pauses: u32,
    pub(super) late_stores: u32,
    pub(super) crashed: bool,
    pub(super) alive: bool,
}

#[derive(Debug, Default)]
pub(super) struct Broker {
    logs: BTreeMap<TopicPartition, Vec<MessageBody>>,
    pub(super) committed: BTreeMap<TopicPartition, i64>,
    notes: BTreeMap<TopicPartition, String>,
    subscribed: Vec<String>,
    pub(super) members: Vec<Member>,
    /// Who has a partition, and to whom it goes once that one has given it up.
    owners: BTreeMap<TopicPartition, (usize, Option<usize>)>,
    faults: Vec<(Step, u64, Fault)>,
    /// Faults by the number of the step, of whatever kind.
    pub(super) schedule: Vec<(u64, Fault)>,
    pub(super) clock: u64,
    steps: BTreeMap<Step, u64>,
    /// What the loop notes of itself, and at each serving of the group whether it said that an app
    /// function was running.
    pub(super) pulse: Option<Arc<Pulse>>,
    pub(super) in_function: Vec<bool>,
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

    /// A process starts: a new member of the group. It gets the partitions that nobody has.
    pub(super) fn start(&mut self, me: usize, topics: &[String]) {
        self.subscribed = topics.to_vec();
        while self.members.len() <= me {
            self.members.push(Member::default());
        }
        self.leave(me);
        let epoch = self.members[me].epoch;
        self.members[me] = Member { epoch, alive: true, ..Member::default() };
        let owners = &self.owners;
        let free: Vec<_> =
            self.inputs().into_iter().filter(|at| !owners.contains_key(at)).collect();
        free.iter().for_each(|at| _ = self.owners.insert(*at, (me, None)));
        self.members[me].events.push_back(Event::Assigned(free));
    }

    /// A process is gone: its transaction is aborted and what it had goes to who is left.
    pub(super) fn leave(&mut self, me: usize) {
        let member = &mut self.members[me];
        member.alive = false;
        member.transaction = None;
        let had = |(at, (owner, to)): (&TopicPartition, &(usize, Option<usize>))| {
            (*owner == me).then_some((*at, *to))
        };
        let had: Vec<_> = self.owners.iter().filter_map(had).collect();
        for (at, to) in had {
            self.hand_on(at, to);
        }
    }

    /// Assigns a partition that its owner has given up.
    fn hand_on(&mut self, at: TopicPartition, to: Option<usize>) {
        let alive = |member: &usize| self.members[*member].alive;
        let to = to.filter(alive).or_else(|| (0..self.members.len()).find(alive));
        let Some(to) = to else {
            self.owners.remove(&at);
            return;
        };
        self.owners.insert(at, (to, None));
        self.members[to].events.push_back(Event::Assigned(vec![at]));
    }

    fn inputs(&self) -> Vec<TopicPartition> {
        let ours = |at: &&TopicPartition| self.subscribed.iter().any(|t| t == at.topic.name());
        self.logs.keys().filter(ours).copied().collect()
    }

    /// The partitions of a member that nobody asks back yet.
    fn held_by(&self, me: usize) -> Vec<TopicPartition> {
        let held = self.owners.iter().filter(|(_, owner)| **owner == (me, None));
        held.map(|(at, _)| *at).collect()
    }

    /// Says whether there is nothing left to fetch or tell.
    pub(super) fn drained(&self) -> bool {
        (0..self.members.len()).all(|me| self.is_drained(me))
    }

    fn is_drained(&self, me: usize) -> bool {
        let end = |at: &TopicPartition| self.logs.get(at).map_or(0, |log| log.len() as i64);
        let member = &self.members[me];
        !member.alive
            || (member.events.is_empty()
                && member.positions.iter().all(|(at, next)| *next >= end(at)))
    }

    /// Counts a step and answers the fault that is due at it, carrying out what concerns the broker
    /// itself.
    fn step(&mut self, me: usize, step: Step) -> Option<Fault> {
        if self.members[me].crashed {
            return Some(Fault::Crash);
        }
        let count = self.steps.entry(step).or_default();
        *count += 1;
        self.clock += 1;
        let (count, clock) = (*count, self.clock);
        let due = self.faults.iter().position(|(s, nth, _)| *s == step && *nth == count);
        let fault = match due {
            Some(due) => self.faults.swap_remove(due).2,
            None => self.schedule.iter().find(|(at, _)| *at == clock)?.1,
        };
        self.carry_out(me, fault);
        Some(fault)
    }

    fn carry_out(&mut self, me: usize, fault: Fault) {
        let member = &mut self.members[me];
        match fault {
            Fault::Fence => {
                member.epoch += 1;
                member.transaction = None;
            }
            Fault::Rebalance => {
                let held = self.held_by(me);
                self.take_back(me, held);
            }
            Fault::Lose => {
                let held = self.held_by(me);
                self.lose(me, held);
            }
            Fault::RevokeOne(n) => {
                let held = self.held_by(me);
                self.take_back(me, held.into_iter().skip(n).take(1).collect());
            }
            Fault::LoseOne(n) => {
                let held = self.held_by(me);
                self.lose(me, held.into_iter().skip(n).take(1).collect());
            }
            Fault::RefuseSeeks(times) => member.refused_seeks = times,
            Fault::RefusePauses(times) => member.refused_pauses = times,
            Fault::LateStores(turns) => member.late_stores = turns,
            Fault::Crash => {
                member.crashed = true;
                self.leave(me);
            }
            Fault::Abort | Fault::Timeout | Fault::Fatal => {}
        }
    }

    /// Asks partitions back: they go to the next member, or to the same one again.
    fn take_back(&mut self, me: usize, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        for at in &partitions {
            self.owners.insert(*at, (me, Some(self.next_member(me))));
        }
        self.members[me].events.push_back(Event::Revoked(partitions));
    }

    /// Takes partitions away without asking.
    fn lose(&mut self, me: usize, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        let to = self.next_member(me);
        self.members[me].stale = true;
        self.members[me].events.push_back(Event::Lost(partitions.clone()));
        partitions.into_iter().for_each(|at| self.hand_on(at, Some(to)));
    }

    fn next_member(&self, me: usize) -> usize {
        let members = self.members.len();
        (1..=members).map(|n| (me + n) % members).find(|to| self.members[*to].alive).unwrap_or(me)
    }

    fn accepted(&mut self, me: usize, event: &Event, starts: &Offsets) {
        match event {
            Event::Assigned(_) => {
                let positions = &mut self.members[me].positions;
                starts.iter().for_each(|(at, start)| _ = positions.insert(at, start));
            }
            Event::Revoked(partitions) => {
                self.members[me].positions.retain(|at, _| !partitions.contains(at));
                for at in partitions {
                    if let Some((owner, to)) = self.owners.get(at).copied()
                        && owner == me
                    {
                        self.hand_on(*at, to);
                    }
                }
            }
            Event::Lost(partitions) => {
                self.members[me].stale = false;
                self.members[me].positions.retain(|at, _| !partitions.contains(at));
            }
            _ => {}
        }
    }
}

/// The producer's side.
pub(super) struct MemorySink {
    broker: Rc<RefCell<Broker>>,
    me: usize,
    epoch: u64,
    alive: bool,
}

impl MemorySink {
    pub(super) fn new(broker: &Rc<RefCell<Broker>>, me: usize) -> Self {
        Self { broker: Rc::clone(broker), me, epoch: 0, alive: false }
    }

    fn step(&mut self, step: Step) -> Result<(), SinkError> {
        let fault = self.broker.borrow_mut().step(self.me, step);
        let failed = |class, text: &str| Err(SinkError { class, text: text.to_owned() });
        match fault {
            Some(Fault::Abort) => return failed(Class::Abortable, "injected: abort"),
            Some(Fault::Timeout) => return failed(Class::Retriable, "injected: no answer"),
            Some(Fault::Fatal | Fault::Crash) => {
                self.alive = false;
                return failed(Class::Fatal, "injected: the producer is dead");
            }
            _ => {}
        }
        if step != Step::InitProducer && self.epoch != self.broker.borrow().members[self.me].epoch {
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
        let member = &mut broker.members[self.me];
        member.epoch += 1;
        member.transaction = None;
        (self.epoch, self.alive) = (member.epoch, true);
        Ok(())
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        self.step(Step::Begin)?;
        self.broker.borrow_mut().members[self.me].transaction = Some(OpenTransaction::default());
        Ok(())
    }

    fn send_offsets(&mut self, offsets: &Offsets, notes: &Notes) -> Result<(), SinkError> {
        self.step(Step::SendOffsets)?;
        let member = &mut self.broker.borrow_mut().members[self.me];
        if member.stale {
            let text = "the group's generation is over".to_owned();
            return Err(SinkError { class: Class::Abortable, text });
        }
        if let Some(open) = &mut member.transaction {
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
        if let Some(open) = &mut self.broker.borrow_mut().members[self.me].transaction {
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
            if let Some(open) = broker.members[self.me].transaction.take() {
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
        broker.members[self.me].transaction = None;
        broker.aborts += 1;
        Ok(())
    }
}

/// The consumer's side.
pub(super) struct MemorySource {
    pub(super) broker: Rc<RefCell<Broker>>,
    pub(super) me: usize,
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
        if broker.step(self.me, Step::Serve) == Some(Fault::Crash) {
            return Some(Event::Fatal("injected: crash".into()));
        }
        broker.members[self.me].events.pop_front()
    }

    fn fetch(&mut self, inbox: &mut VecDeque<Message>, wait: Duration) -> bool {
        let before = inbox.len();
        let mut broker = self.broker.borrow_mut();
        if broker.step(self.me, Step::Fetch) == Some(Fault::Crash) {
            return false;
        }
        let Broker { logs, members, .. } = &mut *broker;
        let Member { positions, paused, .. } = &mut members[self.me];
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
        self.broker.borrow_mut().accepted(self.me, event, starts);
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
        let broker = self.broker.borrow();
        broker.notes.iter().map(|(at, note)| (*at, note.clone())).collect()
    }

    fn reset_offset(&mut self, at: TopicPartition, _: Duration) -> Result<i64, SourceError> {
        let end = self.broker.borrow().logs.get(&at).map_or(0, |log| log.len() as i64);
        Ok(if self.latest { end } else { 0 })
    }

    fn seek(&mut self, to: &Offsets) -> Result<(), SourceError> {
        let mut broker = self.broker.borrow_mut();
        broker.step(self.me, Step::Seek);
        let member = &mut broker.members[self.me];
        refuse(&mut member.refused_seeks, "seek")?;
        for (at, offset) in to.iter() {
            match member.positions.get_mut(&at) {
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
        let mut broker = self.broker.borrow_mut();
        broker.step(self.me, Step::Pause);
        let member = &mut broker.members[self.me];
        refuse(&mut member.refused_pauses, "pause")?;
        member.paused.push(at);
        Ok(())
    }

    fn resume(&mut self, at: TopicPartition) -> Result<(), SourceError> {
        let mut broker = self.broker.borrow_mut();
        broker.step(self.me, Step::Resume);
        let member = &mut broker.members[self.me];
        refuse(&mut member.refused_pauses, "resume")?;
        member.paused.retain(|known| *known != at);
        Ok(())
    }

    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }

    fn close(&mut self) {}
}

fn refuse(left: &mut u32, step: &'static str) -> Result<(), SourceError> {
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    Err(SourceError { step, text: "injected: refused".into(), permanent: false })
}
