//! Settings of a process that pushes, and the process.

use anyhow::{Context, Result};
use nubium_core::metrics::Metrics;
use nubium_core::{Config, Exposition, Pushing, start_pushing};
use nubium_test_kit::dns::NameServer;
use nubium_test_kit::exposition::{Sample, parse};
use nubium_test_kit::pods::Request;

/// The service's name in these tests.
pub(crate) const SERVICE: &str = "metrics-cache-headless.marketing.svc.cluster.local";

/// Often enough for tests.
pub(crate) const OFTEN: (&str, &str) = ("NU_METRICS_PUSH_RATE", "0.1");
/// Only at the start and at the end.
pub(crate) const SELDOM: (&str, &str) = ("NU_METRICS_PUSH_RATE", "86400");

/// What a process needs that pushes to this port of the service.
pub(crate) fn config(dns: &NameServer, port: u16, more: &[(&str, &str)]) -> Result<Config> {
    let (server, port) = (dns.address().to_string(), port.to_string());
    let mut vars = vec![
        ("NU_APP_NAME", "pusher"),
        ("NU_HOSTNAME", "pusher-0"),
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", r#"{"main": {"url": "127.0.0.1:1"}}"#),
        ("NU_TOPIC_CONFIGS_JSON", "{}"),
        ("NU_SCHEMA_REGISTRY_URL", "http://127.0.0.1:1"),
        ("NU_METRICS_SERVICE_NAME", SERVICE),
        ("NU_METRICS_DNS_SERVER", &server),
        ("NU_METRICS_POD_PORT", &port),
        ("NU_METRICS_SERVICE_PORT", &port),
    ];
    vars.extend_from_slice(more);
    let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(Config::from_vars(vars).map_err(|problems| anyhow::anyhow!("{problems}"))?.config)
}

/// Starts to push new metrics.
pub(crate) fn start(config: &Config) -> Result<(Metrics, Pushing)> {
    let metrics = Metrics::new(&config.app.name, &config.app.hostname);
    let pushing = start_pushing(config, &Exposition::new(&metrics, None))?;
    Ok((metrics, pushing.context("pushing is on")?))
}

/// The sum of a counter's series in a push.
pub(crate) fn sum(request: &Request, name: &str) -> f64 {
    let samples = parse(&request.body).unwrap_or_else(|error| panic!("{error:#}"));
    sum_of(&samples, name)
}

/// The sum of a counter's series.
pub(crate) fn sum_of(samples: &[Sample], name: &str) -> f64 {
    samples.iter().filter(|sample| sample.name == name).map(|sample| sample.value).sum()
}
