//! Opens stores and brings them up to date from their changelogs, on a thread of its own, so that
//! other partitions are processed meanwhile. Goes on to follow those that this instance only keeps
//! a copy of.
//!
//! A partition is up to date when everything was read up to the end that its log had, open
//! transactions included, when it was asked for; by position, for the last offsets of a log are
//! control records and perhaps aborted ones, which no record tells of.

use super::changelog;
use super::error::StoreError;
use super::place::Place;
use super::reader::{Phase, Role};
use super::shared::{Held, Shared};
use super::source::{Bounds, ChangelogSource, Found};
use super::standby::followed;
use super::store::{Identity, MAP_SIZE};
use super::task::{Plan, Stage, Task, backoff, plan};
use crate::topic::{Offsets, Topic, TopicPartition};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

/// How long a question to the brokers may take; it is asked again.
const QUESTION: Duration = Duration::from_secs(5);
/// How long a wait for records takes at most, so that orders are seen.
const READ: Duration = Duration::from_millis(50);
/// How long there is nothing to do without an order.
const IDLE: Duration = Duration::from_secs(1);
/// How much is collected in memory before it goes into the stores, over all partitions, in bytes.
const COLLECT: usize = 96 << 20;
/// How far a follower's store may be behind what was read.
const FOLLOW: Duration = Duration::from_millis(200);
/// How often progress is logged.
const REPORT: Duration = Duration::from_secs(5);
/// How often stores are brought to the disk, so that closing them is quick.
const SYNC: Duration = Duration::from_secs(30);
/// How often the group is asked who owns what.
const LOOK_ROUND: Duration = Duration::from_secs(5);

/// What a keeper is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// This partition is ours; tell when it is up to date, by this ticket.
    Own(TopicPartition, u64),
    /// A store of ours may lack the last transaction: bring it up to date again.
    CatchUp(TopicPartition, u64),
    /// This partition is not ours any more.
    Release(TopicPartition),
}

/// What a keeper tells.
#[derive(Debug)]
pub(crate) enum News {
    /// The partition of this ticket is up to date.
    Ready(TopicPartition, u64),
    /// It cannot be had.
    Failed(TopicPartition, String),
}

/// What a keeper goes by.
#[derive(Debug, Clone)]
pub(crate) struct KeeperSettings {
    /// The schema id that our own changelog keys are framed with.
    pub(crate) key_id: u32,
    /// The changelog; none where other tables are looked up only.
    pub(crate) changelog: Option<Topic>,
    /// The ids that the cluster gave to topics when they were made.
    pub(crate) topic_ids: Vec<(Topic, String)>,
    /// How long the changelog keeps tombstones: a store that is further behind may miss some.
    pub(crate) delete_retention: Option<Duration>,
    /// Other tables' changelogs that are followed, with their partition counts.
    pub(crate) lookups: Vec<(Topic, i32)>,
    /// How many instances follow a partition.
    pub(crate) standby_replicas: usize,
    /// The client ids of this process.
    pub(crate) own_ids: Vec<String>,
}

/// Keeps the stores of one loop.
pub(crate) struct Keeper<S> {
    source: S,
    shared: Arc<Shared>,
    settings: KeeperSettings,
    orders: mpsc::Receiver<Order>,
    news: mpsc::Sender<News>,
    wake: Arc<dyn Fn() + Send + Sync>,
    tasks: Vec<Task>,
    /// What is to be read has changed.
    reassign: bool,
    /// How many partitions are read.
    assigned: usize,
    looked_round: Option<Instant>,
    synced: Instant,
    reported: Instant,
}

/// The loop's end of a keeper. Ends it when dropped, after it has closed its stores.
pub(crate) struct KeeperHandle {
    orders: Option<mpsc::Sender<Order>>,
    news: mpsc::Receiver<News>,
    inline: Option<Box<dyn FnMut()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl KeeperHandle {
    /// Runs a keeper on a thread of its own.
    pub(crate) fn start<S: ChangelogSource + Send + 'static>(
        name: &str,
        parts: (Keeper<S>, Self),
    ) -> std::io::Result<Self> {
        let (mut keeper, mut handle) = parts;
        let run = move || {
            while keeper.turn(IDLE) {}
            keeper.close();
        };
        handle.thread = Some(std::thread::Builder::new().name(name.into()).spawn(run)?);
        Ok(handle)
    }

