//! Opens gates that nobody else would: an instance that is not ready gets no requests, and without
//! requests there is nothing that could be acknowledged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::server::App;

/// How often closed gates are looked after.
const EVERY: Duration = Duration::from_secs(1);
/// How long the brokers may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the brokers while a gate is closed. The gate of the brokers opens when they answer; that of a
/// route when its topics have leaders and nothing has failed for `quiet`: until then requests find
/// out by themselves.
pub async fn watch(app: Arc<App>, quiet: Duration) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for index in 0..app.routes.len() {
            let gate = &app.routes[index].gate;
            let forgotten = gate.is_forgotten(quiet, Instant::now());
            if (forgotten || app.brokers.closed_since().is_some())
                && reaches(Arc::clone(&app), index).await
            {
                if app.brokers.open() {
                    tracing::info!("Brokers can be reached again.");
                }
                if forgotten && gate.open() {
                    let path = app.routes[index].settings.path.as_str();
                    tracing::info!(path, "Records are taken again: the topics have leaders.");
                }
            }
        }
    }
}

async fn reaches(app: Arc<App>, index: usize) -> bool {
    let ask = move || {
        let outputs = &app.routes[index].outputs;
        outputs.iter().all(|output| app.delivery.reaches(&output.topic, PATIENCE))
    };
    tokio::task::spawn_blocking(ask).await.unwrap_or(false)
}
