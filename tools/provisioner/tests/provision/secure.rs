//! Brokers that ask who is there, and apps that may do only what was planned for them.

use anyhow::Result;
use nubium_admin::{Acl, AclOperation, Admin, Pattern, ResourceKind};
use nubium_config::{Cluster, SecurityProtocol, Tls};
use nubium_test_kit::secure::{PASSWORD, Secure, USER};
use serde_json::{Value, json};

use crate::place::Place;

pub(crate) fn with_password(secure: &Secure, mechanism: &str) -> Value {
    json!({
        "url": secure.sasl(), "username": USER, "password": PASSWORD,
        "sasl_mechanism": mechanism, "ssl_ca_location": secure.file("ca.pem"),
    })
}

#[test]
fn a_plan_is_made_and_applied_through_every_listener() -> Result<()> {
    let secure = Secure::shared();
    let mtls = json!({
        "url": secure.mtls(), "security_protocol": "SSL",
        "ssl_ca_location": secure.file("ca.pem"),
        "ssl_certificate_location": secure.file("client.pem"),
        "ssl_key_location": secure.file("client.key"),
    });
    let mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
    let clusters = mechanisms.iter().map(|mechanism| with_password(secure, mechanism));
    for cluster in clusters.chain([mtls]) {
        let place = Place::on("listener", json!({ "main": cluster }))?;
        place.topics("STEM-a: {cluster: main, configs: {num_partitions: 2}}")?;
        place.provision()?;
        place.run(&["plan"])?.ended(0);
    }
    Ok(())
}

#[test]
fn a_wrong_password_is_told_and_not_shown() -> Result<()> {
    let mut cluster = with_password(Secure::shared(), "SCRAM-SHA-256");
    cluster["password"] = "battery-staple-0e9d".into();
    let place = Place::on("wrong", json!({ "main": cluster }))?;
    place.topics("STEM-a: {cluster: main}")?;
    let said = place.run(&["plan"])?;
    assert_eq!(said.code, 3, "{}", said.all());
    assert!(said.err.contains("does not let us in with SCRAM-SHA-256"), "{}", said.err);
    assert!(!said.all().contains("battery-staple"), "{}", said.all());
    Ok(())
}

/// Lets the user see topics of this stem, and no more.
fn let_describe(bootstrap: &str, stem: &str) -> Result<()> {
    let (protocol, tls) = (SecurityProtocol::Plaintext, Tls::default());
    let cluster =
        Cluster { url: bootstrap.to_owned(), protocol, sasl: None, tls, protected: false };
    let rule = Acl {
        principal: format!("User:{USER}"),
        host: "*".into(),
        operation: AclOperation::Describe,
        kind: ResourceKind::Topic,
        name: stem.to_owned(),
        pattern: Pattern::Prefixed,
        allow: true,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let admin = runtime.block_on(Admin::connect(&cluster, "root"))?;
    Ok(runtime.block_on(admin.create_acls(&[rule]))?[0].1.clone()?)
}

#[test]
fn rights_are_planned_added_and_then_the_app_may_start() -> Result<()> {
    let secure = Secure::guarded();
    let bootstrap = secure.cluster().bootstrap;
    let root = Place::on("rights", json!({ "main": { "url": &bootstrap } }))?;
    let topics = "STEM-in: {cluster: main}\nSTEM-out: {cluster: main}";
    let manifest = format!(
        "{{app: STEM-app, kind: app, input: STEM-in, output: STEM-out, principal: 'User:{USER}'}}"
    );
    root.topics(topics)?;
    root.write("manifests/a.yaml", &manifest)?;

    let mut app = Place::on("rights", json!({ "main": with_password(secure, "PLAIN") }))?;
    app.stem.clone_from(&root.stem);
    app.topics(topics)?;
    app.write("manifests/a.yaml", &manifest)?;
    // The app's own user may not make topics, and is told so.
    let shown = app.run(&["plan", "--out", "plan.json"])?;
    assert!(shown.out.contains("cannot be seen by this user"), "{}", shown.all());
    let said = app.run(&["apply", "plan.json"])?;
    assert_eq!(said.code, 3, "{}", said.all());
    assert!(said.err.contains(&root.name("in")), "{}", said.err);
    assert!(said.err.contains("TOPIC_AUTHORIZATION_FAILED"), "{}", said.err);
    let_describe(&bootstrap, &root.stem)?;
    let refused = app.run(&["apply", "plan.json"])?.ended(1);
    for topic in ["in", "out"] {
        let topic = root.name(topic);
        let line = refused.lines().find(|line| line.starts_with("FAILED") && line.contains(&topic));
        let line = line.unwrap_or_else(|| panic!("{topic}:\n{refused}"));
        assert!(line.contains("TOPIC_AUTHORIZATION_FAILED"), "{line}");
    }

    let shown = root.run(&["plan"])?.ended(2);
    assert!(shown.contains(&format!("User:{USER} may Read topic {}", root.name("in"))), "{shown}");
    assert!(shown.contains("4 rights to add"), "{shown}");
    root.provision()?;
    root.run(&["plan"])?.ended(0);
    let found = app.run(&["check"])?.ended(0);
    assert!(found.contains(&app.name("in")), "{found}");

    // Another app of the same user has no rights yet.
    let other = manifest.replace("STEM-", "STEM-other-");
    root.topics("STEM-other-in: {cluster: main}\nSTEM-other-out: {cluster: main}")?;
    std::fs::remove_file(root.path("manifests/a.yaml"))?;
    root.provision()?;
    app.write("manifests/a.yaml", &other)?;
    let found = app.run(&["check"])?.ended(1);
    assert_eq!(
        found.matches("┆ FAILED ┆").count(),
        4,
        "topics, group and transactional id:\n{found}"
    );
    Ok(())
}
