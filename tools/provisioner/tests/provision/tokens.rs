//! A broker that checks signed tokens: plans are made, applied and checked, and a token that cannot
//! be had or is refused is told and not shown.

use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::secure::Secure;
use nubium_test_kit::tokens::{CLIENT, CLIENT_SECRET, Mode};
use serde_json::json;

use crate::place::Place;

#[test]
fn a_plan_is_made_and_applied_with_tokens_and_each_trouble_is_told() -> Result<()> {
    let secure = Secure::shared();
    let provider = secure.provider();
    provider.set(Mode::Serves, Duration::from_secs(4));
    let directory = tempfile::tempdir()?;
    let secret = directory.path().join("secret");
    std::fs::write(&secret, CLIENT_SECRET)?;
    let cluster = json!({
        "url": secure.token(), "ssl_ca_location": secure.file("ca.pem"),
        "sasl_mechanism": "OAUTHBEARER", "oauth_token_url": provider.url(),
        "oauth_client_id": CLIENT, "oauth_client_secret_file": secret, "oauth_scope": "kafka",
    });
    let place = Place::on("tokens", json!({ "main": cluster }))?;
    place.topics("STEM-a: {cluster: main, configs: {num_partitions: 2}}")?;
    place.provision()?;
    place.run(&["plan"])?.ended(0);

    for (mode, told) in [
        (Mode::Misleads, "invalid_token"),
        (Mode::Refuses, "check oauth_client_id"),
        (Mode::Down, "does not answer"),
    ] {
        provider.set(mode, Duration::from_secs(60));
        let said = place.run(&["plan"])?;
        assert_eq!(said.code, 3, "{}", said.all());
        assert!(said.err.contains(told), "{told}: {}", said.err);
        provider.assert_hidden(&said.all());
    }
    Ok(())
}
