//! A broker that checks signed tokens: they end in the middle of work, are refused, and cannot be
//! had for a while. Every input counts once, the log says what is wrong, and shows no token.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::ledger::Ledger;
use nubium_test_kit::process::Signal;
use nubium_test_kit::scenario::{DEADLINE, Kept, Scenario};
use nubium_test_kit::secure::Secure;
use nubium_test_kit::tokens::{CLIENT, CLIENT_SECRET, Mode};
use nubium_test_kit::wait::until;
use serde_json::{Value, json};

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

/// The broker wants to see a token every three seconds, and each ends after so many.
const LIFETIME: Duration = Duration::from_secs(6);

/// The provider answers one test at a time as it wants.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_endpoint() -> Value {
    let secure = Secure::shared();
    json!({
        "url": secure.token(),
        "ssl_ca_location": secure.file("ca.pem"),
        "sasl_mechanism": "OAUTHBEARER",
        "oauth_token_url": secure.provider().url(),
        "oauth_client_id": CLIENT,
        "oauth_client_secret": CLIENT_SECRET,
        "oauth_scope": "kafka",
    })
}

fn begin(name: &str, cluster: &Value) -> Result<(Ledger, Scenario)> {
    let addresses = Secure::shared().cluster();
    let ledger = write_ledger(&addresses, name, 500)?;
    let mut scenario = scenario_on(&addresses, name, &ledger)?;
    let clusters = json!({ "test": cluster }).to_string();
    scenario.set("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters).set("NU_LOGLEVEL", "DEBUG");
    Ok((ledger, scenario))
}

fn told(app: &Kept<'_>, what: &str) -> Result<()> {
    let said =
        until(&format!("the log to say {what:?}"), DEADLINE, || app.process().log().contains(what));
    said.with_context(|| app.process().log_tail())
}

#[test]
fn tokens_end_are_refused_and_cannot_be_had_and_every_input_counts_once() -> Result<()> {
    let _alone = alone();
    let provider = Secure::shared().provider();
    provider.set(Mode::Serves, LIFETIME);
    let (mut ledger, scenario) = begin("tokens", &with_endpoint())?;
    let before = provider.asked();
    let mut app = Kept::start(&scenario, APP, "app")?;
    // Through the ends of several tokens and more sessions.
    while provider.asked() < before + 4 {
        ledger.write(200)?;
        scenario.drained(&ledger, || app.tend())?;
    }
    // Tokens that the broker refuses.
    provider.set(Mode::Misleads, LIFETIME);
    ledger.write(200)?;
    told(&app, "invalid_token")?;
    ledger.write(200)?;
    // The endpoint is down for longer than a token lives; the app ends meanwhile and starts anew.
    provider.set(Mode::Down, LIFETIME);
    told(&app, "There is no token")?;
    app.kill()?;
    ledger.write(200)?;
    provider.set(Mode::Serves, LIFETIME);
    scenario.drained(&ledger, || app.tend())?;
    scenario.verify(&ledger, Extent::Complete)?;
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    let log = app.process().log();
    assert!(log.contains("The token could not be renewed"), "{log}");
    assert!(log.contains(&provider.url()) && log.contains("does not answer"), "{log}");
    provider.assert_hidden(&log);
    Ok(())
}

#[test]
fn a_client_that_the_endpoint_refuses_is_told_and_its_secret_not_shown() -> Result<()> {
    let _alone = alone();
    let provider = Secure::shared().provider();
    provider.set(Mode::Refuses, LIFETIME);
    let (ledger, scenario) = begin("token-refused", &with_endpoint())?;
    let app = Kept::start(&scenario, APP, "app")?;
    told(&app, "401 invalid_client: who is that?; check oauth_client_id")?;
    app.process().signal(Signal::TERM)?;
    app.process().wait(DEADLINE)?;
    provider.assert_hidden(&app.process().log());
    scenario.verify(&ledger, Extent::UpToCommitted).map(drop)
}

#[test]
fn a_token_file_that_is_renewed_is_read_again() -> Result<()> {
    let _alone = alone();
    let secure = Secure::shared();
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("token");
    let renewing = secure.provider().keep_file(&path, LIFETIME)?;
    let mut cluster = with_endpoint();
    for key in ["token_url", "client_id", "client_secret", "scope"] {
        cluster.as_object_mut().expect("a map").remove(&format!("oauth_{key}"));
    }
    cluster["oauth_token_location"] = path.display().to_string().into();
    let (mut ledger, scenario) = begin("token-file", &cluster)?;
    let mut app = Kept::start(&scenario, APP, "app")?;
    while app.process().log().matches("There is a new token").count() < 4 {
        ledger.write(200)?;
        scenario.drained(&ledger, || app.tend())?;
    }
    renewing.finish()?;
    scenario.verify(&ledger, Extent::Complete)?;
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    secure.provider().assert_hidden(&app.process().log());
    Ok(())
}
