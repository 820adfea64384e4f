//! The partitions of a table that this process holds, shared by its loops, keepers and readers.

use super::error::{StoreError, TableError};
use super::key::Spelling;
use super::reader::{PartitionState, Phase, Role};
use super::store::Store;
use nubium_metrics::Metrics;
use nubium_topic::{Topic, TopicPartition};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// One partition as this process holds it.
#[derive(Debug, Clone)]
pub struct Held {
    pub role: Role,
    pub phase: Phase,
    /// Open, though perhaps behind.
    pub store: Option<Arc<Store>>,
    /// The changelog's end, as last asked; of what is ours, moved on by what was written since.
    pub end: i64,
}

/// What is known once the app runs.
#[derive(Debug, Clone)]
pub struct Terms {
    /// `NU_APP_NAME`.
    pub app: String,
    /// `NU_HOSTNAME`.
    pub instance: String,
    /// The changelog's topic.
    pub changelog: String,
    /// How many partitions the table has.
    pub partitions: i32,
    /// The directory of all stores.
    pub root: PathBuf,
    /// How long a row is kept after its last write; `None` is for ever.
    pub ttl: Option<Duration>,
}

/// Stands for keys that are no Avro.
const PLAIN: u32 = u32::MAX;

/// Everything this process holds of the app's table, and of the tables that it looks up.
#[derive(Default)]
pub struct Shared {
    terms: OnceLock<Terms>,
    metrics: OnceLock<Metrics>,
    held: RwLock<BTreeMap<TopicPartition, Held>>,
    /// The schema id that the input's keys are framed with; 0 until it is known, [`PLAIN`] where
    /// they are not.
    input_key_id: AtomicU32,
    /// Every table that is looked up was read to its end once.
    lookups_ready: AtomicBool,
}

impl Shared {
    /// Says what this table is. Once; a second word is ignored.
    pub fn set_terms(&self, terms: Terms, metrics: &Metrics) {
        let _ = self.terms.set(terms);
        let _ = self.metrics.set(metrics.clone());
    }