    /// Runs a keeper on the caller's thread, a turn with every look at the news.
    pub(crate) fn inline<S: ChangelogSource + 'static>(parts: (Keeper<S>, Self)) -> Self {
        let (mut keeper, mut handle) = parts;
        handle.inline = Some(Box::new(move || {
            if !keeper.turn(Duration::ZERO) {
                keeper.close();
            }
        }));
        handle
    }

    pub(crate) fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // A keeper that is gone has panicked; `news` says so.
            let _ = orders.send(order);
        }
    }

    /// Says whether it turns with every look at the news.
    pub(crate) fn is_inline(&self) -> bool {
        self.inline.is_some()
    }

    /// What there is to tell. `Err`: the keeper is gone.
    pub(crate) fn news(&mut self) -> Result<Option<News>, &'static str> {
        if let Some(turn) = &mut self.inline {
            turn();
        }
        match self.news.try_recv() {
            Ok(news) => Ok(Some(news)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                Err("the keeper's thread ended; see the panic above")
            }
        }
    }
}

impl Drop for KeeperHandle {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(turn) = &mut self.inline {
            turn();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<S: ChangelogSource> Keeper<S> {
    /// Makes a keeper and the handle to it; `wake` ends the loop's wait when there is news.
    pub(crate) fn new(
        source: S,
        shared: Arc<Shared>,
        settings: KeeperSettings,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> (Self, KeeperHandle) {
        let ((to, orders), (news, from)) = (mpsc::channel(), mpsc::channel());
        let now = Instant::now();
        let mut keeper = Self {
            source,
            shared,
            settings,
            orders,
            news,
            wake,
            tasks: Vec::new(),
            reassign: false,
            assigned: 0,
            looked_round: None,
            synced: now,
            reported: now,
        };
        for (topic, partitions) in keeper.settings.lookups.clone() {
            for partition in 0..partitions {
                keeper.begin(TopicPartition { topic, partition }, Role::Lookup, 0);
            }
        }
        let handle = KeeperHandle { orders: Some(to), news: from, inline: None, thread: None };
        (keeper, handle)
    }

    /// One turn; `false`: the loop has ended.
    pub(crate) fn turn(&mut self, idle: Duration) -> bool {
        if !self.take_orders(idle) {
            return false;
        }
        self.look_round();
        self.open_due();
        self.find_ends();
        self.read_some(idle.min(READ));
        self.flush_due();
        self.finish_done();
        self.report();
        self.sync_due();
        true
    }

    fn take_orders(&mut self, idle: Duration) -> bool {
        let now = Instant::now();
        let open = self.tasks.iter().any(|task| matches!(task.stage, Stage::Open { .. }));
        let due = self.tasks.iter().filter_map(|task| task.due(now)).min();
        let mut wait = if open { Duration::ZERO } else { idle.min(due.unwrap_or(idle)) };
        loop {
            match self.orders.recv_timeout(wait) {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            wait = Duration::ZERO;
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Own(at, ticket) => match self.tasks.iter_mut().find(|task| task.at == at) {
                Some(task) => {
                    task.promote(ticket);
                    self.publish(at);
                }
                None => self.begin(at, Role::Active, ticket),
            },
            Order::CatchUp(at, ticket) => {
                let Some(store) = self.shared.remove(at).and_then(|held| held.store) else {
                    return;
                };
                let mut task = self.task(at, Role::Active, ticket);
                task.stage = Stage::Opened { store };
                self.tasks.push(task);
                self.publish(at);
            }
            Order::Release(at) => self.release(at),
        }
    }

    fn task(&self, at: TopicPartition, role: Role, ticket: u64) -> Task {
        let terms = self.shared.terms();
        let (app, root) = terms.map(|t| (t.app.clone(), t.root.clone())).unwrap_or_default();
        let place = Place::new(&root, &app, at.topic.name(), at.partition);
        let place = match terms {
            // Every instance has a copy of its own, also on a volume that they share.
            Some(terms) if role == Role::Lookup => place.of_instance(&terms.instance),
            _ => place,
        };
        let id = self.settings.topic_ids.iter().find(|(topic, _)| *topic == at.topic);
        let topic_id = id.map(|(_, id)| id.clone()).unwrap_or_default();
        let (topic, partition) = (at.topic.name().to_owned(), at.partition);
        Task::new(at, role, ticket, place, Identity { app, topic, partition, topic_id })
    }

    fn begin(&mut self, at: TopicPartition, role: Role, ticket: u64) {
        let task = self.task(at, role, ticket);
        self.tasks.push(task);
        self.publish(at);
    }

    /// Says to all how it stands with a partition that is at work here.
    fn publish(&self, at: TopicPartition) {
        let Some(task) = self.tasks.iter().find(|task| task.at == at) else { return };
        let (store, end) = (task.store().cloned(), task.end());
        self.shared.set(at, Held { role: task.role, phase: task.phase(), store, end });
    }

    /// Closes a store in good order, wherever it is.
    fn release(&mut self, at: TopicPartition) {
        let task = self.tasks.iter().position(|task| task.at == at);
        let task = task.map(|index| self.tasks.swap_remove(index));
        let held = self.shared.remove(at).and_then(|held| held.store);
        self.reassign |= task.is_some();
        let store = task.and_then(|task| task.into_flushed()).or(held);
        if let Some(store) = store
            && let Err(error) = store.seal()
        {
            tracing::warn!(%error, %at, "the store could not be closed in good order");
        }
    }

    /// Closes everything.
    pub(crate) fn close(&mut self) {
        let ours: Vec<TopicPartition> = self.tasks.iter().map(|task| task.at).collect();
        ours.into_iter().for_each(|at| self.release(at));
    }

    /// Tries to open what is not open yet.
    fn open_due(&mut self) {
        let now = Instant::now();
        let mut changed = Vec::new();
        let mut failed = Vec::new();
        for task in &mut self.tasks {
            let Stage::Closed { tries, due } = &mut task.stage else { continue };
            if *due > now {
                continue;
            }
            *tries += 1;
            match task.place.open(&task.identity, MAP_SIZE) {
                Ok((store, aside)) => {
                    if aside && let Some(metrics) = self.shared.metrics() {
                        metrics.table_set_aside(task.at.topic.name());
                    }
                    task.stage = Stage::Opened { store: Arc::new(store) };
                }
                Err(error @ StoreError::Busy { .. }) => {
                    if *tries % 10 == 1 {
                        tracing::info!(at = %task.at, tries, "{error}; waiting for it");
                    }
                    *due = now + backoff(*tries);
                }
                Err(error) if task.role == Role::Active => failed.push((task.at, error)),
                Err(error) => {
                    tracing::warn!(at = %task.at, %error, "no copy for now, trying again");
                    *due = now + backoff(100);
                }
            }
            changed.push(task.at);
        }
        changed.into_iter().for_each(|at| self.publish(at));
        for (at, error) in failed {
            self.fail(at, error.to_string());
        }
    }

    /// Asks where the logs of stores end that were just opened, and decides where to read from.
    fn find_ends(&mut self) {
        let waiting = |task: &&Task| task.asks_for_end();
        let asked: Vec<_> = self.tasks.iter().filter(waiting).map(|task| task.at).collect();
        if asked.is_empty() {
            return;
        }
        let found = match self.source.bounds(&asked, QUESTION) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "the changelog's ends are not known, asking again");
                return;
            }
        };
        for bounds in found {
            if let Err(error) = self.start_reading(bounds) {
                self.fail(bounds.at, error.to_string());
            }
        }
    }

