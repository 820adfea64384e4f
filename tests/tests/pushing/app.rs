//! A real app on a real broker pushes to Debian's Pushgateway, among pods that are in trouble.

use anyhow::Result;
use nubium_test_kit::checker::Extent;
use nubium_test_kit::dns::NameServer;
use nubium_test_kit::exposition::{Sample, sum_by};
use nubium_test_kit::pods::{Behaviour, Pod};
use nubium_test_kit::process::Signal;
use nubium_test_kit::pushgateway::Pushgateway;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Scenario};
use nubium_test_kit::wait::{Look, eventually};

use crate::APP;
use crate::settings::{SERVICE, sum_of};
use crate::setup::{scenario_on, write_ledger};

const INPUTS: u32 = 2_000;

/// Makes the instances push to this port of the service.
fn push_to(scenario: &mut Scenario, dns: &NameServer, port: u16) {
    scenario
        .set("NU_DO_METRICS_PUSHING", "true")
        .set("NU_METRICS_SERVICE_NAME", SERVICE)
        .set("NU_METRICS_DNS_SERVER", dns.address().to_string())
        .set("NU_METRICS_POD_PORT", port.to_string())
        .set("NU_METRICS_PUSH_RATE", "0.2");
}

/// Says whether the app's own metrics are there and say that so many messages were consumed.
fn complete(samples: &[Sample], consumed: u32) -> bool {
    let is_there = |name: &str| sum_of(samples, name) > 0.0;
    sum_of(samples, "messages_consumed") == f64::from(consumed)
        && is_there("messages_produced")
        && is_there("nubium_transactions_committed_total")
        && is_there("nubium_commit_duration_seconds_count")
        && is_there("nubium_app_function_duration_seconds_count")
        && is_there("nubium_rebalances_total")
        && is_there("nubium_registry_requests_total")
        && is_there("process_cpu_seconds_total")
        && samples.iter().any(|sample| sample.name == "nubium_consumer_lag_messages")
        && sum_of(samples, "nubium_consumer_lag_messages") == 0.0
        && samples.iter().any(|sample| sample.name == "seconds_behind")
}

#[test]
fn an_apps_metrics_reach_the_pods_that_are_well_and_each_trouble_is_logged_once() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "pushing", INPUTS)?;
    let mut scenario = scenario_on(&cluster, "pushing", &ledger)?;
    let gateway = Pushgateway::start(scenario.logs())?;
    let dns = NameServer::start()?;
    let on = |address: &str| Pod::start(format!("{address}:{}", gateway.port()).parse()?);
    let (failing, hanging) = (on("127.0.0.2")?, on("127.0.0.3")?);
    failing.behave(Behaviour::Status(500));
    hanging.behave(Behaviour::Hang);
    dns.set_addresses(SERVICE, &["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    push_to(&mut scenario, &dns, gateway.port());
    scenario
        .set("NU_METRICS_PUSH_TIMEOUT_SECONDS", "1")
        .set("NU_METRICS_EXIT_TIMEOUT_SECONDS", "3");
    let app = scenario.start(APP, "app")?;
    scenario.drained(&ledger, || Ok(()))?;
    let job = scenario.host("app");
    gateway.eventually("all of the app's metrics", &job, |samples| complete(samples, INPUTS))?;
    failing.got(3)?;
    hanging.got(2)?;
    failing.behave(Behaviour::Accept);
    let well = failing.requests().len() + 2;
    failing.got(well)?;
    app.signal(Signal::TERM)?;
    assert_eq!(app.wait(DEADLINE)?.code(), Some(0), "{}", app.log_tail());
    let log = app.log();
    let told = |words: &str, pod: &str| {
        log.lines().filter(|line| line.contains(words) && line.contains(pod)).count()
    };
    for pod in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
        assert_eq!(told("do not reach a pod", pod), 1, "{pod} in\n{log}");
    }
    assert_eq!(told("reach a pod again", "127.0.0.2"), 1, "{log}");
    scenario.verify(&ledger, Extent::Complete).map(drop)
}

#[test]
fn the_error_that_ends_an_app_is_pushed_before_it_is_gone() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "pushed-error", 100)?;
    let mut scenario = scenario_on(&cluster, "pushed-error", &ledger)?;
    let gateway = Pushgateway::start(scenario.logs())?;
    let dns = NameServer::start()?;
    dns.set_addresses(SERVICE, &["127.0.0.1"]);
    push_to(&mut scenario, &dns, gateway.port());
    // Only the last push can bring it.
    scenario.set("NU_METRICS_PUSH_RATE", "86400").set("NU_METRICS_DELETE_ON_EXIT", "true");
    scenario.set("LEDGER_FAIL_ONE_IN", "1");
    let app = scenario.start(APP, "app")?;
    assert_eq!(app.wait(DEADLINE)?.code(), Some(1), "{}", app.log_tail());
    let samples = gateway.job(&scenario.host("app"))?;
    let errors = sum_by(&samples, "message_errors", "exception");
    assert!(errors.get("Planned").is_some_and(|count| *count >= 1.0), "{errors:?}");

    // After a clean end its group is gone.
    scenario.set("LEDGER_FAIL_ONE_IN", "0");
    let app = scenario.start(APP, "app")?;
    scenario.drained(&ledger, || Ok(()))?;
    app.signal(Signal::TERM)?;
    assert_eq!(app.wait(DEADLINE)?.code(), Some(0), "{}", app.log_tail());
    assert!(gateway.job(&scenario.host("app"))?.is_empty(), "the group is still there");
    scenario.verify(&ledger, Extent::Complete).map(drop)
}

/// Not only errors of the app function: two instances of one name end each other.
#[test]
fn an_app_that_kafka_refuses_pushes_why() -> Result<()> {
    let cluster = Cluster::shared();
    let mut ledger = write_ledger(&cluster, "pushed-fencing", 100)?;
    let mut scenario = scenario_on(&cluster, "pushed-fencing", &ledger)?;
    let gateway = Pushgateway::start(scenario.logs())?;
    let dns = NameServer::start()?;
    dns.set_addresses(SERVICE, &["127.0.0.1"]);
    push_to(&mut scenario, &dns, gateway.port());
    scenario.set("NU_METRICS_PUSH_RATE", "86400");
    let first = scenario.start(APP, "app")?;
    scenario.drained(&ledger, || Ok(()))?;
    let twins = [first, scenario.start_as(APP, "app", "twin")?];
    let ended = eventually("one of the twins to end", DEADLINE, || {
        match (ledger.write(20), twins.iter().find(|twin| !twin.is_running())) {
            (Ok(()), None) => Look::NotYet("both run".into()),
            (Ok(()), Some(ended)) => Look::Ready(Ok(ended)),
            (Err(error), _) => Look::Ready(Err(error)),
        }
    })??;
    assert_eq!(ended.wait(DEADLINE)?.code(), Some(3), "{}", ended.log_tail());
    let errors = sum_by(&gateway.job(&scenario.host("app"))?, "message_errors", "exception");
    assert_eq!(errors.get("Fenced"), Some(&1.0), "{errors:?}");
    Ok(())
}
