//! Pods in trouble, and a service that is no headless one.

use anyhow::Result;
use nubium_test_kit::dns::NameServer;
use nubium_test_kit::exposition::{parse, sum_by};
use nubium_test_kit::pods::{Behaviour, Pod};

use crate::settings::{OFTEN, SERVICE, config, start};

#[test]
fn a_dead_a_hanging_and_a_failing_pod_delay_no_other() -> Result<()> {
    let dns = NameServer::start()?;
    let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
    let (port, pods) = Pod::on_one_port(&addresses)?;
    let (good, hanging, failing) = (&pods[0], &pods[1], &pods[2]);
    hanging.behave(Behaviour::Hang);
    failing.behave(Behaviour::Status(500));
    // Nobody listens on 127.0.0.5. What hangs is given up after an hour, and not by this test.
    dns.set_addresses(SERVICE, &["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]);
    let patient = ("NU_METRICS_PUSH_TIMEOUT_SECONDS", "3600");
    let exit = ("NU_METRICS_EXIT_TIMEOUT_SECONDS", "0.2");
    let (_metrics, pushing) = start(&config(&dns, port, &[OFTEN, patient, exit])?)?;
    let newest = good.got(10)?;
    assert_eq!(hanging.requests().len(), 1, "it is left alone while it hangs");
    failing.got(3)?;
    let outcomes = sum_by(&parse(&newest.body)?, "nubium_metrics_pushes_total", "outcome");
    assert!(outcomes["ok"] >= 8.0, "{outcomes:?}");
    assert!(outcomes["refused"] >= 2.0 && outcomes["failed"] >= 2.0, "{outcomes:?}");

    // A pod that is well again is pushed to again.
    failing.behave(Behaviour::Accept);
    let before = failing.requests().len();
    failing.got(before + 2)?;
    // The hanging one does not keep the process either.
    drop(pushing);
    Ok(())
}

#[test]
fn a_slow_pod_is_given_up_after_the_timeout_and_tried_again() -> Result<()> {
    let dns = NameServer::start()?;
    let (port, pods) = Pod::on_one_port(&["127.0.0.2"])?;
    pods[0].behave(Behaviour::Hang);
    dns.set_addresses(SERVICE, &["127.0.0.2"]);
    let timeout = ("NU_METRICS_PUSH_TIMEOUT_SECONDS", "0.3");
    let (_metrics, pushing) = start(&config(&dns, port, &[OFTEN, timeout])?)?;
    pods[0].got(3)?;
    pods[0].behave(Behaviour::Accept);
    let newest = pods[0].eventually("a push that counts the ones given up", |requests| {
        let outcomes = |body: &str| {
            let samples = parse(body).unwrap_or_default();
            sum_by(&samples, "nubium_metrics_pushes_total", "outcome")
        };
        requests.last().is_some_and(|last| {
            let outcomes = outcomes(&last.body);
            outcomes["failed"] >= 2.0 && outcomes["ok"] >= 1.0
        })
    })?;
    assert!(newest.body.contains("nubium_metrics_push_duration_seconds_count"));
    drop(pushing);
    Ok(())
}

#[test]
fn a_service_with_a_cluster_ip_is_pushed_to_on_its_own_port() -> Result<()> {
    let dns = NameServer::start()?;
    let (port, pods) = Pod::on_one_port(&["127.0.0.2"])?;
    dns.set_addresses(SERVICE, &["127.0.0.2"]);
    // Nobody listens on the pods' port there.
    let [free] = nubium_test_kit::ports::free()?;
    let (free, port) = (free.to_string(), port.to_string());
    let ports = [("NU_METRICS_POD_PORT", &*free), ("NU_METRICS_SERVICE_PORT", &*port)];
    let config = config(&dns, 1, &[&[OFTEN], &ports[..]].concat())?;
    let (_metrics, pushing) = start(&config)?;
    pods[0].got(3)?;
    drop(pushing);
    Ok(())
}