    fn start_reading(&mut self, bounds: Bounds) -> Result<(), StoreError> {
        let retention = self.settings.delete_retention;
        let Some(task) = self.tasks.iter_mut().find(|task| task.at == bounds.at) else {
            return Ok(());
        };
        let was_open = matches!(task.stage, Stage::Open { .. });
        match &mut task.stage {
            Stage::Opened { store } => {
                let store = Arc::clone(store);
                let from = match plan(&store, &bounds, retention)? {
                    Plan::Replay(from) => from,
                    Plan::Rebuild(from, why) => {
                        tracing::warn!(at = %bounds.at, why, "the table is rebuilt from its changelog");
                        store.clear(&task.identity)?;
                        from
                    }
                };
                task.open(store, from, bounds.end);
                tracing::info!(at = %bounds.at, role = ?task.role, from, end = bounds.end,
                    "the store is brought up to date");
            }
            // Promoted from follower to owner.
            Stage::Open { end, .. } => *end = Some(bounds.end),
            Stage::Closed { .. } => {}
        }
        // What is up to date already needs no reading, unless it is to be followed.
        self.reassign |= !was_open && (!task.is_done() || task.role != Role::Active);
        self.publish(bounds.at);
        Ok(())
    }

    /// Reads what there is into memory.
    fn read_some(&mut self, wait: Duration) {
        if self.reassign && !self.assign() {
            return;
        }
        let Self { tasks, source, settings, shared, .. } = self;
        let reading = tasks.iter().any(|task| !task.is_done() || task.role != Role::Active);
        if !reading {
            return;
        }
        let mut failed = Vec::new();
        source.read(wait, &mut |found| match found {
            Found::Record { at, offset, timestamp, key, value } => {
                let Some(task) = reading_task(tasks, at) else { return };
                match changelog::read(key, value) {
                    Ok(change) => task.take(&change, offset, timestamp, settings.key_id),
                    Err(why) => failed.push((at, offset, why)),
                }
            }
            Found::End { at, position } => {
                if let Some(task) = reading_task(tasks, at) {
                    task.reached(position);
                }
            }
            Found::OutOfRange { at } => {
                if let Some(task) = reading_task(tasks, at) {
                    task.start_over();
                }
            }
        });
        for task in tasks.iter_mut() {
            if let (rows @ 1.., Some(metrics)) = (task.take_count(), shared.metrics()) {
                metrics.table_restored(task.at.topic.name(), rows);
            }
        }
        for (at, offset, why) in failed {
            self.refuse(at, offset, &why);
        }
    }

