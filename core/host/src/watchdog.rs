//! Limits for calls that may never return.
//!
//! Some calls into librdkafka can hang past their own time-out (librdkafka issues 5456 and 5511).
//! No thread can be freed from such a call, so the process has to end and be started again.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::errors::Code;
use crate::exit::{self, Exit};

/// How often the thread looks while something is being watched. A later wake-up than this means
/// that the whole process stood still (SIGSTOP, a frozen virtual machine), which is no hang.
const TICK: Duration = Duration::from_millis(500);

/// What a wake-up may be late by before the time counts as standing still.
const LATE: Duration = Duration::from_secs(1);

/// Describes a call that overstayed its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdue {
    /// The name given to [`Watchdog::watch`].
    pub name: &'static str,
    /// How long the call has been running, without time in which the process was stopped.
    pub elapsed: Duration,
    /// How long it was allowed to run.
    pub limit: Duration,
}

/// Watches calls from one thread; clones share it, and the thread ends with the last of them.
#[derive(Clone)]
pub struct Watchdog(Arc<Handle>);

/// Ends the thread when the last clone and the last guard are gone.
struct Handle(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    watched: Vec<Watched>,
    closed: bool,
    /// The thread looks from time to time; else it sleeps until it is woken, or has yet to start.
    awake: bool,
    /// When the thread looked last, or was woken: what passes from then to the next look beyond
    /// what was asked for counts as standing still, wherever the thread was meanwhile.
    looked: Option<Instant>,
}

struct Watched {
    id: u64,
    name: &'static str,
    since: Instant,
    limit: Duration,
    reported: bool,
}

impl Watchdog {
    /// Starts a watchdog that logs the overdue call and exits with [`Exit::Hung`].
    ///
    /// # Errors
    /// Fails when the thread cannot be started.
    pub fn exiting() -> io::Result<Self> {
        Self::with_action(|overdue| exit::at_once(Exit::Hung.code(), move || log(&overdue)))
    }

    /// Starts a watchdog that calls `action` once for each overdue call, from its own thread.
    ///
    /// # Errors
    /// Fails when the thread cannot be started.
    pub fn with_action(action: impl Fn(Overdue) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        thread::Builder::new().name("nubium-watchdog".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(&action)
        })?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Watches a call until the guard is dropped.
    ///
    /// Costs one short lock at either end, so a few calls per transaction are nothing.
    pub fn watch(&self, name: &'static str, limit: Duration) -> WatchGuard {
        let shared = &self.0.0;
        let mut state = shared.lock();
        let id = state.next;
        state.next += 1;
        let since = Instant::now();
        state.watched.push(Watched { id, name, since, limit, reported: false });
        if !state.awake || limit < TICK {
            shared.changed.notify_one();
        }
        if !state.awake {
            (state.awake, state.looked) = (true, Some(since));
        }
        WatchGuard { handle: Arc::clone(&self.0), id }
    }
}

/// Ends the watch of one call when it is dropped.
#[must_use = "the call is watched only while the guard lives"]
pub struct WatchGuard {
    handle: Arc<Handle>,
    id: u64,
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        let mut state = self.handle.0.lock();
        if let Some(at) = state.watched.iter().position(|watched| watched.id == self.id) {
            state.watched.swap_remove(at);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, action: &dyn Fn(Overdue)) {
        let mut state = self.lock();
        while !state.closed {
            if state.watched.is_empty() {
                state.awake = false;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let before = state.looked.unwrap_or_else(Instant::now);
            let asked = state.nap(before);
            let woken = self.changed.wait_timeout(state, asked);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
            let now = Instant::now();
            state.excuse(stood_still(asked, now - before), now);
            state.looked = Some(now);
            let overdue = state.overdue(now);
            if !overdue.is_empty() {
                drop(state);
                overdue.into_iter().for_each(action);
                state = self.lock();
                state.looked = Some(Instant::now());
            }
        }
    }
}

impl State {
    /// Returns how long the thread may sleep: to the next deadline, one tick at most.
    fn nap(&self, now: Instant) -> Duration {
        let left = |watched: &Watched| watched.limit.saturating_sub(now - watched.since);
        let open = self.watched.iter().filter(|watched| !watched.reported);
        open.map(left).min().unwrap_or(TICK).min(TICK)
    }

    /// Takes time in which the whole process stood still off every running call.
    fn excuse(&mut self, still: Duration, now: Instant) {
        if still.is_zero() {
            return;
        }
        for watched in &mut self.watched {
            watched.since = (watched.since + still).min(now);
        }
    }

    /// Returns the calls that are past their limit, each once.
    fn overdue(&mut self, now: Instant) -> Vec<Overdue> {
        let late = |watched: &&mut Watched| {
            !watched.reported && now.saturating_duration_since(watched.since) >= watched.limit
        };
        let report = |watched: &mut Watched| {
            watched.reported = true;
            let elapsed = now.saturating_duration_since(watched.since);
            Overdue { name: watched.name, elapsed, limit: watched.limit }
        };
        self.watched.iter_mut().filter(late).map(report).collect()
    }
}

/// Returns how much of a sleep was not asked for, if that is too much for a busy machine.
fn stood_still(asked: Duration, slept: Duration) -> Duration {
    let late = slept.saturating_sub(asked);
    if late < LATE { Duration::ZERO } else { late }
}

fn log(overdue: &Overdue) {
    tracing::error!(
        call = overdue.name,
        elapsed_ms = overdue.elapsed.as_millis(),
        limit_ms = overdue.limit.as_millis(),
        "{}: A call did not return within its limit: exiting, as its thread cannot be freed. \
         Nothing uncommitted is visible to readers and it will be read again. Check the brokers.",
        Code::CallHung
    );
}

#[cfg(test)]
mod tests;
