//! The rounds of pushes: look the service up, push to every pod, note what came of it.
//!
//! Look-ups and pushes are tasks of their own, and this loop only starts them and hears of their
//! end, so none of them waits for another.

use super::exposition::{Exposition, as_gauges};
use super::pod::{Change, Health, Pod};
use super::resolve::{Lookup, Service};
use super::target::{Job, PushError, Target};
use super::{End, Order};
use crate::{PushMetrics, PushOutcome};
use futures::FutureExt as _;
use nubium_config::MetricsPush;
use reqwest::Method;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// What a task ended with.
enum Event {
    LookedUp(Lookup),
    Pushed { pod: IpAddr, answer: Result<u16, PushError>, took: Duration },
}

/// Runs a task whose panic is an answer too: what waits for it would wait for ever.
async fn or_broken<T>(task: impl Future<Output = T>, instead: T) -> T {
    let ran = AssertUnwindSafe(task).catch_unwind().await;
    ran.unwrap_or_else(|_| {
        tracing::error!("A task of the metrics pusher panicked; it is tried again.");
        instead
    })
}

/// Everything the pusher's thread knows.
pub(super) struct Rounds {
    exposition: Exposition,
    counts: PushMetrics,
    service: Service,
    target: Arc<Target>,
    interval: Duration,
    as_gauges: bool,
    delete_on_exit: bool,
    round: u64,
    /// The last job of all, once the end has come.
    last: Option<Job>,
    pods: BTreeMap<IpAddr, Pod>,
    looking_up: bool,
    lookup: Health,
    tasks: JoinSet<Event>,
}

impl Rounds {
    pub(super) fn new(
        settings: &MetricsPush,
        target: Arc<Target>,
        exposition: &Exposition,
    ) -> Self {
        Self {
            exposition: exposition.clone(),
            counts: exposition.metrics().for_pushing(),
            service: Service::new(&settings.service_name, settings.dns_server),
            target,
            interval: settings.interval,
            as_gauges: settings.as_gauges,
            delete_on_exit: settings.delete_on_exit,
            round: 0,
            last: None,
            pods: BTreeMap::new(),
            looking_up: false,
            lookup: Health::default(),
            tasks: JoinSet::new(),
        }
    }

