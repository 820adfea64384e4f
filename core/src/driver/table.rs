//! The table of an app under test: real stores in a directory of their own, the changelog in the
//! broker in memory.

use super::Driver;
use super::broker::Broker;
use crate::engine::Tables;
use crate::pattern::Pattern;
use crate::transaction::TableDesk;
use anyhow::Context as _;
use nubium_config::DeleteMarker;
use nubium_metrics::Metrics;
use nubium_registry::STRING_SCHEMA;
use nubium_table_store::{
    Applier, Bounds, ChangelogSource, Found, Framing, Keeper, KeeperHandle, KeeperSettings, Member,
    Shared, SourceTrouble, Store, Terms,
};
use nubium_topic::{Offsets, Topic, TopicPartition, changelog_of};
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const APP: &str = "driver";

/// The directory of a driver's stores; it goes with the driver.
pub(super) struct TableHome {
    root: PathBuf,
    /// How long an entry lives that is not updated.
    ttl: Option<Duration>,
}

impl TableHome {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nubium-driver-{}-{number}", std::process::id());
        Self { root: std::env::temp_dir().join(name), ttl: None }
    }
}

impl TableHome {
    /// Every member has a volume of its own; the first one's is the home itself.
    fn of_member(&self, me: usize) -> PathBuf {
        if me == 0 { self.root.clone() } else { self.root.join(format!("member-{me}")) }
    }
}

impl Drop for TableHome {
    fn drop(&mut self) {
        // What is left behind is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// What a run of the driver gets.
pub(super) struct RunTable {
    pub(super) tables: Tables,
    pub(super) applier: Applier,
    pub(super) desk: TableDesk,
}

impl<P: Pattern> Driver<P> {
    /// Keeps a table, as `App::table` does. Comes after the input, of which there is one.
    ///
    /// Runs are restarts: the stores stay. [`Self::wipe_table`] loses them.
    pub fn table(&mut self) {
        let changelog = changelog_of(APP);
        let partitions = self.inputs.first().map_or(0, |input| self.broker.borrow().count(input));
        self.broker.borrow_mut().create(&changelog, partitions);
        self.table = Some(TableHome::new());
    }

    /// Lets entries expire that were not updated for this long.
    pub fn expire_after(&mut self, ttl: Duration) {
        if let Some(table) = &mut self.table {
            table.ttl = Some(ttl);
        }
    }

    /// Loses the stores, as a volume that is wiped.
    ///
    /// # Errors
    /// The system refuses.
    pub fn wipe_table(&mut self) -> anyhow::Result<()> {
        let table = self.table.as_ref().context("this driver has no table")?;
        match std::fs::remove_dir_all(&table.root) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Reads an entry's text from the stores, between runs.
    ///
    /// # Errors
    /// There is no table, or a store fails.
    pub fn table_entry(&self, key: &str) -> anyhow::Result<Option<String>> {
        let table = self.table.as_ref().context("this driver has no table")?;
        let changelog = changelog_of(APP);
        for partition in 0..self.broker.borrow().count(&changelog) {
            let path = table.root.join(APP).join(format!("{changelog}-{partition}"));
            if !path.join("data.mdb").exists() {
                continue;
            }
            if let Some(row) = Store::open_read_only(path)?.get(key)? {
                return Ok(Some(row.text));
            }
        }
        Ok(None)
    }

    pub(super) fn run_table(
        &self,
        me: usize,
        metrics: &Metrics,
    ) -> anyhow::Result<Option<RunTable>> {
        let Some(home) = &self.table else { return Ok(None) };
        let name = changelog_of(APP);
        let prepare = self.codec.prepare_topic(&name, STRING_SCHEMA, true);
        let encoder = self.runtime.block_on(prepare)?;
        let (key, value) = (encoder.key_id(), encoder.value_id());
        let framing = Framing { key, value, marker: DeleteMarker::Tombstone };
        let changelog = Topic::named(&name);
        let shared = Arc::new(Shared::default());
        let terms = Terms {
            app: APP.into(),
            instance: APP.into(),
            changelog: name.clone(),
            partitions: self.broker.borrow().count(&name),
            root: home.of_member(me),
            ttl: home.ttl,
        };
        shared.set_terms(terms, metrics);
        let settings = KeeperSettings {
            key_id: key.0,
            changelog: Some(changelog),
            topic_ids: Vec::new(),
            delete_retention: None,
            lookups: Vec::new(),
            standby_replicas: 0,
            own_ids: vec![APP.into()],
        };
        let source = MemoryChangelog { broker: Rc::clone(&self.broker), reading: Vec::new() };
        let parts = Keeper::new(source, Arc::clone(&shared), settings, Arc::new(|| {}));
        let broker = Rc::clone(&self.broker);
        let keeper = KeeperHandle::inline(parts, move || {
            let late = &mut broker.borrow_mut().members[me].late_stores;
            let ready = *late == 0;
            *late = late.saturating_sub(1);
            ready
        });
        let tables =
            Tables::new(Arc::clone(&shared), keeper, Some(changelog), false).sweep_always();
        // Positions stay where the recovery left them, so every run replays what came after.
        let applier = Applier::new(Arc::clone(&shared), changelog, key.0, Box::new(|_| None));
        let (ttl, app) = (home.ttl, APP.to_owned());
        let desk = TableDesk { shared, changelog, framing, ttl, app };
        Ok(Some(RunTable { tables, applier, desk }))
    }
}

/// Reads the changelog of the broker in memory.
struct MemoryChangelog {
    broker: Rc<RefCell<Broker>>,
    reading: Vec<(TopicPartition, i64)>,
}

impl ChangelogSource for MemoryChangelog {
    fn bounds(&mut self, of: &[TopicPartition], _: Duration) -> Result<Vec<Bounds>, SourceTrouble> {
        let broker = self.broker.borrow();
        Ok(of.iter().map(|at| Bounds { at: *at, first: 0, end: broker.end(*at) }).collect())
    }

    fn assign(&mut self, from: &Offsets) -> Result<(), SourceTrouble> {
        self.reading = from.iter().collect();
        Ok(())
    }

    fn read(&mut self, _: Duration, each: &mut dyn FnMut(Found<'_>)) -> usize {
        let broker = self.broker.borrow();
        let mut count = 0;
        for (at, next) in &mut self.reading {
            let start = usize::try_from(*next).unwrap_or(0);
            for (offset, body) in broker.records(*at).iter().enumerate().skip(start) {
                each(Found::Record {
                    at: *at,
                    offset: offset as i64,
                    timestamp: body.timestamp.unwrap_or(0),
                    key: body.key.as_deref(),
                    value: body.value.as_deref(),
                });
                count += 1;
            }
            *next = broker.end(*at);
            each(Found::End { at: *at, position: *next });
        }
        count
    }

    fn members(&mut self, _: Duration) -> Result<Vec<Member>, SourceTrouble> {
        Ok(Vec::new())
    }
}
