//! Debian's Pushgateway takes what is pushed.

use anyhow::Result;
use nubium_test_kit::dns::NameServer;
use nubium_test_kit::pushgateway::Pushgateway;

use crate::settings::{OFTEN, SERVICE, config, start, sum_of};

#[test]
fn the_stock_pushgateway_takes_every_push_under_any_job_name() -> Result<()> {
    let dns = NameServer::start()?;
    dns.set_addresses(SERVICE, &["127.0.0.1"]);
    let dir = tempfile::tempdir()?;
    let gateway = Pushgateway::start(dir.path())?;
    for job in ["pusher-0", "team/ünï code 50%", ".."] {
        let settings = [OFTEN, ("NU_HOSTNAME", job)];
        let (metrics, pushing) = start(&config(&dns, gateway.port(), &settings)?)?;
        metrics.inc_messages_consumed("orders", 3);
        metrics.inc_message_errors("Planned");
        metrics.histogram("waits", "Waits.", &[], &[1.0])?.with(&[])?.observe(0.5);
        let counted = |samples: &[_]| {
            sum_of(samples, "messages_consumed") == 3.0
                && sum_of(samples, "message_errors") == 1.0
                && sum_of(samples, "waits_count") == 1.0
                && sum_of(samples, "nubium_metrics_pushes_total") >= 2.0
        };
        let samples = gateway.eventually(&format!("the job {job:?}"), job, counted)?;
        let app = samples.iter().find(|sample| sample.name == "messages_consumed");
        assert_eq!(app.map(|sample| sample.labels["app"].as_str()), Some("pusher"));
        drop(pushing);
    }
    Ok(())
}

/// An app of nubium-utils pushes gauges; a Pushgateway refuses one name with two types.
#[test]
fn beside_apps_of_nubium_utils_the_metrics_go_as_gauges() -> Result<()> {
    let dns = NameServer::start()?;
    dns.set_addresses(SERVICE, &["127.0.0.1"]);
    let dir = tempfile::tempdir()?;
    let gateway = Pushgateway::start(dir.path())?;
    let old = "# TYPE messages_consumed gauge\nmessages_consumed{app=\"old\",topic=\"t\"} 7\n";
    assert_eq!(gateway.send("PUT", "/metrics/job/old-0", old)?.0, 200);
    for (as_gauges, taken) in [("false", false), ("true", true)] {
        let setting = ("NU_METRICS_AS_GAUGES", as_gauges);
        let (metrics, pushing) = start(&config(&dns, gateway.port(), &[OFTEN, setting])?)?;
        metrics.inc_messages_consumed("orders", 3);
        let outcome = if taken { "ok" } else { "refused" };
        let pushed = format!(
            "nubium_metrics_pushes_total{{app=\"pusher\",job=\"pusher-0\",outcome=\"{outcome}\"}} 2"
        );
        nubium_test_kit::wait::until("two pushes", nubium_test_kit::scenario::DEADLINE, || {
            metrics.text().contains(&pushed)
        })?;
        drop(pushing);
        let held = sum_of(&gateway.job("pusher-0")?, "messages_consumed");
        assert_eq!(held, if taken { 3.0 } else { 0.0 });
    }
    assert_eq!(sum_of(&gateway.job("old-0")?, "messages_consumed"), 7.0);
    Ok(())
}
