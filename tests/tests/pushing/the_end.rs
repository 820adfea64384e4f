//! The end of a process: a last push, or the group is taken back.

use anyhow::Result;
use nubium_core::pusher::End;
use nubium_test_kit::dns::{Answer, NameServer};
use nubium_test_kit::pods::{Behaviour, Pod};

use crate::settings::{SELDOM, SERVICE, config, start, sum};

const DELETE: (&str, &str) = ("NU_METRICS_DELETE_ON_EXIT", "true");

#[test]
fn the_last_push_holds_what_was_counted_last() -> Result<()> {
    for (end, delete, method) in [
        (Some(End::Clean), false, "PUT"),
        (Some(End::Clean), true, "DELETE"),
        (Some(End::Failed), true, "PUT"),
        // Dropped by an error that goes through `main`, or a panic.
        (None, true, "PUT"),
    ] {
        let dns = NameServer::start()?;
        let (port, pods) = Pod::on_one_port(&["127.0.0.2", "127.0.0.3"])?;
        dns.set_addresses(SERVICE, &["127.0.0.2", "127.0.0.3"]);
        let settings: &[_] = if delete { &[SELDOM, DELETE] } else { &[SELDOM] };
        let (metrics, pushing) = start(&config(&dns, port, settings)?)?;
        for pod in &pods {
            pod.got(1)?;
        }
        metrics.inc_message_errors("Planned");
        match end {
            Some(end) => pushing.finish(end),
            None => drop(pushing),
        }
        // No waiting: it was pushed before the process could go on.
        for pod in &pods {
            let requests = pod.requests();
            assert_eq!(requests.len(), 2, "{end:?}, delete: {delete}");
            assert_eq!(requests[1].method, method, "{end:?}, delete: {delete}");
            assert_eq!(requests[1].path, "/metrics/job/pusher-0");
            if method == "PUT" {
                assert_eq!(sum(&requests[1], "message_errors"), 1.0);
            }
        }
    }
    Ok(())
}

#[test]
fn a_silent_name_server_or_a_hanging_pod_takes_the_last_push_from_no_other() -> Result<()> {
    let dns = NameServer::start()?;
    let (port, pods) = Pod::on_one_port(&["127.0.0.2", "127.0.0.3"])?;
    dns.set_addresses(SERVICE, &["127.0.0.2", "127.0.0.3"]);
    let limit = ("NU_METRICS_EXIT_TIMEOUT_SECONDS", "2");
    let (metrics, pushing) = start(&config(&dns, port, &[SELDOM, limit])?)?;
    for pod in &pods {
        pod.got(1)?;
    }
    dns.set(SERVICE, Answer::Silence);
    pods[1].behave(Behaviour::Hang);
    metrics.inc_message_errors("Planned");
    pushing.finish(End::Failed);
    let requests = pods[0].requests();
    assert_eq!(sum(&requests[requests.len() - 1], "message_errors"), 1.0);
    Ok(())
}

#[test]
fn a_push_can_be_asked_for_at_any_time() -> Result<()> {
    let dns = NameServer::start()?;
    let (port, pods) = Pod::on_one_port(&["127.0.0.2"])?;
    dns.set_addresses(SERVICE, &["127.0.0.2"]);
    let (metrics, pushing) = start(&config(&dns, port, &[SELDOM])?)?;
    pods[0].got(1)?;
    metrics.inc_messages_produced("orders", 5);
    pushing.push_now();
    assert_eq!(sum(&pods[0].got(2)?, "messages_produced"), 5.0);
    pushing.finish(End::Clean);
    Ok(())
}
