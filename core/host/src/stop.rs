//! The request to stop: made once, seen everywhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::exit::{self, Exit};

type Callback = Box<dyn FnOnce() + Send>;

/// Carries one request to stop to every thread and task that holds a clone.
///
/// A request is never taken back. The first one counts; later ones change nothing.
#[derive(Clone)]
pub struct Stop(Arc<Inner>);

struct Inner {
    why: OnceLock<(String, Instant)>,
    seen: watch::Sender<bool>,
    callbacks: Mutex<Callbacks>,
    /// Threads wait on this one: they have no runtime.
    threads: Condvar,
}

#[derive(Default)]
struct Callbacks {
    next: u64,
    waiting: BTreeMap<u64, Callback>,
}

impl Stop {
    /// Makes a handle with no request yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            why: OnceLock::new(),
            seen: watch::Sender::new(false),
            callbacks: Mutex::default(),
            threads: Condvar::new(),
        }))
    }

    /// Asks everybody to stop. `why` is for the log, such as "signal SIGTERM".
    ///
    /// Wakes all waiters, then runs the callbacks in the calling thread.
    pub fn request(&self, why: &str) {
        let inner = &*self.0;
        let mut first = false;
        inner.why.get_or_init(|| {
            first = true;
            (why.to_owned(), Instant::now())
        });
        if !first {
            return;
        }
        let callbacks = {
            // Under the lock, so that no thread checks, misses this and then waits for ever.
            let mut callbacks = inner.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
            inner.seen.send_replace(true);
            inner.threads.notify_all();
            std::mem::take(&mut callbacks.waiting)
        };
        callbacks.into_values().for_each(|callback| callback());
    }

    /// Tells whether a stop was asked for. One atomic load; fit for every turn of a loop.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.why.get().is_some()
    }

    /// Returns why a stop was asked for, once it was.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.0.why.get().map(|(why, _)| why.as_str())
    }

    /// Returns what is left of a stop's time, counted from its request; all of it before one.
    #[must_use]
    pub fn left(&self, limit: Duration) -> Duration {
        let since = self.0.why.get().map(|(_, asked)| asked.elapsed());
        limit.saturating_sub(since.unwrap_or_default())
    }

    /// Waits, as a task, until a stop is asked for.
    pub async fn wait(&self) {
        let mut seen = self.0.seen.subscribe();
        // An error means that the sender is gone, and `self` holds it.
        let _ = seen.wait_for(|stopped| *stopped).await;
    }

    /// Waits, as a thread, until a stop is asked for or the time is over. Returns whether it was.
    #[must_use]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        let guard = self.0.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = |_: &mut Callbacks| !*self.0.seen.borrow();
        drop(
            self.0
                .threads
                .wait_timeout_while(guard, limit, seen)
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.requested()
    }

    /// Registers what wakes a thread that waits for something else, such as a poll of Kafka.
    ///
    /// Runs at once when a stop was asked for already. A callback must return quickly. Dropping
    /// the returned hook takes it back.
    pub fn on_request(&self, callback: impl FnOnce() + Send + 'static) -> StopHook {
        let mut callbacks = self.0.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        let id = callbacks.next;
        callbacks.next += 1;
        if *self.0.seen.borrow() {
            drop(callbacks);
            callback();
        } else {
            callbacks.waiting.insert(id, Box::new(callback));
        }
        StopHook { stop: self.clone(), id }
    }

    /// Bounds what a request may take: a process that has not ended `limit` after one says
    /// `last_words` and exits with [`Exit::StopTimedOut`].
    ///
    /// Dropping the returned hook before a request takes the bound back.
    pub fn bound(&self, limit: Duration, last_words: impl FnOnce() + Send + 'static) -> StopHook {
        self.on_request(move || {
            let wait = move || {
                std::thread::sleep(limit);
                exit::at_once(Exit::StopTimedOut.code(), last_words);
            };
            let _ = std::thread::Builder::new().name("nubium-stop-limit".into()).spawn(wait);
        })
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stop").field(&self.why()).finish()
    }
}

/// Keeps a callback of [`Stop::on_request`] registered until it is dropped.
#[derive(Debug)]
#[must_use = "dropping the hook takes the callback back"]
pub struct StopHook {
    stop: Stop,
    id: u64,
}

impl Drop for StopHook {
    fn drop(&mut self) {
        let callback = {
            let inner = &*self.stop.0;
            let mut callbacks = inner.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
            callbacks.waiting.remove(&self.id)
        };
        // Outside the lock: what the callback captured may itself hold a hook.
        drop(callback);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_first_request_counts() {
        let stop = Stop::new();
        assert!(!stop.requested() && stop.why().is_none());
        stop.clone().request("first");
        stop.request("second");
        assert!(stop.requested());
        assert_eq!(stop.why(), Some("first"));
        assert!(stop.left(Duration::from_secs(60)) <= Duration::from_secs(60));
        assert_eq!(stop.left(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn callbacks_run_once_also_when_registered_late_and_not_when_dropped() {
        let (stop, runs) = (Stop::new(), Arc::new(AtomicUsize::new(0)));
        let count = |by: usize| {
            let runs = runs.clone();
            move || {
                runs.fetch_add(by, Ordering::SeqCst);
            }
        };
        let _kept = stop.on_request(count(1));
        drop(stop.on_request(count(100)));
        stop.request("test");
        stop.request("again");
        let _late = stop.on_request(count(10));
        assert_eq!(runs.load(Ordering::SeqCst), 11);
    }

    #[test]
    fn wakes_threads_and_tasks() {
        let stop = Stop::new();
        assert!(!stop.wait_timeout(Duration::from_millis(1)), "nothing was asked for yet");
        let thread = std::thread::spawn({
            let stop = stop.clone();
            move || stop.wait_timeout(Duration::from_secs(60))
        });
        let task = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                runtime.expect("runtime").block_on(stop.wait());
            }
        });
        stop.request("test");
        assert!(thread.join().expect("thread"));
        task.join().expect("task");
    }
}
