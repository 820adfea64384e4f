//! What waits for what where several messages are in the function at once, and in which order they
//! complete. Pure.
//!
//! Each partition has a row: its messages from the first one that is not complete on. A message
//! has a lane (its key, say), and of each lane one message at a time is in the function, in order.
//! Whatever the order in which they finish, a row is taken off at its front alone: what is complete
//! is always the longest finished beginning of the partition.

use nubium_topic::TopicPartition;
use std::collections::{HashMap, VecDeque};

/// How it stands with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// An earlier message of its lane comes first.
    Queued,
    /// It may begin, or go on.
    Ready,
    /// It has one of the places in the function.
    Running,
    /// It has begun and waits outside the function: before another try, or for good.
    Aside,
    /// It is done, and waits for those before it.
    Finished,
}

#[derive(Debug)]
struct Slot<T> {
    state: State,
    lane: Option<u64>,
    /// How many bytes it holds.
    weight: usize,
    value: T,
}

/// One partition's messages that are begun or wait for that. Tickets count its messages from 0.
#[derive(Debug)]
struct Row<T, R> {
    at: TopicPartition,
    /// The ticket of the front.
    first: u64,
    slots: VecDeque<Slot<T>>,
    /// The tickets of each lane that are not finished: the first may run, the others wait for it.
    lanes: HashMap<u64, VecDeque<u64>>,
    ready: VecDeque<u64>,
    weight: usize,
    rest: R,
}

impl<T, R> Row<T, R> {
    fn slot(&mut self, ticket: u64) -> Option<&mut Slot<T>> {
        let index = usize::try_from(ticket.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(index)
    }

    /// Moves a message from one state to another. `false`: it is in another state than that.
    fn shift(&mut self, ticket: u64, from: State, to: State) -> bool {
        match self.slot(ticket) {
            Some(slot) if slot.state == from => {
                slot.state = to;
                true
            }
            _ => false,
        }
    }

    /// Tells whether its first message is done.
    fn is_complete(&self) -> bool {
        self.slots.front().is_some_and(|slot| slot.state == State::Finished)
    }

    /// Lets the next of a lane begin.
    fn advance(&mut self, lane: u64) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        queue.pop_front();
        match queue.front().copied() {
            None => _ = self.lanes.remove(&lane),
            Some(next) => {
                if self.shift(next, State::Queued, State::Ready) {
                    self.ready.push_back(next);
                }
            }
        }
    }
}

/// All rows. `T` is what is kept of a message, `R` what is kept of a partition.
#[derive(Debug)]
pub(super) struct Lanes<T, R> {
    rows: Vec<Row<T, R>>,
    /// Messages that have a place in the function.
    running: usize,
    /// Whose turn it is to begin: partitions take turns.
    turn: usize,
}

impl<T, R> Default for Lanes<T, R> {
    fn default() -> Self {
        Self { rows: Vec::new(), running: 0, turn: 0 }
    }
}

impl<T, R: Default> Lanes<T, R> {
    /// Appends a message to its partition's row.
    pub(super) fn admit(&mut self, at: TopicPartition, lane: Option<u64>, weight: usize, value: T) {
        let index = self.rows.iter().position(|row| row.at == at).unwrap_or_else(|| {
            let (slots, lanes, ready) = Default::default();
            let rest = R::default();
            self.rows.push(Row { at, first: 0, slots, lanes, ready, weight: 0, rest });
            self.rows.len() - 1
        });
        let row = &mut self.rows[index];
        let ticket = row.first + row.slots.len() as u64;
        let queue = lane.map(|lane| row.lanes.entry(lane).or_default());
        let state = match queue {
            Some(queue) => {
                queue.push_back(ticket);
                if queue.len() == 1 { State::Ready } else { State::Queued }
            }
            None => State::Ready,
        };
        if state == State::Ready {
            row.ready.push_back(ticket);
        }
        row.weight += weight;
        row.slots.push_back(Slot { state, lane, weight, value });
    }
}

impl<T, R> Lanes<T, R> {
    fn row(&mut self, at: TopicPartition) -> Option<&mut Row<T, R>> {
        self.rows.iter_mut().find(|row| row.at == at)
    }

    /// Gives the next message that may begin or go on a place in the function. Partitions take
    /// turns, so that none keeps the others from theirs.
    pub(super) fn start(&mut self) -> Option<(TopicPartition, u64)> {
        let rows = self.rows.len();
        for offset in 0..rows {
            let index = (self.turn + offset) % rows;
            let row = &mut self.rows[index];
            if let Some(ticket) = row.ready.pop_front() {
                row.shift(ticket, State::Ready, State::Running);
                self.running += 1;
                self.turn = index + 1;
                return Some((row.at, ticket));
            }
        }
        None
    }

