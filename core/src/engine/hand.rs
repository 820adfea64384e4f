//! All that is consumed and not committed, with one owner: only this says where to go on.
//!
//! For each partition that is ours it knows the first offset that is not committed. A rewind drops
//! what is in hand, wherever it lies, and moves every partition there; so there is no list of
//! places to gather a plan from, and none to forget.
//!
//! A move (`target`) is a wish that lasts until the consumer has carried it out. Until then
//! whatever comes of the partition is stale, and is dropped. It belongs to the partition, so it ends
//! with the assignment: no move that was meant for one assignment can reach the next.

use super::abreast::{Call, Calls};
use super::bisection::Bisection;
use super::lanes::Lanes;
use super::partition::{self, Partition, Restoring, State};
use super::refusal::Refusals;
use nubium_kafka::message::Message;
use nubium_topic::{Offsets, TopicPartition};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long at most until a move that was refused is tried again.
const AGAIN: Duration = Duration::from_millis(20);
/// How often a move is tried.
const TRIES: u32 = 100;

/// The first and next offsets of the batch on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) first: Offsets,
    pub(super) next: Offsets,
}

/// All that is consumed and not committed, but for the records in the outbox.
#[derive(Debug, Default)]
pub(super) struct Hand<'e> {
    /// Consumed and not handled yet.
    pub(super) inbox: VecDeque<Message>,
    /// The parts in which a batch that failed is handled; its messages begin the inbox.
    pub(super) bisection: Bisection,
    /// The batch on its way.
    pub(super) flight: Option<Flight>,
    /// Messages that become records which the broker refuses.
    pub(super) refusals: Refusals,
    /// What is begun where several messages are in the function at once, and what waits for that.
    pub(super) lanes: Lanes<Call, Calls<'e>>,
    partitions: Vec<Partition>,
    /// The partitions of the units whose functions wait.
    at_work: Vec<TopicPartition>,
    /// Raised when the units at work are void.
    epoch: u64,
    /// Nothing is handled before the tables that are looked up are there.
    lookups_pending: bool,
    /// What the consumer has paused; a partition may outlive its assignment here.
    paused: Vec<TopicPartition>,
    /// Some partition is not plainly fetched and handled, or is to be.
    unsettled: bool,
    /// How long until a move that was refused is tried again.
    pause: Duration,
    /// How often moves were refused in a row, and when they are tried again.
    refused: u32,
    again: Option<Instant>,
}

impl<'e> Hand<'e> {
    /// Begins; with `lookups`, messages wait until [`Self::lookups_ready`].
    pub(super) fn new(lookups: bool, backoff: Duration) -> Self {
        Self { lookups_pending: lookups, pause: backoff.min(AGAIN), ..Self::default() }
    }

    /// Takes a partition on, from its first uncommitted offset. With a ticket, its messages wait
    /// for its store.
    pub(super) fn assign(
        &mut self,
        at: TopicPartition,
        committed: i64,
        guessed: bool,
        ticket: Option<u64>,
    ) {
        let waits = ticket.is_some() || self.lookups_pending;
        let restoring = Restoring { ticket, ..Restoring::default() };
        let state = if waits { State::Restoring(restoring) } else { State::Ready };
        self.partitions.retain(|known| known.at != at);
        self.partitions.push(Partition { at, committed, guessed, state, target: None });
        self.unsettled |= waits || self.paused.contains(&at);
    }

    /// Lets go of partitions and of what is in hand of them. Answers whether a unit at work held
    /// some: it is void.
    pub(super) fn release(&mut self, gone: &[TopicPartition]) -> bool {
        self.partitions.retain(|known| !gone.contains(&known.at));
        self.inbox.retain(|message| !gone.contains(&message.topic_partition()));
        self.bisection.clear();
        self.refusals.release(gone);
        self.lanes.release(gone);
        let void = self.at_work.iter().any(|at| gone.contains(at));
        if void {
            self.epoch += 1;
        }
        void
    }

    /// Drops everything in hand and moves every partition to its first uncommitted offset.
    pub(super) fn rewind(&mut self) {
        self.inbox.clear();
        self.bisection.clear();
        self.at_work.clear();
        self.lanes.clear();
        self.epoch += 1;
        let all = if nubium_host::mutant!("one-partition-rewinds") { 1 } else { usize::MAX };
        for partition in self.partitions.iter_mut().take(all) {
            partition.target = Some(partition.committed);
            match &mut partition.state {
                State::Ready => {}
                State::Young(_) | State::Full => partition.state = State::Ready,
                State::Restoring(restoring) => {
                    let ticket = restoring.ticket;
                    *restoring = Restoring { ticket, ..Restoring::default() };
                }
            }
        }
        self.unsettled = true;
    }

