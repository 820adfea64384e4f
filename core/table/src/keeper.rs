//! Opens stores and brings them up to date from their changelogs, on a thread of its own, so that
//! other partitions are processed meanwhile. Goes on to follow those that this instance only keeps
//! a copy of.
//!
//! A partition is up to date when everything was read up to the end that its log had, open
//! transactions included, when it was asked for; by position, for the last offsets of a log are
//! control records and perhaps aborted ones, which no record tells of.

use super::changelog;
use super::handle::{KeeperHandle, KeeperSettings, News, Order};
use super::place::Place;
use super::reader::Role;
use super::shared::{Held, Shared};
use super::source::{ChangelogSource, Found};
use super::store::Identity;
use super::task::{Stage, Task, backoff};
use nubium_topic::{Offsets, TopicPartition};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long a question to the brokers may take; it is asked again.
pub(super) const QUESTION: Duration = Duration::from_secs(5);
/// How long a wait for records takes at most, so that orders are seen.
const READ: Duration = Duration::from_millis(50);
/// How much is collected in memory before it goes into the stores, over all partitions, in bytes.
const COLLECT: usize = 96 << 20;
/// How far a follower's store may be behind what was read.
const FOLLOW: Duration = Duration::from_millis(200);

/// Keeps the stores of one loop.
pub struct Keeper<S> {
    pub(super) source: S,
    pub(super) shared: Arc<Shared>,
    pub(super) settings: KeeperSettings,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) news: mpsc::Sender<News>,
    pub(super) wake: Arc<dyn Fn() + Send + Sync>,
    pub(super) tasks: Vec<Task>,
    /// What is to be read has changed.
    pub(super) reassign: bool,
    /// How many partitions are read.
    pub(super) assigned: usize,
    pub(super) looked_round: Option<Instant>,
    pub(super) synced: Instant,
    pub(super) reported: Instant,
}

impl<S: ChangelogSource> Keeper<S> {
    /// Makes a keeper and the handle to it; `wake` ends the loop's wait when there is news.
    pub fn new(
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
        (keeper, KeeperHandle::new(to, from))
    }

    /// One turn; `false`: the loop has ended.
    pub fn turn(&mut self, idle: Duration) -> bool {
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

    pub(super) fn begin(&mut self, at: TopicPartition, role: Role, ticket: u64) {
        let task = self.task(at, role, ticket);
        self.tasks.push(task);
        self.publish(at);
    }

    /// Says to all how it stands with a partition that is at work here.
    pub(super) fn publish(&self, at: TopicPartition) {
        let Some(task) = self.tasks.iter().find(|task| task.at == at) else { return };
        let (store, end) = (task.store().cloned(), task.end());
        self.shared.set(at, Held { role: task.role, phase: task.phase(), store, end });
    }

    /// Closes a store in good order, wherever it is.
    pub(super) fn release(&mut self, at: TopicPartition) {
        let task = self.tasks.iter().position(|task| task.at == at);
        let task = task.map(|index| self.tasks.swap_remove(index));
        let held = self.shared.remove(at).and_then(|held| held.store);
        self.reassign |= task.is_some();
        let store = task.and_then(|task| task.into_flushed()).or(held);
        if let Some(store) = store
            && let Err(error) = store.seal()
        {
            tracing::warn!(%error, %at, "The store could not be closed in good order.");
        }
    }

    /// Closes everything.
    pub fn close(&mut self) {
        let ours: Vec<TopicPartition> = self.tasks.iter().map(|task| task.at).collect();
        ours.into_iter().for_each(|at| self.release(at));
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
                match changelog::read_change(key, value) {
                    Ok(change) => task.take(&change, offset, timestamp, settings.key_id),
                    Err(why) => failed.push((at, offset, why.to_string())),
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
                "the record at offset {offset} was not written by a table app: {why}. Find out \
                 what writes to {}, stop it, and delete the record's key with a tombstone",
                at.topic
            );
            self.fail(at, text);
        } else {
            tracing::warn!(%at, offset, why,
                "Skipped a record that was not written by a table app.");
            task.reached(offset + 1);
        }
    }

    /// Gives a partition up. Of ours that ends the app; a copy is tried again.
    pub(super) fn fail(&mut self, at: TopicPartition, text: String) {
        let role = self.tasks.iter().find(|task| task.at == at).map(|task| task.role);
        self.release(at);
        match role {
            Some(role @ (Role::Standby | Role::Lookup)) => {
                tracing::warn!(%at, ?role, text, "No copy for now, trying again.");
                let mut task = self.task(at, role, 0);
                task.stage = Stage::Closed { tries: 1, due: Instant::now() + backoff(100) };
                self.tasks.push(task);
                self.publish(at);
            }
            Some(Role::Active) | None => self.tell(News::Failed(at, text)),
        }
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
                tracing::warn!(%error, "The changelog cannot be read, trying again.");
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
}

fn reading_task(tasks: &mut [Task], at: TopicPartition) -> Option<&mut Task> {
    tasks.iter_mut().find(|task| task.at == at)
}
