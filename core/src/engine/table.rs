//! The loop's side of a table: which partitions' stores are up to date, messages of those that are
//! not yet, positions at the end of an ownership, and entries whose time is over.

use super::Engine;
use super::commit::Committer;
use super::recovery::wake;
use crate::error::LoopError;
use crate::kafka::Source;
use crate::message::Message;
use crate::pattern::Pattern;
use crate::table::{EntryKey, KeeperHandle, News, Order, Shared, StoreError, Write, now_millis};
use crate::topic::{Offsets, Topic, TopicPartition};
use crate::transaction::Batch;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many messages of a partition wait in memory while its store is brought up to date; further
/// ones stay at the broker.
const PARKED: usize = 2_000;
/// How often rows are looked at whose time may be over.
const SWEEP: Duration = Duration::from_secs(1);
/// How many rows are looked at in a sweep of a partition: a few milliseconds.
const SWEPT: usize = 20_000;
/// How many entries expire in one transaction at most.
const EXPIRED: usize = 2_000;

/// Messages of a partition that is not ready.
#[derive(Debug)]
struct Parked {
    at: TopicPartition,
    messages: Vec<Message>,
    paused: bool,
}

/// What a loop knows of its tables.
pub(crate) struct Tables {
    shared: Arc<Shared>,
    keeper: KeeperHandle,
    /// The app's changelog; none where it only looks other tables up.
    changelog: Option<Topic>,
    ttl: Option<Duration>,
    /// Nothing is handled before the tables that are looked up are there.
    lookups_pending: bool,
    /// Input partitions whose stores are not up to date, with their tickets.
    pending: Vec<(TopicPartition, u64)>,
    /// Those whose stores are.
    ready: Vec<TopicPartition>,
    parked: Vec<Parked>,
    ticket: u64,
    /// Where each input partition goes on if everything under way succeeds.
    next: Offsets,
    /// Something was written since positions were exact.
    unsaved: bool,
    swept: Instant,
    sweep: Duration,
    /// Where the next sweep of a partition goes on.
    cursors: Vec<(TopicPartition, Vec<u8>)>,
}

impl Tables {
    pub(crate) fn new(
        shared: Arc<Shared>,
        keeper: KeeperHandle,
        changelog: Option<Topic>,
        lookups: bool,
    ) -> Self {
        let ttl = shared.terms().and_then(|terms| terms.ttl);
        Self {
            shared,
            keeper,
            changelog,
            ttl,
            lookups_pending: lookups,
            pending: Vec::new(),
            ready: Vec::new(),
            parked: Vec::new(),
            ticket: 0,
            next: Offsets::default(),
            unsaved: false,
            swept: Instant::now(),
            sweep: SWEEP,
            cursors: Vec::new(),
        }
    }

    /// Looks for expired rows in every turn, for tests.
    pub(crate) fn sweep_always(mut self) -> Self {
        self.sweep = Duration::ZERO;
        self
    }

    /// Says whether nothing is waited for.
    pub(crate) fn is_ready(&self) -> bool {
        !self.lookups_pending && self.pending.is_empty() && self.parked.is_empty()
    }

    fn holds_up(&self, at: TopicPartition) -> bool {
        self.lookups_pending || self.pending.iter().any(|(pending, _)| *pending == at)
    }

    fn own(&mut self, at: TopicPartition, order: impl FnOnce(TopicPartition, u64) -> Order) {
        let Some(topic) = self.changelog else { return };
        self.ticket += 1;
        self.ready.retain(|ready| *ready != at);
        self.pending.retain(|(pending, _)| *pending != at);
        self.pending.push((at, self.ticket));
        let partition = at.partition;
        self.keeper.order(order(TopicPartition { topic, partition }, self.ticket));
    }

    /// A batch is on its way.
    pub(super) fn submitted(&mut self, batch: &Batch) {
        self.unsaved |= batch.table.as_ref().is_some_and(|writes| !writes.is_empty());
        batch.next.iter().for_each(|(at, next)| self.next.set(at, next));
    }

    /// The consumer goes back.
    pub(super) fn sought(&mut self, plan: &Offsets) {
        plan.iter().for_each(|(at, next)| self.next.set(at, next));
    }

    fn release(&mut self, at: TopicPartition) {
        self.pending.retain(|(pending, _)| *pending != at);
        self.ready.retain(|ready| *ready != at);
        self.next.retain(|known| known != at);
        self.cursors.retain(|(known, _)| *known != at);
        if let Some(topic) = self.changelog {
            self.keeper.order(Order::Release(TopicPartition { topic, partition: at.partition }));
        }
    }

