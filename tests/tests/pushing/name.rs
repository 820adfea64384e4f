//! The service's name: every address of it, as it is now.

use anyhow::Result;
use hickory_resolver::proto::rr::RecordType;
use nubium_test_kit::dns::{Answer, NameServer};
use nubium_test_kit::pods::Pod;

use crate::settings::{OFTEN, SERVICE, config, start, sum};

#[test]
fn every_address_gets_the_whole_registry_and_changes_are_seen_at_once() -> Result<()> {
    let dns = NameServer::start()?;
    let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "::1"];
    let (port, pods) = Pod::on_one_port(&addresses)?;
    dns.set_addresses(SERVICE, &["127.0.0.2", "127.0.0.3", "::1"]);
    let (metrics, pushing) = start(&config(&dns, port, &[OFTEN])?)?;
    metrics.inc_messages_consumed("orders", 3);
    for pod in [&pods[0], &pods[1], &pods[3]] {
        let arrived = |r: &[_]| r.last().is_some_and(|last| sum(last, "messages_consumed") == 3.0);
        let request = pod.eventually("the count at each pod", arrived)?;
        assert_eq!((request.method.as_str(), &*request.path), ("PUT", "/metrics/job/pusher-0"));
        let kind = &request.headers["content-type"];
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        assert!(request.body.contains("process_resident_memory_bytes"), "{}", request.body);
        assert!(
            request.body.contains(r#"nubium_metrics_push_pods{app="pusher",job="pusher-0"} 3"#)
        );
    }
    assert!(pods[2].requests().is_empty(), "it is no pod of the service yet");
    assert!(dns.asked(SERVICE, RecordType::A) >= 1 && dns.asked(SERVICE, RecordType::AAAA) >= 1);

    // One goes, one comes; the time to live of the old answer is an hour.
    dns.set_addresses(SERVICE, &["127.0.0.3", "127.0.0.4", "::1"]);
    pods[2].got(1)?;
    let gone = pods[0].requests().len();
    pods[2].got(3)?;
    assert_eq!(pods[0].requests().len(), gone, "it is no pod of the service any more");
    drop(pushing);
    Ok(())
}

#[test]
fn a_name_that_is_not_there_yet_is_found_later_and_a_failing_server_loses_no_pod() -> Result<()> {
    let dns = NameServer::start()?;
    let (port, pods) = Pod::on_one_port(&["127.0.0.2"])?;
    let (_metrics, pushing) = start(&config(&dns, port, &[OFTEN])?)?;
    let asked = || dns.asked(SERVICE, RecordType::A);
    nubium_test_kit::wait::until(
        "three look-ups in vain",
        nubium_test_kit::scenario::DEADLINE,
        || asked() >= 3,
    )?;
    assert!(pods[0].requests().is_empty());
    dns.set_addresses(SERVICE, &["127.0.0.2"]);
    let first = pods[0].got(1)?;
    assert!(sum(&first, "nubium_metrics_lookup_failures_total") >= 2.0, "{}", first.body);

    dns.set(SERVICE, Answer::Failure);
    let before = sum(&pods[0].got(1)?, "nubium_metrics_lookup_failures_total");
    pods[0].eventually("pushes although the name server fails", |requests| {
        let counted = |r| sum(r, "nubium_metrics_lookup_failures_total");
        requests.last().is_some_and(|last| counted(last) >= before + 2.0)
    })?;
    drop(pushing);
    Ok(())
}