    /// Pushes at once, then at the set rate and when ordered to, until the end.
    pub(super) async fn run(mut self, orders: &mut UnboundedReceiver<Order>) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.look_up(),
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                order = orders.recv() => match order {
                    Some(Order::Push) => {
                        ticks.reset();
                        self.look_up();
                    }
                    Some(Order::Finish { end, limit, done }) => {
                        self.finish(end, limit).await;
                        drop(done);
                        return;
                    }
                    None => return,
                }
            }
        }
    }

    /// Pushes for the last time. The pods that are known get it at once: the name server may be
    /// slow.
    async fn finish(&mut self, end: End, limit: Duration) {
        let delete = end == End::Clean && self.delete_on_exit;
        let method = if delete { Method::DELETE } else { Method::PUT };
        let job = self.job(method, true);
        self.last = Some(job.clone());
        self.give(&job);
        self.looking_up = false;
        self.look_up();
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                self.ended(ended);
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(?limit, "The last push of metrics did not reach every pod in time.");
        }
    }

    fn look_up(&mut self) {
        if !std::mem::replace(&mut self.looking_up, true) {
            let service = self.service.clone();
            self.tasks.spawn(async move {
                let lookup = service.look_up();
                Event::LookedUp(or_broken(lookup, Lookup::Failed("it panicked".into())).await)
            });
        }
    }

    fn ended(&mut self, ended: Result<Event, tokio::task::JoinError>) {
        match ended {
            Ok(Event::LookedUp(lookup)) => self.looked_up(lookup),
            Ok(Event::Pushed { pod, answer, took }) => self.pushed(pod, &answer, took),
            Err(error) => tracing::error!(%error, "A push of metrics broke off."),
        }
    }

    fn looked_up(&mut self, lookup: Lookup) {
        self.looking_up = false;
        let change = self.lookup.note(matches!(lookup, Lookup::Found(_)));
        match lookup {
            Lookup::Found(found) => {
                if change == Change::Recovered {
                    let service = self.service.name();
                    tracing::info!(service, pods = found.len(), "Found the metrics service.");
                }
                self.know(found);
            }
            Lookup::Nobody => {
                self.know(BTreeSet::new());
                self.not_found(change, "it has no address");
            }
            // The addresses of the last time may still be right.
            Lookup::Failed(why) => self.not_found(change, &why),
        }
        let job = self.last.clone().unwrap_or_else(|| self.job(Method::PUT, false));
        self.give(&job);
    }

    fn not_found(&self, change: Change, why: &str) {
        self.counts.lookup_failed();
        if change == Change::Fails {
            let service = self.service.name();
            tracing::warn!(
                service,
                why,
                "Cannot find the metrics service. Check NU_METRICS_SERVICE_NAME and \
                 NU_MP_PROJECT, or set NU_DO_METRICS_PUSHING=false."
            );
        }
    }

    /// Keeps the pods that are still there, and takes the new ones up.
    fn know(&mut self, found: BTreeSet<IpAddr>) {
        self.counts.looked_up(found.len());
        self.pods.retain(|pod, _| found.contains(pod));
        for pod in found {
            self.pods.entry(pod).or_default();
        }
    }

    fn job(&mut self, method: Method, last: bool) -> Job {
        self.round += 1;
        let text = self.exposition.text();
        let body = if self.as_gauges { as_gauges(&text) } else { text };
        Job { round: self.round, method, body: body.into(), last }
    }

    fn give(&mut self, job: &Job) {
        let alone = self.pods.len() == 1;
        let mut due = Vec::new();
        for (address, pod) in &mut self.pods {
            due.extend(pod.offer(job).map(|job| (*address, job)));
        }
        for (address, job) in due {
            self.start(address, job, alone);
        }
    }

    fn start(&mut self, address: IpAddr, job: Job, alone: bool) {
        let Some(pod) = self.pods.get_mut(&address) else { return };
        let ports = pod.ports(self.target.pod_port, self.target.service_port, alone);
        let (target, kept) = (Arc::clone(&self.target), pod.client.clone());
        let client = match kept.map_or_else(|| target.client(address), Ok) {
            Ok(client) => pod.client.insert(client).clone(),
            Err(error) => {
                let answer = Err(PushError::NoAnswer(format!("no HTTP client: {error:?}")));
                self.tasks.spawn(async move {
                    Event::Pushed { pod: address, answer, took: Duration::ZERO }
                });
                return;
            }
        };
        self.tasks.spawn(async move {
            let start = Instant::now();
            let push = target.push(&client, address, &ports, &job);
            let answer = or_broken(push, Err(PushError::NoAnswer("it panicked".into()))).await;
            Event::Pushed { pod: address, answer, took: start.elapsed() }
        });
    }

    fn pushed(&mut self, address: IpAddr, answer: &Result<u16, PushError>, took: Duration) {
        let (outcome, why) = match answer {
            Ok(_) => (PushOutcome::Ok, ""),
            Err(PushError::Refused(why)) => (PushOutcome::Refused, &**why),
            Err(PushError::Connect(why) | PushError::NoAnswer(why)) => {
                (PushOutcome::Failed, &**why)
            }
        };
        self.counts.pushed(outcome, took);
        let alone = self.pods.len() == 1;
        // It may have gone meanwhile.
        let Some(pod) = self.pods.get_mut(&address) else { return };
        let next = pod.done(answer);
        match pod.health.note(answer.is_ok()) {
            Change::Fails => tracing::warn!(
                pod = %address,
                why,
                "Metrics do not reach a pod of the metrics cache; trying on."
            ),
            Change::Recovered => tracing::info!(pod = %address, "Metrics reach a pod again."),
            Change::Same => {}
        }
        if let Some(job) = next {
            self.start(address, job, alone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::or_broken;

    #[tokio::test]
    async fn a_task_that_panics_has_an_answer() {
        assert_eq!(or_broken(async { 1 }, 2).await, 1);
        assert_eq!(or_broken(async { panic!("as told") }, 2).await, 2);
    }
}
