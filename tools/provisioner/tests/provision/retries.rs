//! A retry chain in one description: its topics are made, its rights granted, and a deployment's
//! settings held to it.

use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::secure::{Secure, USER};
use nubium_test_kit::wait::until;
use serde_json::json;

use crate::place::Place;
use crate::secure::with_password;

#[test]
fn a_chain_is_made_with_its_rights_and_settings_are_held_to_it() -> Result<()> {
    let secure = Secure::guarded();
    let root = Place::on("chain", json!({ "main": { "url": secure.cluster().bootstrap } }))?;
    root.topics("STEM-out: {cluster: main}")?;
    let manifest = format!(
        "{{app: STEM-app, kind: app, output: STEM-out, principal: 'User:{USER}', \
          retries: {{stem: STEM-orders, delays_minutes: [0.1, 30, 120], partitions: 3, \
          deployments: each}}}}"
    );
    root.write("manifests/a.yaml", &manifest)?;
    let shown = root.run(&["plan"])?.ended(2);
    for topic in ["FirstTry", "Retry1", "Retry2", "Retry3", "Failure"] {
        let topic = root.name(&format!("orders_{topic}"));
        assert!(shown.contains(&topic), "{topic}: {shown}");
    }
    let group = root.name("app_Retry3");
    assert!(shown.contains(&format!("User:{USER} may Read group {group}")), "{shown}");
    root.provision()?;
    // The broker that is asked learns of rights a moment after the controller has them.
    let done = || root.run(&["plan"]).is_ok_and(|said| said.code == 0);
    until("there is nothing left to plan", Duration::from_secs(20), done)?;

    // The app's own user, with the settings of one of its deployments.
    let mut app = Place::on("chain", json!({ "main": with_password(secure, "PLAIN") }))?;
    app.stem.clone_from(&root.stem);
    app.topics("STEM-out: {cluster: main}")?;
    app.write("manifests/a.yaml", &manifest)?;
    let retries: Vec<_> = (1..4).map(|n| app.name(&format!("orders_Retry{n}"))).collect();
    let check = |delays: &str, success: &str| {
        let mut command = app.command(&["check"]);
        command
            .env("NU_APP_NAME", app.name("app_Retry2"))
            .env("NU_PRODUCE_RETRY_TOPICS", retries.join(","))
            .env("NU_RETRY_DELAYS_MINUTES", delays)
            .env("NU_PRODUCE_FAILURE_TOPICS", app.name("orders_Failure"))
            .env("NU_PRODUCE_SUCCESS_TOPICS", app.name(success));
        command.args(["--app", &app.name("app")]);
        Place::said(&mut command)
    };
    let found = check("0.1,30,120", "out")?.ended(0);
    assert!(found.contains("3 partitions") && found.contains(&retries[2]), "{found}");
    let found = check("5,30,120", "nobodys")?.ended(1);
    assert!(found.contains("the chain of the manifest is 0.1,30,120"), "{found}");
    assert!(found.contains("never produces there"), "{found}");
    Ok(())
}