    /// The batch on its way has committed.
    pub(super) fn landed(&mut self, flight: &Flight) {
        for (at, next) in flight.next.iter() {
            // A first position may have been given up for a later one meanwhile.
            if let Some(partition) = self.find(at).filter(|known| next >= known.committed) {
                (partition.committed, partition.guessed) = (next, false);
            }
            self.refusals.landed(at, next);
        }
    }

    /// The group says how far it got, after a rewind: its word is the truth.
    pub(super) fn believe(&mut self, committed: &Offsets) {
        for (at, next) in committed.iter() {
            if let Some(partition) = self.find(at) {
                (partition.committed, partition.guessed) = (next, false);
                partition.target = Some(next);
            }
        }
    }

    /// Says whether a partition is ours and no move of it is pending.
    pub(super) fn is_fetched(&self, at: TopicPartition) -> bool {
        self.partitions.iter().any(|known| known.at == at && known.target.is_none())
    }

    /// Says whether something of a partition is in hand, or on its way.
    pub(super) fn holds(&self, at: TopicPartition) -> bool {
        self.inbox.iter().any(|message| message.topic_partition() == at)
            || self.at_work.contains(&at)
            || self.lanes.count(at) > 0
            || self
                .flight
                .as_ref()
                .and_then(|f| f.next.get(at))
                .is_some_and(|n| self.is_beyond(at, n))
            || self.partitions.iter().any(|known| known.at == at && known.has_parked())
    }

    /// Says whether an offset is of messages, and not a first position alone.
    pub(super) fn is_beyond(&self, at: TopicPartition, next: i64) -> bool {
        self.partitions.iter().any(|known| known.at == at && next > known.committed)
    }

    /// Moves a partition on from where it is fetched; what is in hand of it stays.
    pub(super) fn move_to(&mut self, at: TopicPartition, offset: i64) {
        if let Some(partition) = self.find(at) {
            partition.target = Some(offset);
        }
        self.unsettled = true;
    }

    /// Begins anew at a place that the group does not know yet. Nothing of the partition is in hand.
    pub(super) fn begin_at(&mut self, at: TopicPartition, offset: i64) {
        if let Some(partition) = self.find(at) {
            (partition.committed, partition.guessed) = (offset, true);
        }
        self.move_to(at, offset);
    }

