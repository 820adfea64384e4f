//! Pushes the process's metrics to every pod of the metrics cache.
//!
//! [`start_pushing`] starts a thread with a small runtime of its own, so that neither an app
//! function that computes nor a runtime that is blocked holds a push up. Each round looks the
//! headless service up anew and PUTs everything to each of its addresses at once; a pod that does
//! not answer keeps nobody else waiting. [`Pushing::finish`], or dropping it, pushes for the last
//! time, within a bound.

mod exposition;
mod pod;
mod resolve;
mod rounds;
mod target;

pub use exposition::Exposition;

use anyhow::Context as _;
use nubium_config::Config;
use rounds::Rounds;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use target::Target;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Between a panic of the pusher and its new start.
const PAUSE: Duration = Duration::from_secs(1);

/// How an app ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it was asked to.
    Clean,
    /// By an error, which its last push tells of.
    Failed,
}

/// What the pusher's thread is told.
enum Order {
    Push,
    Finish {
        end: End,
        limit: Duration,
        /// Dropped when all is said.
        done: mpsc::Sender<()>,
    },
}

/// Starts to push, unless `NU_DO_METRICS_PUSHING` is off: then there is nothing to hold.
///
/// The first push comes at once. Problems of the network are logged and tried again, and never
/// reach the app.
///
/// # Errors
/// The certificates of `NU_METRICS_CA_FILE` cannot be used, or the system has no thread left.
pub fn start_pushing(config: &Config, exposition: &Exposition) -> anyhow::Result<Option<Pushing>> {
    let settings = &config.metrics;
    if !settings.enabled {
        return Ok(None);
    }
    let target = Target::new(settings, &config.app.hostname)?;
    let target = Arc::new(target);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("runtime of the metrics pusher")?;
    tracing::info!(
        service = settings.service_name,
        port = settings.pod_port,
        interval = ?settings.interval,
        "Pushing metrics."
    );
    let (orders, inbox) = unbounded_channel();
    let (own, exposition) = (settings.clone(), exposition.clone());
    let make = move || Rounds::new(&own, Arc::clone(&target), &exposition);
    std::thread::Builder::new()
        .name("nubium-pusher".into())
        .spawn(move || push_on(&runtime, inbox, make))
        .context("thread of the metrics pusher")?;
    Ok(Some(Pushing { orders, limit: settings.exit_timeout, finished: false }))
}

/// Pushes to the end. A panic, of what an app measures for instance, costs the rounds under way and
/// not all that come after.
fn push_on(runtime: &Runtime, mut inbox: UnboundedReceiver<Order>, make: impl Fn() -> Rounds) {
    loop {
        let rounds = || runtime.block_on(make().run(&mut inbox));
        if std::panic::catch_unwind(AssertUnwindSafe(rounds)).is_ok() {
            return;
        }
        tracing::error!(pause = ?PAUSE, "The pushing of metrics panicked; it starts again.");
        std::thread::sleep(PAUSE);
    }
}

/// Pushes until it is finished or dropped. Both block the thread they are called on while the last
/// push is under way.
#[must_use = "dropping it ends the pushing"]
pub struct Pushing {
    orders: UnboundedSender<Order>,
    limit: Duration,
    finished: bool,
}

impl Pushing {
    /// Pushes now, without waiting for it.
    pub fn push_now(&self) {
        // A thread that is gone has nothing to push any more.
        let _ = self.orders.send(Order::Push);
    }

    /// Pushes for the last time and waits for that, `NU_METRICS_EXIT_TIMEOUT_SECONDS` at most.
    ///
    /// After a clean end the group is deleted instead, if `NU_METRICS_DELETE_ON_EXIT` says so.
    pub fn finish(self, end: End) {
        let limit = self.limit;
        self.finish_within(end, limit);
    }

    /// Finishes within a limit of the caller's, if that is shorter.
    pub fn finish_within(mut self, end: End, limit: Duration) {
        self.last_push(end, limit.min(self.limit));
    }

    fn last_push(&mut self, end: End, limit: Duration) {
        self.finished = true;
        if limit.is_zero() {
            return;
        }
        let (done, wait) = mpsc::channel();
        if self.orders.send(Order::Finish { end, limit, done }).is_ok() {
            // Err either way: the sender is dropped when all is said, or the time is over.
            let _ = wait.recv_timeout(limit + Duration::from_millis(500));
        }
    }
}

/// Without [`Pushing::finish`] something has failed: what was counted is pushed all the same.
impl Drop for Pushing {
    fn drop(&mut self) {
        if !self.finished {
            self.last_push(End::Failed, self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metrics;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_panic_of_a_measurement_does_not_end_the_pushing() {
        let vars = [
            ("NU_APP_NAME", "app"),
            ("NU_HOSTNAME", "app-0"),
            ("NU_MP_PROJECT", "tests"),
            ("NU_SCHEMA_REGISTRY_URL", "http://127.0.0.1:1"),
            ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", r#"{"main": {"url": "127.0.0.1:1"}}"#),
            ("NU_TOPIC_CONFIGS_JSON", "{}"),
            ("NU_METRICS_SERVICE_NAME", "127.0.0.1"),
            ("NU_METRICS_POD_PORT", "1"),
        ];
        let vars = vars.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let config = Config::from_vars(vars).unwrap_or_else(|problems| panic!("{problems}")).config;
        let (measured, rounds) = (AtomicU32::new(0), mpsc::channel());
        let exposition =
            Exposition::new(&Metrics::new("app", "app-0"), None).measuring(move || {
                assert!(measured.fetch_add(1, Ordering::Relaxed) > 0, "panics once, as told");
                let _ = rounds.0.send(());
            });
        let pushing = start_pushing(&config, &exposition).unwrap().expect("it is on");
        rounds.1.recv_timeout(Duration::from_secs(60)).expect("a round after the panic");
        pushing.finish_within(End::Clean, Duration::from_secs(5));
    }
}
