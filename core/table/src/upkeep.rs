//! What a keeper does now and then: it reports, syncs, and looks who owns what.

use super::keeper::{Keeper, QUESTION};
use super::reader::{Phase, Role};
use super::source::ChangelogSource;
use super::standby::followed;
use super::task::Task;
use nubium_topic::TopicPartition;
use std::time::{Duration, Instant};

/// How often progress is logged.
const REPORT: Duration = Duration::from_secs(5);
/// How often stores are brought to the disk, so that closing them is quick.
const SYNC: Duration = Duration::from_secs(30);
/// How often the group is asked who owns what.
const LOOK_ROUND: Duration = Duration::from_secs(5);

impl<S: ChangelogSource> Keeper<S> {
    /// Tells how recoveries go.
    pub(super) fn report(&mut self) {
        let log = self.reported.elapsed() >= REPORT;
        if log {
            self.reported = Instant::now();
        }
        for task in self.tasks.iter_mut().filter(|task| !task.is_done()) {
            let phase = task.phase();
            self.shared.set_phase(task.at, phase);
            if let (Phase::Recovering { rows, rate, left }, true) = (phase, log) {
                tracing::info!(at = %task.at, role = ?task.role, rows, rate = rate.round(), ?left,
                    "Recovering.");
                if let Some(metrics) = self.shared.metrics() {
                    let (topic, partition) = (task.at.topic.name(), task.at.partition);
                    let left = left.map_or(0.0, |left| left.as_secs_f64());
                    metrics.table_recovery(topic, partition, rate, left);
                }
            }
        }
    }

    pub(super) fn sync_due(&mut self) {
        if self.synced.elapsed() < SYNC {
            return;
        }
        let Some(changelog) = self.settings.changelog else { return };
        for (_, _, store) in self.shared.stores(changelog.name()) {
            if let Err(error) = store.sync() {
                tracing::warn!(%error, "The store could not be brought to the disk.");
            }
        }
        self.synced = Instant::now();
    }

    /// Asks the group who owns what, and follows what is to be followed.
    pub(super) fn look_round(&mut self) {
        let Some(changelog) = self.settings.changelog else { return };
        let due = self.looked_round.is_none_or(|at| at.elapsed() >= LOOK_ROUND);
        if self.settings.standby_replicas == 0 || !due {
            return;
        }
        self.looked_round = Some(Instant::now());
        let members = match self.source.members(QUESTION) {
            Ok(members) => members,
            Err(error) => {
                tracing::warn!(%error, "It is not known who owns what: standbys stay as they are.");
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