    /// The first offsets of partitions that the group does not know yet.
    pub(super) fn guesses(&self) -> impl Iterator<Item = (TopicPartition, i64)> + '_ {
        self.partitions.iter().filter(|p| p.guessed).map(|p| (p.at, p.committed))
    }

    /// The partitions that are ours.
    pub(super) fn ours(&self) -> Vec<TopicPartition> {
        self.partitions.iter().map(|partition| partition.at).collect()
    }

    /// Those whose messages are handled, and where each goes on if the batch on its way succeeds.
    pub(super) fn handled(&self) -> Vec<(TopicPartition, i64)> {
        let on_its_way = |at| self.flight.as_ref().and_then(|flight| flight.next.get(at));
        let handled = self.partitions.iter().filter(|p| !matches!(p.state, State::Restoring(_)));
        handled.map(|p| (p.at, on_its_way(p.at).unwrap_or(p.committed))).collect()
    }

    fn find(&mut self, at: TopicPartition) -> Option<&mut Partition> {
        self.partitions.iter_mut().find(|known| known.at == at)
    }

    /// Notes that a function waits with these messages in hand.
    pub(super) fn wait_with<'m>(&mut self, unit: impl Iterator<Item = &'m Message>) {
        for at in unit.map(Message::topic_partition) {
            if !self.at_work.contains(&at) {
                self.at_work.push(at);
            }
        }
    }

    /// Says whether a function waits.
    pub(super) fn waits(&self) -> bool {
        !self.at_work.is_empty()
    }

    /// The unit at work is complete, or its function has ended.
    pub(super) fn done_waiting(&mut self) {
        self.at_work.clear();
    }

    /// Changes when the units at work become void.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Sorts what was fetched into the inbox behind its first `known`: stale messages are dropped,
    /// those of partitions that are not ready wait aside.
    pub(super) fn sort(&mut self, known: usize) {
        if !self.unsettled || self.inbox.len() == known || nubium_host::mutant!("stale-is-taken") {
            return;
        }
        let restoring = |p: &&Partition| matches!(p.state, State::Restoring(_));
        let share =
            partition::PARKED_BYTES / self.partitions.iter().filter(restoring).count().max(1);
        for message in self.inbox.split_off(known) {
            let at = message.topic_partition();
            let Some(partition) = self.partitions.iter_mut().find(|known| known.at == at) else {
                continue;
            };
            if let Some(message) = partition.admit(message, share) {
                self.inbox.push_back(message);
            }
        }
    }

    /// Lets go of a partition's messages from `offset` on, which is too young until then.
    pub(super) fn hold_young(&mut self, at: TopicPartition, offset: i64, until: i64) {
        self.hold(at, offset, State::Young(until));
    }

    /// Lets go of a partition's messages from `offset` on: too many of it are in hand.
    pub(super) fn hold_full(&mut self, at: TopicPartition, offset: i64) {
        self.hold(at, offset, State::Full);
    }

    fn hold(&mut self, at: TopicPartition, offset: i64, state: State) {
        self.inbox.retain(|message| message.topic_partition() != at || message.offset() < offset);
        self.bisection.clear();
        if let Some(partition) = self.find(at) {
            (partition.state, partition.target) = (state, Some(offset));
        }
        self.unsettled = true;
    }

    /// Lets partitions go on whose first message is old enough.
    pub(super) fn resume_due(&mut self, now: i64) {
        if !self.unsettled {
            return;
        }
        for partition in &mut self.partitions {
            if matches!(partition.state, State::Young(until) if until <= now) {
                partition.state = State::Ready;
            }
        }
    }

    /// Lets partitions go on of which `has_room` says that
    /// few enough are in hand, of messages and bytes of its own and of all.
    pub(super) fn resume_full(
        &mut self,
        has_room: impl Fn((usize, usize), (usize, usize)) -> bool,
    ) {
        if !self.unsettled {
            return;
        }
        let lanes = &self.lanes;
        let all = (lanes.total(), lanes.total_weight());
        for partition in self.partitions.iter_mut().filter(|p| matches!(p.state, State::Full)) {
            let own = (lanes.count(partition.at), lanes.weight(partition.at));
            if has_room(own, all) {
                partition.state = State::Ready;
            }
        }
    }

    /// When the first message that is too young will be old enough.
    pub(super) fn next_due(&self) -> Option<i64> {
        if !self.unsettled {
            return None;
        }
        let until =
            |p: &Partition| if let State::Young(until) = p.state { Some(until) } else { None };
        self.partitions.iter().filter_map(until).min()
    }

    /// A partition's store is in doubt: its messages wait for this ticket.
    pub(super) fn restore(&mut self, at: TopicPartition, ticket: u64) {
        if let Some(partition) = self.find(at) {
            let restoring = Restoring { ticket: Some(ticket), ..Restoring::default() };
            partition.state = State::Restoring(restoring);
        }
        self.unsettled = true;
    }

    /// A store is up to date: its partition's messages go on.
    pub(super) fn restored(&mut self, partition: i32, ticket: u64) {
        for known in self.partitions.iter_mut().filter(|known| known.at.partition == partition) {
            if let State::Restoring(restoring) = &mut known.state
                && restoring.ticket == Some(ticket)
            {
                restoring.ticket = None;
            }
        }
        self.unpark();
    }

    /// The tables that are looked up are there.
    pub(super) fn lookups_ready(&mut self) {
        self.lookups_pending = false;
        self.unpark();
    }

    fn unpark(&mut self) {
        if self.lookups_pending {
            return;
        }
        for partition in &mut self.partitions {
            if let State::Restoring(restoring) = &mut partition.state
                && restoring.ticket.is_none()
            {
                self.inbox.extend(restoring.parked.drain(..));
                partition.state = State::Ready;
            }
        }
    }

    /// Says whether a partition waits for a store, or all do.
    pub(super) fn is_restoring(&self) -> bool {
        self.lookups_pending
            || (self.unsettled
                && self.partitions.iter().any(|p| matches!(p.state, State::Restoring(_))))
    }

    /// Says whether a store of ours is up to date.
    pub(super) fn has_store(&self, at: TopicPartition) -> bool {
        let known = self.partitions.iter().find(|known| known.at == at);
        known.is_some_and(|known| match &known.state {
            State::Restoring(restoring) => restoring.ticket.is_none(),
            State::Ready | State::Young(_) | State::Full => true,
        })
    }

    /// Says whether nothing is in hand, on its way or to be moved.
    pub(super) fn is_empty(&self) -> bool {
        let waits = self.flight.is_some() || self.unsettled || self.lookups_pending;
        self.inbox.is_empty() && self.lanes.total() == 0 && !waits
    }
}

mod alignment;
#[cfg(test)]
mod tests;
