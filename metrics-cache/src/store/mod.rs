//! What the cache holds: the groups, and rules that make any scrape of them valid.
//!
//! ```text
//! body ─▶ compile (no lock)
//!          └─▶ State::push: check ▸ apply (write lock, costs what the push does)
//!              State::snapshot (read lock, pointers alone) ─▶ scrape, file, peers
//! ```
//!
//! Contract: a push is taken whole or not at all. Families are never changed once made, so a
//! snapshot stays valid while pushes go on.

mod check;
mod compile;
mod deletions;
pub(crate) mod persist;
pub(crate) mod saved;
mod state;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use compile::compile;
pub(crate) use state::{Group, Mode, Snapshot, State};

use crate::family::Body;
use crate::limits::{PushError, PushLimits};
use crate::path::GroupKey;

/// When the last push of a group succeeded. A series of every group.
pub(crate) const PUSH_TIME: &str = "push_time_seconds";
/// When the last push of a group failed. A series of every group.
pub(crate) const FAILURE_TIME: &str = "push_failure_time_seconds";

/// The one store of the process, shared by all handlers.
pub(crate) struct Store {
    state: RwLock<State>,
    limits: PushLimits,
    /// Counts what changed the state, so that an unchanged one need not be written again.
    changes: AtomicU64,
}

impl Store {
    /// Makes an empty store. `own` are the names and types of the cache's own metrics, which a
    /// push must agree with.
    pub(crate) fn new(limits: PushLimits, own: state::OwnNames) -> Self {
        Self { state: RwLock::new(State::new(own)), limits, changes: AtomicU64::new(0) }
    }

    /// Returns the bounds of a push.
    pub(crate) fn limits(&self) -> &PushLimits {
        &self.limits
    }

    /// Takes a push. `expire_after` is the push's own wish; `None` leaves it to the server's flag.
    ///
    /// # Errors
    /// Why it was not taken. An inconsistent one has left its time in the group, which is made if
    /// need be.
    pub(crate) fn push(
        &self,
        key: &GroupKey,
        body: Body<'_>,
        mode: Mode,
        expire_after: Option<Duration>,
    ) -> Result<(), PushError> {
        let now = now();
        let compiled = compile(key, body, now, &self.limits);
        let taken = compiled.and_then(|families| {
            self.write().push(key, families, mode, now, expire_after, &self.limits)
        });
        if let Err(PushError::Inconsistent(_)) = &taken {
            self.fail(key);
        }
        self.changed();
        taken
    }

    /// Notes that a push of this group failed now.
    pub(crate) fn fail(&self, key: &GroupKey) {
        self.write().fail(key, now(), &self.limits);
        self.changed();
    }

    /// Removes a group; it is no error if there is none.
    pub(crate) fn delete(&self, key: &GroupKey) {
        self.write().delete_for_good(key, now());
        self.changed();
    }

    /// Removes every group.
    pub(crate) fn wipe(&self) {
        self.write().wipe(now());
        self.changed();
    }

    /// Removes the groups that nobody pushed to for as long as they may stay. Returns how many.
    pub(crate) fn expire(&self, default: Duration) -> usize {
        let now = now();
        let stale = self.read().stale(now, default);
        if stale.is_empty() {
            return 0;
        }
        let mut state = self.write();
        // A push may have come in between.
        let gone = stale.iter().filter(|key| state.delete_if_stale(key, now, default)).count();
        drop(state);
        self.changed();
        gone
    }

    /// Takes a group from a file or a peer unless the group held is newer. Returns whether it did.
    pub(crate) fn adopt(&self, key: &GroupKey, group: saved::Restored) -> Result<bool, PushError> {
        let taken = self.write().adopt(key, group, &self.limits);
        self.changed();
        taken
    }

    /// Says that everything from before the start is here, so that deletions need no memory.
    pub(crate) fn settle(&self) {
        self.write().settle();
    }

    /// Returns all that is held at this moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.read().snapshot()
    }

    /// Looks at the state, under the read lock: be quick.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a number that differs once anything changed.
    pub(crate) fn version(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }
}

/// Returns the time in nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns such a time in seconds, as the series of a group show it; 0 is never.
pub(crate) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