    /// A message leaves the function and is not done: its lane waits for it, its place is free.
    pub(super) fn step_aside(&mut self, at: TopicPartition, ticket: u64) {
        if self.row(at).is_some_and(|row| row.shift(ticket, State::Running, State::Aside)) {
            self.running -= 1;
        }
    }

    /// It goes on with the next place that is free.
    pub(super) fn come_back(&mut self, at: TopicPartition, ticket: u64) {
        if let Some(row) = self.row(at)
            && row.shift(ticket, State::Aside, State::Ready)
        {
            row.ready.push_front(ticket);
        }
    }

    /// A message is done, and holds so many bytes more: the next of its lane may begin.
    pub(super) fn finish(&mut self, at: TopicPartition, ticket: u64, more: usize) {
        let Some(row) = self.row(at) else { return };
        if !row.shift(ticket, State::Running, State::Finished) {
            return;
        }
        row.weight += more;
        let lane = row.slot(ticket).and_then(|slot| {
            slot.weight += more;
            slot.lane
        });
        if let Some(lane) = lane {
            row.advance(lane);
        }
        self.running -= 1;
    }

    /// Tells whether a message is done before which all of its partition are.
    pub(super) fn has_complete(&self) -> bool {
        self.rows.iter().any(Row::is_complete)
    }

    /// Takes such a message off.
    pub(super) fn complete(&mut self) -> Option<(TopicPartition, u64, T)> {
        let row = self.rows.iter_mut().find(|row| row.is_complete())?;
        let ticket = row.first;
        row.first += 1;
        let slot = row.slots.pop_front()?;
        row.weight -= slot.weight;
        Some((row.at, ticket, slot.value))
    }

    /// What is kept of a message.
    pub(super) fn value(&mut self, at: TopicPartition, ticket: u64) -> Option<&mut T> {
        self.row(at)?.slot(ticket).map(|slot| &mut slot.value)
    }

    /// What is kept of the messages at the fronts of the partitions.
    pub(super) fn fronts(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut().filter_map(|row| row.slots.front_mut()).map(|slot| &mut slot.value)
    }

    /// What is kept of the messages that have a place in the function.
    pub(super) fn in_function(&self) -> impl Iterator<Item = &T> {
        let slots = self.rows.iter().flat_map(|row| &row.slots);
        slots.filter(|slot| slot.state == State::Running).map(|slot| &slot.value)
    }

    /// What is kept of the partitions.
    pub(super) fn rests(&mut self) -> impl Iterator<Item = (TopicPartition, &mut R)> {
        self.rows.iter_mut().map(|row| (row.at, &mut row.rest))
    }

    /// What is kept of a partition.
    pub(super) fn rest(&mut self, at: TopicPartition) -> Option<&mut R> {
        self.row(at).map(|row| &mut row.rest)
    }

    /// How many messages are in the function.
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// How many messages there are of a partition.
    pub(super) fn count(&self, at: TopicPartition) -> usize {
        self.rows.iter().find(|row| row.at == at).map_or(0, |row| row.slots.len())
    }

    /// How many bytes a partition's messages hold.
    pub(super) fn weight(&self, at: TopicPartition) -> usize {
        self.rows.iter().find(|row| row.at == at).map_or(0, |row| row.weight)
    }

    /// How many bytes all of them hold.
    pub(super) fn total_weight(&self) -> usize {
        self.rows.iter().map(|row| row.weight).sum()
    }

    /// Says whether one may begin, or go on.
    pub(super) fn has_ready(&self) -> bool {
        self.rows.iter().any(|row| !row.ready.is_empty())
    }

    /// How many messages there are.
    pub(super) fn total(&self) -> usize {
        self.rows.iter().map(|row| row.slots.len()).sum()
    }

    /// Drops what there is of partitions that are gone.
    pub(super) fn release(&mut self, gone: &[TopicPartition]) {
        let running =
            |row: &Row<T, R>| row.slots.iter().filter(|slot| slot.state == State::Running).count();
        let lost = self.rows.iter().filter(|row| gone.contains(&row.at)).map(running);
        self.running -= lost.sum::<usize>();
        self.rows.retain(|row| !gone.contains(&row.at));
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        (self.running, self.turn) = (0, 0);
        self.rows.clear();
    }
}

#[cfg(test)]
mod tests;