    /// A record that no table app wrote. Of our own changelog it ends the app: what it replaces
    /// would be lost. A copy goes on without it.
    fn refuse(&mut self, at: TopicPartition, offset: i64, why: &str) {
        let Some(task) = self.tasks.iter_mut().find(|task| task.at == at) else { return };
        if task.role == Role::Active {
            let text = format!(
                "the record at offset {offset} is none of a table app: {why}. Find out what writes \
                 to {}, stop it, and delete the record's key with a tombstone",
                at.topic
            );
            self.fail(at, text);
        } else {
            tracing::warn!(%at, offset, why, "skipped a record that is none of a table app");
            task.reached(offset + 1);
        }
    }

    fn fail(&mut self, at: TopicPartition, text: String) {
        self.release(at);
        self.tell(News::Failed(at, text));
    }

    fn tell(&self, news: News) {
        let _ = self.news.send(news);
        (self.wake)();
    }

    fn assign(&mut self) -> bool {
        let wanted = |task: &Task| task.position().map(|position| (task.at, position));
        let from: Offsets = self.tasks.iter().filter_map(wanted).collect();
        match self.source.assign(&from) {
            Ok(()) => {
                (self.reassign, self.assigned) = (false, from.iter().count());
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the changelog cannot be read, trying again");
                std::thread::sleep(Duration::from_millis(100));
                false
            }
        }
    }

    /// Brings what was read into the stores when it is enough, or old enough.
    fn flush_due(&mut self) {
        let limit = COLLECT / self.tasks.len().max(1);
        let due = |task: &&mut Task| task.is_due(limit, FOLLOW);
        let flush = |task: &mut Task| Some((task.at, task.flush().err()?));
        let failed: Vec<_> = self.tasks.iter_mut().filter(due).filter_map(flush).collect();
        for (at, error) in failed {
            self.fail(at, error.to_string());
        }
    }

