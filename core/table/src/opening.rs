//! How a keeper opens stores and decides where to read their changelogs from.

use super::error::StoreError;
use super::keeper::{Keeper, QUESTION};
use super::reader::Role;
use super::source::{Bounds, ChangelogSource};
use super::store::MAP_SIZE;
use super::task::{Plan, Stage, Task, backoff, plan};
use std::sync::Arc;
use std::time::{Duration, Instant};

impl<S: ChangelogSource> Keeper<S> {
    /// Tries to open what is not open yet.
    pub(super) fn open_due(&mut self) {
        let now = Instant::now();
        let (mut changed, mut failed) = (Vec::new(), Vec::new());
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
                        tracing::info!(at = %task.at, tries, "{error}; waiting for it.");
                    }
                    *due = now + backoff(*tries);
                }
                Err(error) => failed.push((task.at, error)),
            }
            changed.push(task.at);
        }
        changed.into_iter().for_each(|at| self.publish(at));
        for (at, error) in failed {
            self.fail(at, error.to_string());
        }
    }

    /// Asks where the logs of stores end that were just opened, and decides where to read from.
    pub(super) fn find_ends(&mut self) {
        let waiting = |task: &&Task| task.asks_for_end();
        let asked: Vec<_> = self.tasks.iter().filter(waiting).map(|task| task.at).collect();
        if asked.is_empty() {
            return;
        }
        let found = self.source.bounds(&asked, QUESTION).unwrap_or_else(|error| {
            tracing::warn!(%error, "The changelog's ends are not known, asking again.");
            std::thread::sleep(Duration::from_millis(200));
            Vec::new()
        });
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
                        tracing::warn!(at = %bounds.at, why,
                            "The table is rebuilt from its changelog.");
                        store.clear(&task.identity)?;
                        from
                    }
                };
                task.open(store, from, bounds.end);
                tracing::info!(at = %bounds.at, role = ?task.role, from, end = bounds.end,
                    "The store is brought up to date.");
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
}