    /// Gives the terms, once they are known.
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.get()
    }

    /// Gives the metrics, once they are known.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.get()
    }

    /// Remembers how the input's keys are spelled, to tell partitions by keys.
    pub fn note_spelling(&self, spelling: Spelling) {
        let id = match spelling {
            Spelling::Avro(id) => id,
            Spelling::Plain => PLAIN,
        };
        if self.input_key_id.load(Ordering::Relaxed) != id {
            self.input_key_id.store(id, Ordering::Relaxed);
        }
    }

    /// How the input's keys are spelled, where that is known.
    pub fn spelling(&self) -> Option<Spelling> {
        match self.input_key_id.load(Ordering::Relaxed) {
            0 => None,
            PLAIN => Some(Spelling::Plain),
            id => Some(Spelling::Avro(id)),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<TopicPartition, Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<TopicPartition, Held>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how it stands with a partition.
    pub fn set(&self, at: TopicPartition, held: Held) {
        self.write().insert(at, held);
    }

    /// Says whether a partition is here, in whatever phase.
    pub fn holds(&self, at: TopicPartition) -> bool {
        self.read().contains_key(&at)
    }

    /// Notes that every table that is looked up was read to its end.
    pub fn set_lookups_ready(&self) {
        self.lookups_ready.store(true, Ordering::Release);
    }

    /// Says whether every table that is looked up was read to its end once.
    pub fn lookups_ready(&self) -> bool {
        self.lookups_ready.load(Ordering::Acquire)
    }

    /// Says how far a partition has come.
    pub fn set_phase(&self, at: TopicPartition, phase: Phase) {
        if let Some(held) = self.write().get_mut(&at) {
            held.phase = phase;
        }
    }

    /// So many records of ours were committed to these partitions' changelog and are in the stores;
    /// where the log's end was asked for, it was this. A transaction ends with a control record. That
    /// is less than the true end where others were aborted, until it is asked for again.
    pub fn advance(
        &self,
        topic: Topic,
        parts: impl IntoIterator<Item = (i32, Option<i64>, usize)>,
    ) {
        let mut all = self.write();
        for (partition, asked, records) in parts {
            let ours = all.get_mut(&TopicPartition { topic, partition });
            let Some(held) = ours.filter(|held| held.is_ready(Role::Active)) else { continue };
            let more = if records == 0 { 0 } else { i64::try_from(records).unwrap_or(0) + 1 };
            held.end = held.end.max(asked.unwrap_or(0)).max(held.position()) + more;
        }
    }

    /// A partition is not here any more.
    pub fn remove(&self, at: TopicPartition) -> Option<Held> {
        if let Some(metrics) = self.metrics() {
            metrics.forget_table(at.topic.name(), at.partition);
        }
        self.write().remove(&at)
    }

    /// The store of a partition that is ours and up to date.
    pub fn ready(&self, at: TopicPartition) -> Option<Arc<Store>> {
        let held = self.read();
        let held = held.get(&at).filter(|held| held.is_ready(Role::Active))?;
        held.store.clone()
    }

    /// Lets `look` see the store of a partition of ours, without counting references.
    pub fn with_ready<R>(
        &self,
        at: TopicPartition,
        look: impl FnOnce(&Store) -> Result<R, StoreError>,
    ) -> Result<R, TableError> {
        let held = self.read();
        let ready = held.get(&at).filter(|held| held.is_ready(Role::Active));
        let store = ready.and_then(|held| held.store.as_deref());
        Ok(look(store.ok_or(TableError::NotReady(at.partition))?)?)
    }

    /// The open stores of a topic, in the order of their partitions; of those that follow another
    /// instance too.
    pub fn stores(&self, topic: &str) -> Vec<(i32, Role, Arc<Store>)> {
        let held = self.read();
        let of_topic = held.iter().filter(|(at, _)| at.topic.name() == topic);
        of_topic
            .filter_map(|(at, held)| Some((at.partition, held.role, held.store.clone()?)))
            .collect()
    }

    /// How it stands with every partition of a topic.
    pub fn states(&self, topic: &str) -> Vec<PartitionState> {
        let held = self.read();
        let of_topic = held.iter().filter(|(at, _)| at.topic.name() == topic);
        let state = |(at, held): (&TopicPartition, &Held)| PartitionState {
            partition: at.partition,
            role: held.role,
            phase: held.phase,
            rows: held.store.as_ref().and_then(|store| store.rows().ok()).unwrap_or(0),
            position: held.reached(),
            end: held.end.max(held.position()),
        };
        of_topic.map(state).collect()
    }

    /// What keeps the process from being ready, in sentences.
    pub fn recovering(&self) -> Vec<String> {
        let held = self.read();
        let owned = held.iter().filter(|(_, held)| held.role == Role::Active);
        owned.filter_map(|(at, held)| held.phase.sentence(*at)).collect()
    }

    /// Sets the gauges of every partition, for a scrape.
    pub fn measure(&self) {
        let Some(metrics) = self.metrics() else { return };
        for (at, held) in self.read().iter() {
            let Some(store) = &held.store else { continue };
            let (rows, bytes) = (store.rows().unwrap_or(0), store.size().unwrap_or(0));
            metrics.table_size(at.topic.name(), at.partition, rows, bytes);
        }
    }
}

impl Held {
    /// The position beside the rows.
    fn position(&self) -> i64 {
        self.store.as_ref().map_or(0, |store| store.position())
    }

    /// How far the store has come: what is ours and up to date has everything that was written, and
    /// the position beside the rows follows later.
    fn reached(&self) -> i64 {
        let up_to_date = if self.is_ready(Role::Active) { self.end } else { 0 };
        self.position().max(up_to_date)
    }

    fn is_ready(&self, role: Role) -> bool {
        self.role == role && self.phase == Phase::Ready
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("held", &*self.read()).finish_non_exhaustive()
    }
}
