//! Brokers that ask who is there: each way in counts every input once, and a wrong password is
//! told and never shown.

use anyhow::Result;
use nubium_test_kit::checker::Extent;
use nubium_test_kit::process::Signal;
use nubium_test_kit::scenario::{DEADLINE, Kept};
use nubium_test_kit::secure::{PASSWORD, Secure, USER};
use nubium_test_kit::wait::until;
use serde_json::{Value, json};

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

const INPUTS: u32 = 2_000;
const WRONG: &str = "battery-staple-0e9d";
const CLUSTERS: &str = "NU_KAFKA_CLUSTERS_CONFIGS_JSON";

/// Says how to get in with a password.
fn with_password(password: &str) -> Value {
    let secure = Secure::shared();
    json!({
        "url": secure.sasl(),
        "username": USER,
        "password": password,
        "ssl_ca_location": secure.file("ca.pem"),
    })
}

fn counts_every_input_once(name: &str, cluster: &Value) -> Result<()> {
    let addresses = Secure::shared().cluster();
    let ledger = write_ledger(&addresses, name, INPUTS)?;
    let mut scenario = scenario_on(&addresses, name, &ledger)?;
    scenario.set(CLUSTERS, json!({ "test": cluster }).to_string()).set("NU_LOGLEVEL", "DEBUG");
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.drained(&ledger, || app.tend())?;
    scenario.verify(&ledger, Extent::Complete)?;
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    let log = app.process().log();
    assert!(!log.contains(PASSWORD), "the log shows the password:\n{log}");
    Ok(())
}

#[test]
fn a_username_and_a_password_alone_mean_plain_over_tls() -> Result<()> {
    counts_every_input_once("plain", &with_password(PASSWORD))
}

#[test]
fn scram_over_tls() -> Result<()> {
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let mut cluster = with_password(PASSWORD);
        cluster["sasl_mechanism"] = mechanism.into();
        counts_every_input_once("scram", &cluster)?;
    }
    Ok(())
}

#[test]
fn a_client_certificate() -> Result<()> {
    let secure = Secure::shared();
    let cluster = json!({
        "url": secure.mtls(),
        "security_protocol": "SSL",
        "ssl_ca_location": secure.file("ca.pem"),
        "ssl_certificate_location": secure.file("client.pem"),
        "ssl_key_location": secure.file("client.key"),
    });
    counts_every_input_once("mtls", &cluster)
}

/// Starts an app that is not let in; it says so, and does as it is told.
fn is_refused(name: &str, cluster: &Value, told: &str) -> Result<()> {
    let addresses = Secure::shared().cluster();
    let ledger = write_ledger(&addresses, name, 100)?;
    let mut scenario = scenario_on(&addresses, name, &ledger)?;
    scenario.set(CLUSTERS, json!({ "test": cluster }).to_string()).set("NU_LOGLEVEL", "DEBUG");
    let app = scenario.start(APP, "app")?;
    until(&format!("the log to say {told:?}"), DEADLINE, || app.log().contains(told))?;
    app.signal(Signal::TERM)?;
    app.wait(DEADLINE)?;
    let log = app.log();
    assert!(!log.contains(WRONG) && !log.contains(PASSWORD), "the log shows a password:\n{log}");
    scenario.verify(&ledger, Extent::UpToCommitted).map(drop)
}

#[test]
fn a_wrong_password_is_told_and_not_shown() -> Result<()> {
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let mut cluster = with_password(WRONG);
        cluster["sasl_mechanism"] = mechanism.into();
        is_refused("wrong-password", &cluster, "Authentication failed")?;
    }
    Ok(())
}

#[test]
fn a_broker_of_an_unknown_authority_is_not_trusted() -> Result<()> {
    let mut cluster = with_password(PASSWORD);
    // Some certificate, but none that the broker's is signed with.
    cluster["ssl_ca_location"] = Secure::shared().file("client.pem").into();
    is_refused("unknown-authority", &cluster, "certificate verify failed")
}

#[test]
fn a_topic_that_may_not_be_read_any_more_ends_the_app_and_names_the_right() -> Result<()> {
    let secure = Secure::guarded();
    let addresses = secure.cluster();
    let ledger = write_ledger(&addresses, "denied", 200)?;
    let mut scenario = scenario_on(&addresses, "denied", &ledger)?;
    let mut cluster = with_password(PASSWORD);
    cluster["url"] = secure.sasl().into();
    cluster["ssl_ca_location"] = secure.file("ca.pem").into();
    scenario.set(CLUSTERS, json!({ "test": cluster }).to_string());
    let user = format!("User:{USER}");
    let all = ["--operation", "All", "--topic", "*", "--group", "*", "--transactional-id", "*"];
    secure.change_rights(&[&["--add", "--allow-principal", &user], &all[..]].concat())?;
    let app = scenario.start(APP, "app")?;
    scenario.drained(&ledger, || Ok(()))?;
    let topic = scenario.inputs[0].clone();
    let read = ["--operation", "Read", "--topic", &topic];
    secure.change_rights(&[&["--add", "--deny-principal", &user], &read[..]].concat())?;
    let status = app.wait(DEADLINE)?;
    let log = app.log_tail();
    assert_eq!(status.code(), Some(3), "{status}\n{log}");
    for part in ["Read", &*topic, "principal"] {
        assert!(log.contains(part), "no {part} in\n{log}");
    }
    Ok(())
}
