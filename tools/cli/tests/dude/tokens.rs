//! `dude` at a broker that checks signed tokens, and at one that asks for a certificate.

use std::time::Duration;

use nubium_test_kit::secure::Secure;
use nubium_test_kit::tokens::{CLIENT, CLIENT_SECRET, Mode};
use serde_json::json;

use crate::world::{ORDER, World};

fn world(secure: &Secure, url: &str) -> World {
    let mut world = World::on(&secure.cluster().bootstrap);
    world.set_cluster("url", json!(url));
    world.set_cluster("ssl_ca_location", json!(secure.file("ca.pem")));
    world
}

/// Produces messages through librdkafka, reads them back, and asks through the tools' own wire.
fn comes_and_goes(world: &mut World) {
    let topic = world.topic("tokens", 1);
    world.map(&topic, json!({}));
    let lines: String =
        (0..100).map(|id| format!("{{\"id\": {id}, \"who\": \"w\", \"total\": 1.5}}\n")).collect();
    let (schema, lines) = (world.file("order.avsc", ORDER), world.file("orders.jsonl", lines));
    let said = world.dude(&["produce", &topic, &lines, "--schema", &schema]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = world.dude(&["consume", &topic, "--from", "beginning", "--format", "values"]);
    assert_eq!((said.code, said.out.lines().count()), (0, 100), "{said:?}");
    let said = world.dude(&["topics", "describe", &topic]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn messages_come_and_go_with_tokens_and_each_trouble_is_told() {
    let secure = Secure::shared();
    let provider = secure.provider();
    provider.set(Mode::Serves, Duration::from_secs(4));
    let mut world = world(secure, &secure.token());
    world.set_cluster("sasl_mechanism", json!("OAUTHBEARER"));
    world.set_cluster("oauth_token_url", json!(provider.url()));
    world.set_cluster("oauth_client_id", json!(CLIENT));
    world.set_cluster("oauth_client_secret", json!(CLIENT_SECRET));
    world.set_cluster("oauth_scope", json!("kafka"));
    comes_and_goes(&mut world);
    for (mode, told) in
        [(Mode::Refuses, "who is that?"), (Mode::Down, "does not answer"), (Mode::Misleads, "oken")]
    {
        provider.set(mode, Duration::from_secs(60));
        for arguments in [["topics", "list"], ["consume", "some-topic"]] {
            let arguments = [&arguments[..], &["--verbose", "--timeout", "5"]].concat();
            let said = world.dude(&arguments);
            assert_eq!(said.code, 3, "{said:?}");
            assert!(said.err.contains(told), "{told}: {said:?}");
            provider.assert_hidden(&format!("{}{}", said.out, said.err));
        }
    }
}

#[test]
fn messages_come_and_go_with_a_certificate() {
    let secure = Secure::shared();
    let mut world = world(secure, &secure.mtls());
    world.set_cluster("security_protocol", json!("SSL"));
    world.set_cluster("ssl_certificate_location", json!(secure.file("client.pem")));
    world.set_cluster("ssl_key_location", json!(secure.file("client.key")));
    comes_and_goes(&mut world);
}
