//! Rights that are true: what `plan` grants is what `check` asks for, one right at a time.

use std::time::Duration;

use anyhow::Result;
use nubium_admin::{Acl, AclFilter, Admin, ResourceKind};
use nubium_config::{Cluster, SecurityProtocol, Tls};
use nubium_test_kit::secure::{Secure, USER};
use nubium_test_kit::wait::{Look, eventually};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::place::{Place, Said};
use crate::secure::with_password;

/// For a broker to hear of a change of rights.
const DEADLINE: Duration = Duration::from_secs(60);

const TOPICS: &str = "\
STEM-in: {cluster: main, configs: {num_partitions: 2}}
STEM-out: {cluster: main, configs: {num_partitions: 2}}
";

/// The one who may do all, and an app that may do what is planned for it.
struct Stage {
    root: Place,
    app: Place,
    admin: Admin,
    runtime: Runtime,
}

impl Stage {
    fn new(manifest: &str) -> Result<Self> {
        let secure = Secure::guarded();
        let bootstrap = secure.cluster().bootstrap;
        let root = Place::on("one-right", json!({ "main": { "url": &bootstrap } }))?;
        let mut app = Place::on("one-right", json!({ "main": with_password(secure, "PLAIN") }))?;
        app.stem.clone_from(&root.stem);
        for place in [&root, &app] {
            place.topics(TOPICS)?;
            place.write("manifests/a.yaml", &manifest.replace("USER", USER))?;
        }
        root.provision()?;
        let (protocol, tls) = (SecurityProtocol::Plaintext, Tls::default());
        let cluster = Cluster { url: bootstrap, protocol, sasl: None, tls, protected: false };
        let runtime = Runtime::new()?;
        let admin = runtime.block_on(Admin::connect(&cluster, "root"))?;
        Ok(Self { root, app, admin, runtime })
    }

    /// The rights of this app's names alone: tests share the broker and its user.
    fn rights(&self) -> Result<Vec<Acl>> {
        let filter = AclFilter { principal: Some(format!("User:{USER}")), ..AclFilter::default() };
        let all = self.runtime.block_on(self.admin.acls(&filter))?;
        Ok(all.into_iter().filter(|acl| acl.name.contains(&self.root.stem)).collect())
    }

    /// Checks as the pod of this name does.
    fn check(&self, hostname: &str) -> Result<Said> {
        let mut check = self.app.command(&["check", "--json"]);
        check.env("NU_APP_NAME", self.app.name("app")).env("NU_HOSTNAME", hostname);
        Place::said(&mut check)
    }

    /// Waits until exactly these checks fail, and gives what was found at the first.
    fn fails(&self, hostname: &str, wanted: &[String]) -> Result<String> {
        eventually(&format!("{wanted:?} to fail"), DEADLINE, || match self.check(hostname) {
            Ok(said) => failed(&said, wanted),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let rights = self.rights().unwrap_or_default();
        // Names are unique, so what stays is in nobody's way.
        let _ = self.runtime.block_on(self.admin.delete_acls(&rights));
    }
}

fn failed(said: &Said, wanted: &[String]) -> Look<String> {
    let findings: Vec<Value> = match serde_json::from_str(&said.out) {
        Ok(findings) => findings,
        Err(_) => return Look::NotYet(said.all()),
    };
    let failed: Vec<_> = findings.iter().filter(|one| one["passed"] == false).collect();
    let names: Vec<_> = failed.iter().filter_map(|one| one["what"].as_str()).collect();
    if names != *wanted || said.code != i32::from(!wanted.is_empty()) {
        return Look::NotYet(format!("code {}, {names:?}", said.code));
    }
    let found = failed.first().and_then(|one| one["found"].as_str());
    Look::Ready(found.unwrap_or_default().to_owned())
}

/// What `check` calls the thing that a right is about.
fn checked_as(right: &Acl, hostname: &str) -> String {
    match right.kind {
        ResourceKind::TransactionalId => format!("transactional id {hostname}"),
        kind => format!("{kind} {}", right.name),
    }
}

fn each_right_is_missed(manifest: &str, count: usize) -> Result<()> {
    let stage = Stage::new(manifest)?;
    let hostname = stage.root.name("pods-0");
    stage.fails(&hostname, &[])?;
    let rights = stage.rights()?;
    assert_eq!(rights.len(), count, "{rights:?}");
    for right in rights {
        let one = std::slice::from_ref(&right);
        stage.runtime.block_on(stage.admin.delete_acls(one))?[0].1.clone()?;
        let found = stage.fails(&hostname, &[checked_as(&right, &hostname)])?;
        assert!(found.contains("AUTHORIZATION_FAILED") || found.contains("may not"), "{found}");
        stage.runtime.block_on(stage.admin.create_acls(one))?[0].1.clone()?;
        stage.fails(&hostname, &[])?;
    }
    Ok(())
}

#[test]
fn each_right_of_an_app_that_is_taken_away_is_named() -> Result<()> {
    each_right_is_missed(
        "{app: STEM-app, kind: app, input: STEM-in, output: STEM-out, failure: STEM-failure, \
         principal: 'User:USER', transactional_ids: STEM-pods-}",
        5,
    )
}

#[test]
fn each_right_of_a_table_that_is_taken_away_is_named() -> Result<()> {
    each_right_is_missed(
        "{app: STEM-app, kind: table, input: STEM-in, output: STEM-out, principal: 'User:USER', \
         transactional_ids: STEM-pods-}",
        6,
    )
}

#[test]
fn each_right_of_a_producer_that_is_taken_away_is_named() -> Result<()> {
    each_right_is_missed(
        "{app: STEM-app, kind: producer, output: [STEM-in, STEM-out], principal: 'User:USER'}",
        2,
    )
}

#[test]
fn a_pod_whose_id_the_manifest_does_not_plan_for_is_told_before_it_starts() -> Result<()> {
    let stage = Stage::new(
        "{app: STEM-app, kind: app, input: STEM-in, output: STEM-out, principal: 'User:USER'}",
    )?;
    let hostname = format!("marketing.{}", stage.root.name("pods-0"));
    let found = stage.fails(&hostname, &[format!("transactional id {hostname}")])?;
    let told = format!("ids that start with {}", stage.root.name("app"));
    assert!(found.contains(&told), "{found}");
    Ok(())
}

#[test]
fn every_loop_of_a_pod_has_an_id() -> Result<()> {
    let stage = Stage::new(
        "{app: STEM-app, kind: app, input: STEM-in, output: STEM-out, principal: 'User:USER', \
         transactional_ids: STEM-pods-}",
    )?;
    let mut check = stage.app.command(&["check"]);
    check.env("NU_APP_NAME", stage.app.name("app")).env("NU_APP_THREADS", "2");
    let found = Place::said(check.env("NU_HOSTNAME", stage.root.name("pods-0")))?.ended(0);
    assert!(found.contains(&format!("transactional id {}-1", stage.root.name("pods-0"))));
    Ok(())
}
