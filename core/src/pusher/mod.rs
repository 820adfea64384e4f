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

use crate::config::Config;
use anyhow::Context as _;
use rounds::Rounds;
use std::sync::mpsc;
use std::time::Duration;
use target::Target;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

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
    let rounds = Rounds::new(settings, target, exposition);
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
    std::thread::Builder::new()
        .name("nubium-pusher".into())
        .spawn(move || runtime.block_on(rounds.run(inbox)))
        .context("thread of the metrics pusher")?;
    Ok(Some(Pushing { orders, limit: settings.exit_timeout, finished: false }))
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