    /// Hands over what is up to date.
    fn finish_done(&mut self) {
        let done = |task: &&Task| task.is_done() && !task.told;
        let done: Vec<_> = self.tasks.iter().filter(done).map(|task| task.at).collect();
        for at in done {
            let Some(index) = self.tasks.iter().position(|task| task.at == at) else { continue };
            let task = &mut self.tasks[index];
            if let Err(error) = task.flush() {
                self.fail(at, error.to_string());
                continue;
            }
            task.told = true;
            task.log_done();
            let (role, ticket) = (task.role, task.ticket);
            if let Some(metrics) = self.shared.metrics() {
                metrics.table_recovery(at.topic.name(), at.partition, 0.0, 0.0);
            }
            self.publish(at);
            if role == Role::Active {
                self.tasks.swap_remove(index);
                self.tell(News::Ready(at, ticket));
            } else if !self.tasks.iter().any(|task| task.role == Role::Lookup && !task.told) {
                self.shared.set_lookups_ready();
                (self.wake)();
            }
        }
        // While others recover, what is fetched of the finished ones costs less than a new start.
        let recovering = self.tasks.iter().any(|task| !task.is_done());
        self.reassign |= !recovering && self.tasks.iter().all(|task| task.told) && self.left_over();
    }

    /// Says whether partitions are still read that nobody waits for.
    fn left_over(&self) -> bool {
        self.assigned > self.tasks.iter().filter(|t| t.position().is_some()).count()
    }

    /// Tells how recoveries go.
    fn report(&mut self) {
        let log = self.reported.elapsed() >= REPORT;
        if log {
            self.reported = Instant::now();
        }
        for task in self.tasks.iter_mut().filter(|task| !task.is_done()) {
            let phase = task.phase();
            self.shared.set_phase(task.at, phase);
            if let (Phase::Recovering { rows, rate, left }, true) = (phase, log) {
                tracing::info!(at = %task.at, role = ?task.role, rows, rate = rate.round(), ?left,
                    "recovering");
                if let Some(metrics) = self.shared.metrics() {
                    let (topic, partition) = (task.at.topic.name(), task.at.partition);
                    let left = left.map_or(0.0, |left| left.as_secs_f64());
                    metrics.table_recovery(topic, partition, rate, left);
                }
            }
        }
    }

    fn sync_due(&mut self) {
        if self.synced.elapsed() < SYNC {
            return;
        }
        let Some(changelog) = self.settings.changelog else { return };
        for (_, _, store) in self.shared.stores(changelog.name()) {
            if let Err(error) = store.sync() {
                tracing::warn!(%error, "the store could not be brought to the disk");
            }
        }
        self.synced = Instant::now();
    }

    /// Asks the group who owns what, and follows what is to be followed.
    fn look_round(&mut self) {
        let Some(changelog) = self.settings.changelog else { return };
        let due = self.looked_round.is_none_or(|at| at.elapsed() >= LOOK_ROUND);
        if self.settings.standby_replicas == 0 || !due {
            return;
        }
        self.looked_round = Some(Instant::now());
        let members = match self.source.members(QUESTION) {
            Ok(members) => members,
            Err(error) => {
                tracing::warn!(%error, "it is not known who owns what: standbys stay as they are");
                return;
            }
        };
        let partitions = self.shared.terms().map_or(0, |terms| terms.partitions);
        let (own, replicas) = (&self.settings.own_ids, self.settings.standby_replicas);
        let wanted = followed(&members, own, partitions, replicas);
        let is_standby = |task: &&Task| task.role == Role::Standby;
        let now: Vec<_> = self.tasks.iter().filter(is_standby).map(|task| task.at).collect();
        for at in now.iter().filter(|at| !wanted.contains(&at.partition)) {
            self.release(*at);
        }
        for partition in wanted {
            let at = TopicPartition { topic: changelog, partition };
            if !self.shared.holds(at) {
                self.begin(at, Role::Standby, 0);
            }
        }
    }
}

fn reading_task(tasks: &mut [Task], at: TopicPartition) -> Option<&mut Task> {
    tasks.iter_mut().find(|task| task.at == at)
}
