//! The loop's side of a table: what the keeper is asked and tells, positions at the end of an
//! ownership, and entries whose time is over.

use super::Engine;
use super::commit::Committer;
use super::sweep::Sweep;
use crate::error::LoopError;
use crate::kafka::Source;
use crate::pattern::Pattern;
use crate::transaction::Batch;
use nubium_kafka::headers::made_guid_of;
use nubium_table_store::{
    EntryKey, KeeperHandle, News, Order, Shared, StoreError, Write, now_millis,
};
use nubium_topic::{Offsets, Topic, TopicPartition};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often rows are looked at whose time may be over.
const SWEEP: Duration = Duration::from_secs(1);
/// How many rows are looked at in a sweep of a partition: a few milliseconds.
const SWEPT: usize = 20_000;
/// How many entries expire in one transaction at most.
const EXPIRED: usize = 2_000;

/// What a loop knows of its tables.
pub(crate) struct Tables {
    shared: Arc<Shared>,
    keeper: KeeperHandle,
    /// The app's changelog; none where it only looks other tables up.
    changelog: Option<Topic>,
    ttl: Option<Duration>,
    /// The tables that are looked up are not there yet.
    lookups_pending: bool,
    ticket: u64,
    /// Something was written since positions were exact.
    unsaved: bool,
    swept: Instant,
    sweep: Duration,
    /// How far the look for expired rows has come in each partition.
    sweeps: Vec<(TopicPartition, Sweep)>,
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
            ticket: 0,
            unsaved: false,
            swept: Instant::now(),
            sweep: SWEEP,
            sweeps: Vec::new(),
        }
    }

    /// Looks for expired rows in every turn, for tests.
    pub(crate) fn sweep_always(mut self) -> Self {
        self.sweep = Duration::ZERO;
        self
    }

    /// Says whether other tables are waited for.
    pub(super) fn has_lookups(&self) -> bool {
        self.lookups_pending
    }

    /// Asks for the store of a partition that came. Answers the ticket to wait for.
    pub(super) fn own(&mut self, at: TopicPartition) -> Option<u64> {
        self.order(at, Order::Own)
    }

    fn order(
        &mut self,
        at: TopicPartition,
        order: impl FnOnce(TopicPartition, u64) -> Order,
    ) -> Option<u64> {
        let topic = self.changelog?;
        self.ticket += 1;
        let partition = at.partition;
        self.keeper.order(order(TopicPartition { topic, partition }, self.ticket));
        Some(self.ticket)
    }

    /// A batch is on its way.
    pub(super) fn submitted(&mut self, batch: &Batch) {
        self.unsaved |= batch.table.as_ref().is_some_and(|writes| !writes.is_empty());
    }

    fn release(&mut self, at: TopicPartition) {
        self.sweeps.retain(|(known, _)| *known != at);
        if let Some(topic) = self.changelog {
            self.keeper.order(Order::Release(TopicPartition { topic, partition: at.partition }));
        }
    }
}

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Tells liveness whether stores are brought up to date.
    pub(super) fn note_recovery(&self) {
        if self.tables.is_some() {
            self.observer.recovering(self.hand.is_restoring());
        }
    }

    /// Hears what the keeper has to tell.
    pub(super) fn table_news(&mut self) -> Result<(), LoopError> {
        let Some(tables) = &mut self.tables else { return Ok(()) };
        let quiet = !self.hand.is_restoring() && !tables.keeper.is_inline();
        if quiet && tables.keeper.is_alive() {
            return Ok(());
        }
        let idle = self.hand.inbox.is_empty();
        loop {
            match tables.keeper.news() {
                Ok(Some(News::Ready(at, ticket))) => self.hand.restored(at.partition, ticket),
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
            self.hand.lookups_ready();
        }
        if idle && !self.hand.inbox.is_empty() {
            self.waiting_since = Instant::now();
        }
        self.note_recovery();
        Ok(())
    }

    /// Lets the stores go of partitions that are given up.
    pub(super) fn release_tables(&mut self, partitions: &[TopicPartition]) {
        let Some(tables) = &mut self.tables else { return };
        partitions.iter().for_each(|at| tables.release(*at));
    }

    /// Lets all stores go.
    pub(super) fn close_tables(&mut self) {
        let Some(tables) = &mut self.tables else { return };
        let ours = self.hand.ours();
        ours.iter().for_each(|at| tables.release(*at));
        self.hand.release(&ours);
    }

    /// Looks at every row again: deletions of expired ones may have been dropped.
    pub(super) fn sweep_anew(&mut self) {
        if let Some(tables) = &mut self.tables {
            tables.sweeps.clear();
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
        if nubium_host::mutant!("store-is-not-caught-up") {
            return;
        }
        for (at, _) in in_doubt.iter() {
            if self.hand.has_store(at)
                && let Some(ticket) = tables.order(at, Order::CatchUp)
            {
                self.hand.restore(at, ticket);
            }
        }
        self.note_recovery();
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
            for (at, next) in self.hand.handled() {
                if outbox.batch().next.get(at).is_none() {
                    outbox.keep_start(at, next);
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
        for (at, next) in self.hand.handled() {
            self.expire_in(at, next, before)?;
        }
        if let Some(tables) = &mut self.tables {
            tables.swept = Instant::now();
        }
        Ok(())
    }

    fn expire_in(&mut self, at: TopicPartition, next: i64, before: i64) -> Result<(), LoopError> {
        let Some(tables) = &mut self.tables else { return Ok(()) };
        let Some(topic) = tables.changelog else { return Ok(()) };
        let of = TopicPartition { topic, partition: at.partition };
        let Some(store) = tables.shared.ready(of) else { return Ok(()) };
        let index = tables.sweeps.iter().position(|(known, _)| *known == at);
        let index = index.unwrap_or_else(|| {
            tables.sweeps.push((at, Sweep::default()));
            tables.sweeps.len() - 1
        });
        let sweep = &mut tables.sweeps[index].1;
        if !sweep.is_due(before) {
            return Ok(());
        }
        let own_id = self.bench.table.as_ref().map_or(0, |desk| desk.framing.key.0);
        let mut found = Vec::new();
        let looked = store.written_before(before, sweep.place(), SWEPT, |key, id| {
            let taken = found.len() < EXPIRED;
            if taken {
                found.push((key.to_owned(), (id != own_id).then_some(id)));
            }
            taken
        });
        match looked {
            Ok(looked) => sweep.looked(looked.last, looked.oldest, now_millis()),
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
            let timestamp = now_millis();
            let guid = made_guid_of(&format!("kafka:{topic}/{}/{key}/{timestamp}", at.partition));
            let guid = guid.into_bytes().into();
            let key = EntryKey { partition: at.partition, text: key.into() };
            let write = Write { text: None, timestamp, old_key_id, source: None, guid };
            outbox.table_mut().put_complete(key, write);
        }
        // With the offset, so that the group refuses it if the partition is not ours any more.
        if outbox.batch().next.get(at).is_none() {
            outbox.keep_start(at, next);
        }
        Ok(())
    }
}
