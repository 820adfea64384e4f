//! A broker in memory: topics, one consumer group with one member or several, transactions, and
//! faults at any step.
//!
//! It keeps Kafka's rules as far as the loop can notice them: records of an open transaction are
//! not read, an abort drops them, offsets become visible with the records, a newer producer fences
//! the older one and ends its transaction. It proves the app function and the loop's logic, and
//! nothing about a real broker.

use super::{Fault, Step};
use crate::kafka::Event;
use crate::liveness::Pulse;
use nubium_kafka::message::MessageBody;
use nubium_topic::{Notes, Offsets, TopicPartition};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

#[derive(Debug, Default)]
pub(super) struct OpenTransaction {
    pub(super) records: Vec<(TopicPartition, MessageBody)>,
    pub(super) offsets: Offsets,
    pub(super) notes: Notes,
}

/// A request of a producer's epoch that is still on its way.
#[derive(Debug)]
pub(super) enum Late {
    Offsets(Offsets),
    End { commit: bool },
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
    pub(super) late: Vec<(u64, Late)>,
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
            Fault::Abort | Fault::Timeout | Fault::Fatal | Fault::BrokenConnection => {}
        }
    }
}

impl Broker {
    pub(super) fn end_transaction(&mut self, me: usize, commit: bool) {
        let open = self.members[me].transaction.take();
        if !commit {
            self.aborts += 1;
        } else if let Some(open) = open {
            for (at, body) in open.records {
                self.append(at, body);
            }
            for (at, next) in open.offsets.iter() {
                self.committed.insert(at, next);
                self.notes.remove(&at);
            }
            self.notes.extend(open.notes);
            self.transactions += 1;
        }
    }

    /// What is still on its way arrives. A producer of a newer epoch is out of its reach; else the
    /// broker takes it for a request of the transaction that is open now.
    pub(super) fn arrive_late(&mut self, me: usize) {
        for (epoch, late) in std::mem::take(&mut self.members[me].late) {
            if epoch != self.members[me].epoch {
                continue;
            }
            match late {
                Late::Offsets(offsets) => {
                    if let Some(open) = &mut self.members[me].transaction {
                        offsets.iter().for_each(|(at, next)| open.offsets.set(at, next));
                    }
                }
                Late::End { commit } => {
                    self.end_transaction(me, commit);
                    // The next record begins another one.
                    self.members[me].transaction = Some(OpenTransaction::default());
                }
            }
        }
    }
}
