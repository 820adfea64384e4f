//! A broker in memory: topics, one consumer group with one member or several, transactions, and
//! faults at any step.
//!
//! It keeps Kafka's rules as far as the loop can notice them: records of an open transaction are
//! not read, an abort drops them, offsets become visible with the records, a newer producer fences
//! the older one and ends its transaction. It proves the app function and the loop's logic, and
//! nothing about a real broker.

use super::{Fault, Step};
use crate::kafka::{Class, Event, Sent, Sink, SinkError};
use crate::liveness::Pulse;
use crate::transaction::Batch;
use nubium_kafka::headers::Header;
use nubium_kafka::message::MessageBody;
use nubium_topic::{Notes, Offsets, TopicPartition};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

#[derive(Debug, Default)]
pub(super) struct OpenTransaction {
    records: Vec<(TopicPartition, MessageBody)>,
    offsets: Offsets,
    notes: Notes,
}

/// One member of the group, and its producer.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) positions: BTreeMap<TopicPartition, i64>,
    pub(super) paused: Vec<TopicPartition>,
    /// What is not fetched before a seek: its position is out of range.
    pub(super) halted: Vec<TopicPartition>,
    pub(super) events: VecDeque<Event>,
    pub(super) transaction: Option<OpenTransaction>,
    pub(super) epoch: u64,
    /// It has lost something and does not know yet: the group refuses its offsets.
    pub(super) stale: bool,
    pub(super) refused_seeks: u32,
    pub(super) refused_pauses: u32,
    pub(super) late_stores: u32,
    pub(super) crashed: bool,
    pub(super) alive: bool,
}

#[derive(Debug, Default)]
pub(super) struct Broker {
    pub(super) logs: BTreeMap<TopicPartition, Vec<MessageBody>>,
    /// The first offset that retention has left, where it is not 0.
    pub(super) firsts: BTreeMap<TopicPartition, i64>,
    pub(super) committed: BTreeMap<TopicPartition, i64>,
    pub(super) notes: BTreeMap<TopicPartition, String>,
    pub(super) subscribed: Vec<String>,
    pub(super) members: Vec<Member>,
    /// Who has a partition, and to whom it goes once that one has given it up.
    pub(super) owners: BTreeMap<TopicPartition, (usize, Option<usize>)>,
    pub(super) faults: Vec<(Step, u64, Fault)>,
    /// Faults by the number of the step, of whatever kind.
    pub(super) schedule: Vec<(u64, Fault)>,
    pub(super) clock: u64,
    /// A look for messages that finds none lets no time pass.
    pub(super) timeless: bool,
    pub(super) steps: BTreeMap<Step, u64>,
    /// What the loop notes of itself, and at each serving of the group whether it said that an app
    /// function was running.
    pub(super) pulse: Option<Arc<Pulse>>,
    pub(super) in_function: Vec<bool>,
    /// How many units a test's function has counted, and how many at each serving.
    pub(super) units: Option<Arc<AtomicUsize>>,
    pub(super) served: Vec<usize>,
    pub(super) transactions: u64,
    pub(super) aborts: u64,
    /// What it refuses, by topic and record.
    pub(super) refuses: Option<Refuses>,
}

/// Says whether a record is refused.
pub(super) type Refuses = fn(&str, &MessageBody) -> bool;

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

    /// Where a log begins.
    pub(super) fn first(&self, at: TopicPartition) -> i64 {
        self.firsts.get(&at).copied().unwrap_or(0)
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

    /// Forgets all but the topics and what is in them, and begins with these faults.
    #[cfg(test)]
    pub(super) fn begin_anew(&self, schedule: &[(u64, Fault)]) -> Self {
        let (logs, schedule, refuses) = (self.logs.clone(), schedule.to_vec(), self.refuses);
        Self { logs, schedule, refuses, timeless: true, ..Self::default() }
    }

    /// Says whether there is nothing left to fetch or tell.
    pub(super) fn drained(&self) -> bool {
        (0..self.members.len()).all(|me| self.is_drained(me))
    }

    fn is_drained(&self, me: usize) -> bool {
        let end = |at: &TopicPartition| self.logs.get(at).map_or(0, |log| log.len() as i64);
        let member = &self.members[me];
        // Who crashed is not idle: it has yet to notice.
        !member.crashed
            && (member.events.is_empty()
                && member.positions.iter().all(|(at, next)| *next >= end(at)))
    }

    /// Counts a step and answers the fault that is due at it, carrying out what concerns the broker
    /// itself.
    pub(super) fn step(&mut self, me: usize, step: Step) -> Option<Fault> {
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
            Fault::Retention(count) => {
                for at in self.inputs() {
                    let end = self.end(at);
                    let first = self.firsts.entry(at).or_default();
                    *first = (*first + i64::from(count)).min(end);
                }
            }
            Fault::Crash => {
                member.crashed = true;
                self.leave(me);
            }
            Fault::Abort | Fault::Timeout | Fault::Fatal => {}
        }
    }
}

/// The producer's side.
pub(super) struct MemorySink {
    broker: Rc<RefCell<Broker>>,
    me: usize,
    epoch: u64,
    alive: bool,
    /// The records of the transaction by their index, up to what was answered last.
    sent: Vec<(usize, bool)>,
    refused: Option<usize>,
}

impl MemorySink {
    pub(super) fn new(broker: &Rc<RefCell<Broker>>, me: usize) -> Self {
        let (sent, refused) = (Vec::new(), None);
        Self { broker: Rc::clone(broker), me, epoch: 0, alive: false, sent, refused }
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
        self.sent.clear();
        self.refused = None;
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
        let refuses = self.broker.borrow().refuses;
        self.sent.push((index, refuses.is_some_and(|refuses| refuses(at.topic.name(), &body))));
        if let Some(open) = &mut self.broker.borrow_mut().members[self.me].transaction {
            open.records.push((at, body));
        }
        Ok(Sent::Queued)
    }

    fn settle(&mut self) -> Result<(), SinkError> {
        // What is sent together is refused together, as a broker does.
        let refused = self.sent.iter().any(|(_, refused)| *refused);
        let first = self.sent.first().map(|(index, _)| *index);
        self.sent.clear();
        if !refused {
            return Ok(());
        }
        self.refused = first;
        Err(SinkError { class: Class::Abortable, text: "the broker refuses a record".into() })
    }

    fn refused(&self) -> Option<usize> {
        self.refused
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        self.settle()?;
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