    /// Puts messages of partitions that are not ready aside, behind the first `keep`. Answers the
    /// partitions that have enough of them, with the place to go on.
    fn park(
        &mut self,
        inbox: &mut std::collections::VecDeque<Message>,
        keep: usize,
    ) -> Vec<(TopicPartition, i64)> {
        for message in inbox.split_off(keep) {
            let at = message.topic_partition();
            if !self.holds_up(at) {
                inbox.push_back(message);
                continue;
            }
            match self.parked.iter_mut().find(|parked| parked.at == at) {
                Some(parked) => parked.messages.push(message),
                None => self.parked.push(Parked { at, messages: vec![message], paused: false }),
            }
        }
        let full = |parked: &&mut Parked| !parked.paused && parked.messages.len() >= PARKED;
        let pause = |parked: &mut Parked| {
            parked.paused = true;
            Some((parked.at, parked.messages.last()?.offset() + 1))
        };
        self.parked.iter_mut().filter(full).filter_map(pause).collect()
    }
}

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Asks for the stores of partitions that came.
    pub(super) fn own_tables(&mut self, starts: &Offsets) {
        let Some(tables) = &mut self.tables else { return };
        for (at, start) in starts.iter() {
            tables.next.set(at, start);
            tables.own(at, Order::Own);
        }
        self.observer.recovering(!tables.is_ready());
    }

    /// Hears what the keeper has to tell.
    pub(super) fn table_news(&mut self) -> Result<(), LoopError> {
        let Some(tables) = &mut self.tables else { return Ok(()) };
        if tables.is_ready() && !tables.keeper.is_inline() && tables.keeper.is_alive() {
            return Ok(());
        }
        loop {
            match tables.keeper.news() {
                Ok(Some(News::Ready(at, ticket))) => {
                    let ours = |(pending, known): &(TopicPartition, u64)| {
                        pending.partition == at.partition && *known == ticket
                    };
                    for (input, _) in tables.pending.extract_if(.., |p| ours(p)) {
                        tables.ready.push(input);
                    }
                }
                Ok(Some(News::Failed(at, error))) => {
                    return Err(LoopError::Table { what: at.to_string(), error });
                }
                Ok(None) => break,
                Err(gone) => {
                    let what = "every partition".into();
                    return Err(LoopError::Table { what, error: gone.into() });
                }
            }
        }
        if tables.lookups_pending && tables.shared.lookups_ready() {
            tables.lookups_pending = false;
        }
        self.unpark();
        Ok(())
    }

    /// Lets the messages go on whose partitions are ready.
    fn unpark(&mut self) {
        let Some(tables) = &mut self.tables else { return };
        let mut parked = std::mem::take(&mut tables.parked);
        for ready in parked.extract_if(.., |parked| !tables.holds_up(parked.at)) {
            if self.inbox.is_empty() {
                self.waiting_since = Instant::now();
            }
            self.inbox.extend(ready.messages);
            if ready.paused {
                wake(&mut self.source, ready.at);
            }
        }
        tables.parked = parked;
        self.observer.recovering(!tables.is_ready());
    }

    /// Fetches into the inbox. What comes of partitions that are not ready is put aside. Answers
    /// whether more may be there already.
    pub(super) fn fetch(&mut self, wait: Duration) -> bool {
        let before = self.inbox.len();
        let more = self.source.fetch(&mut self.inbox, wait);
        self.park(before);
        more
    }

    fn park(&mut self, before: usize) {
        let Some(tables) = &mut self.tables else { return };
        if tables.is_ready() || self.inbox.len() == before {
            return;
        }
        for (at, next) in tables.park(&mut self.inbox, before) {
            let paused = self.source.pause(at);
            // What librdkafka had fetched is gone with the pause; say where to go on.
            let paused =
                paused.and_then(|()| self.source.seek(&[(at, next)].into_iter().collect()));
            if let Err(error) = paused {
                tracing::warn!(%error, %at, "could not pause a partition that recovers");
            }
        }
    }

    /// Lets the stores go of partitions that are given up.
    pub(super) fn release_tables(&mut self, partitions: &[TopicPartition]) {
        let Some(tables) = &mut self.tables else { return };
        partitions.iter().for_each(|at| tables.release(*at));
        let gone = |parked: &mut Parked| partitions.contains(&parked.at);
        for parked in tables.parked.extract_if(.., gone).filter(|parked| parked.paused) {
            wake(&mut self.source, parked.at);
        }
        self.observer.recovering(!tables.is_ready());
    }

    /// Lets all stores go.
    pub(super) fn close_tables(&mut self) {
        let Some(tables) = &mut self.tables else { return };
        tables.parked.clear();
        for at in std::mem::take(&mut self.assigned) {
            tables.release(at);
        }
    }

    /// The batch on its way has ended.
    pub(super) fn settle_tables(&mut self, failed: Option<StoreError>) -> Result<(), LoopError> {
        if self.bench.table.is_none() {
            return Ok(());
        }
        // Lets go of the writes, so that their memory is used again.
        self.spare.table = None;
        self.bench.outbox.borrow_mut().table_mut().settled();
        match failed {
            None => Ok(()),
            Some(error) => {
                let what = "taking a committed transaction in".into();
                let error = format!("{error}. The changelog has it: nothing is lost");
                Err(LoopError::Table { what, error })
            }
        }
    }

    /// The stores of these partitions may lack a transaction that did commit.
    pub(super) fn catch_up_tables(&mut self, in_doubt: &Offsets) {
        let Some(tables) = &mut self.tables else { return };
        for (at, _) in in_doubt.iter() {
            if tables.ready.contains(&at) {
                tables.own(at, Order::CatchUp);
            }
        }
        self.observer.recovering(!tables.is_ready());
    }

    /// Makes the stores' positions exact, by a transaction that holds offsets alone: whoever opens
    /// a store next has nothing to read then. Answers whether it committed.
    pub(super) fn save_positions(&mut self) -> Result<bool, LoopError> {
        let Some(tables) = &mut self.tables else { return Ok(true) };
        if !std::mem::take(&mut tables.unsaved) {
            return Ok(true);
        }
        {
            let mut outbox = self.bench.outbox.borrow_mut();
            for at in &tables.ready {
                if let (None, Some(next)) = (outbox.batch().next.get(*at), tables.next.get(*at)) {
                    outbox.keep_start(*at, next);
                }
            }
            outbox.mark_last();
        }
        self.flush()
    }

    /// Deletes entries whose time is over, in the table and in the changelog.
    pub(super) fn expire(&mut self) -> Result<(), LoopError> {
        let Some(Tables { ttl: Some(ttl), swept, sweep, .. }) = &self.tables else {
            return Ok(());
        };
        if swept.elapsed() < *sweep || self.hold_off.is_some() {
            return Ok(());
        }
        let before =
            now_millis().saturating_sub(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        let ready = self.tables.as_ref().map(|tables| tables.ready.clone()).unwrap_or_default();
        for at in ready {
            self.expire_in(at, before)?;
        }
        if let Some(tables) = &mut self.tables {
            tables.swept = Instant::now();
        }
        Ok(())
    }

    fn expire_in(&mut self, at: TopicPartition, before: i64) -> Result<(), LoopError> {
        let Some(tables) = &mut self.tables else { return Ok(()) };
        let (Some(topic), Some(next)) = (tables.changelog, tables.next.get(at)) else {
            return Ok(());
        };
        let of = TopicPartition { topic, partition: at.partition };
        let Some(store) = tables.shared.ready(of) else { return Ok(()) };
        let cursor = tables.cursors.iter().position(|(known, _)| *known == at);
        let cursor = cursor.map(|index| tables.cursors.swap_remove(index).1);
        let own_id = self.bench.table.as_ref().map_or(0, |desk| desk.framing.key.0);
        let mut found = Vec::new();
        let looked = store.written_before(before, cursor.as_deref(), SWEPT, |key, id| {
            if found.len() < EXPIRED {
                found.push((key.to_owned(), (id != own_id).then_some(id)));
            }
        });
        match looked {
            Ok(Some(last)) => tables.cursors.push((at, last)),
            Ok(None) => {}
            Err(error) => {
                return Err(LoopError::Table { what: of.to_string(), error: error.to_string() });
            }
        }
        let mut outbox = self.bench.outbox.borrow_mut();
        // What is written and not committed is younger.
        found.retain(|(key, _)| outbox.table().get(at.partition, key).is_none());
        if found.is_empty() {
            return Ok(());
        }
        if let Some(metrics) = tables.shared.metrics() {
            metrics.table_expired(topic.name(), found.len() as u64);
        }
        for (key, old_key_id) in found {
            let key = EntryKey { partition: at.partition, text: key.into() };
            let write = Write { text: None, timestamp: now_millis(), old_key_id };
            outbox.table_mut().put_complete(key, write);
        }
        // With the offset, so that the group refuses it if the partition is not ours any more.
        if outbox.batch().next.get(at).is_none() {
            outbox.keep_start(at, next);
        }
        Ok(())
    }
}
