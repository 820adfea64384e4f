//! `dude run-local`.

use nubium_test_kit::process::{Process, Signal};
use nubium_test_kit::wait::{Look, eventually};

use crate::world::{DEADLINE, ORDER, World, bare};

#[test]
fn an_app_finds_the_embedded_services_in_its_settings() {
    let world = World::new();
    let schema = world.file("order.avsc", ORDER);
    let schema = format!("orders={schema}");
    // The app is this very tool, which reads the same settings as every app.
    let dude = env!("CARGO_BIN_EXE_dude");
    let output = bare(&[
        "run-local",
        "--topic",
        "orders:3",
        "--schema",
        &schema,
        "--",
        dude,
        "topics",
        "describe",
        "orders",
    ])
    .output();
    let said = world.said(&output.expect("the binary starts"));
    assert_ne!(said.code, 0, "the embedded broker has no admin protocol: {said:?}");
    let script = format!(
        "echo '{{\"id\":1,\"who\":\"a\",\"total\":1}}' | {dude} produce orders \
         && {dude} consume orders"
    );
    let arguments =
        ["run-local", "--topic", "orders:3", "--schema", &schema, "--", "/bin/sh", "-c", &script];
    let said = world.said(&bare(&arguments).output().expect("the binary starts"));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.json_lines()[0]["value"]["who"], "a");
    let fails = bare(&["run-local", "--", "/bin/sh", "-c", "exit 7"]).output();
    let said = world.said(&fails.expect("the binary starts"));
    assert!(said.code == 1 && said.err.contains("exit status: 7"), "{said:?}");
}

#[test]
fn without_an_app_it_serves_until_it_is_told_to_stop() {
    let world = World::new();
    let mut command = bare(&["run-local", "--topic", "orders"]);
    let local = Process::spawn("local", &world.path("logs"), &mut command).expect("it starts");
    let find = |name: &str| {
        let log = local.log();
        let line = log.lines().find_map(|l| l.strip_prefix(&format!("export {name}='")));
        line.map(|value| value.trim_end_matches('\'').to_owned())
    };
    let (clusters, registry) = eventually("the settings", DEADLINE, || {
        match (find("NU_KAFKA_CLUSTERS_CONFIGS_JSON"), find("NU_SCHEMA_REGISTRY_URL")) {
            (Some(clusters), Some(registry)) => Look::Ready((clusters, registry)),
            _ => Look::NotYet(local.log()),
        }
    })
    .expect("settings");
    let output = bare(&["consume", "orders"])
        .env("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters)
        .env("NU_SCHEMA_REGISTRY_URL", registry)
        .output()
        .expect("the binary starts");
    let said = world.said(&output);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    local.signal(Signal::TERM).expect("signal");
    assert_eq!(local.wait(DEADLINE).expect("it ends").code(), Some(0));
}
