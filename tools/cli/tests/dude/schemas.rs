//! `dude schema`.

use crate::world::{ORDER, World};

#[test]
fn a_schema_is_checked_registered_compared_and_evolved() {
    let mut world = World::new();
    let topic = world.name("orders");
    let first = world.file("first.avsc", ORDER);
    let said = world.ok(&["schema", "check", &topic, &first]);
    assert!(said.out.starts_with("orders-value: compatible ("), "{said:?}");
    let registered = world.ok(&["schema", "register", &topic, &first, "--json"]).json();
    assert_eq!(
        (&registered["subject"], &registered["version"]),
        (&"orders-value".into(), &1.into())
    );

    let said = world.ok(&["schema", "get", &topic]);
    let wanted = r#"{
  "type": "record",
  "name": "Order",
  "fields": [
    {"name": "id", "type": "long"},
    {"name": "who", "type": "string"},
    {"name": "total", "type": "double"},
    {"name": "note", "type": ["null", "string"], "default": null}
  ]
}
"#;
    assert_eq!(said.out, wanted);
    let id = registered["id"].to_string();
    assert_eq!(world.ok(&["schema", "get", "--id", &id]).out, wanted);
    assert_eq!(said.err.trim(), format!("orders-value version 1, id {id}"));

    let evolve = ["schema", "evolve", &topic, "--add", "count: int = 0", "--rename", "note=remark"];
    let next = world.path("next.avsc").display().to_string();
    let said = world.ok(&[&evolve[..], &["-o", &next]].concat());
    assert!(said.err.contains("note: renamed note → remark"), "{said:?}");
    assert!(said.err.contains("count: added  → int"), "{said:?}");
    let said = world.dude(&["schema", "diff", &topic, "--with", &next]);
    let rows =
        ["Where | What | Old | New", "note | renamed | note | remark", "count | added |  | int"];
    assert_eq!((said.code, &said.rows()[..]), (1, &rows.map(str::to_owned)[..]), "{said:?}");
    let said = world.ok(&[&evolve[..], &["--register", "--yes"]].concat());
    assert!(said.out.contains("orders-value version 2, id "), "{said:?}");
    let said = world.dude(&["schema", "diff", &topic]);
    assert!(
        said.code == 1 && said.err.contains("2 differences from version 1 to version 2"),
        "{said:?}"
    );
    world.ok(&["schema", "diff", &topic, "--with", &next]);
    let said = world.ok(&["schema", "get", &topic, "--version", "1"]);
    assert_eq!(said.out, wanted);
    assert_eq!(world.ok(&["schema", "list", "--like", &topic]).out, "orders-value\n");
}

#[test]
fn what_the_registry_would_not_take_is_not_registered() {
    // The in-memory registry compares by BACKWARD from the start; the shared one's level is its own.
    let registry = nubium_local::Registry::start().expect("registry");
    let world = World::new();
    let url = registry.url();
    let first = world.file("first.avsc", ORDER);
    let run = |arguments: &[&str]| world.dude(&[arguments, &["--registry", &url]].concat());
    assert_eq!(run(&["schema", "register", "orders", &first]).code, 0);
    let other = world.file("other.avsc", ORDER.replace("\"long\"", "\"string\""));
    for verb in ["check", "register"] {
        let said = run(&["schema", verb, "orders", &other]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("orders-value: not compatible (BACKWARD)"), "{said:?}");
    }
    let said = run(&["schema", "evolve", "orders", "--add", "id: int = 0"]);
    assert!(said.code == 1 && said.err.contains("there is a field id already"), "{said:?}");
    let broken = world.file("broken.avsc", "{\"type\": \"recrd\"}");
    let said = run(&["schema", "check", "orders", &broken]);
    assert!(said.code == 1 && said.err.contains("broken.avsc"), "{said:?}");
    let said = run(&["schema", "get", "nothing"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("no version latest of subject nothing-value"), "{said:?}");
    registry.break_down(nubium_local::Fault::status(500));
    let said = run(&["schema", "list", "--timeout", "2"]);
    assert!(said.code == 3 && said.err.contains("no usable answer"), "{said:?}");
}

/// Three versions, of which the third keeps the rule with the second alone.
const FIELDS: [&str; 3] = [
    r#"{"name": "a", "type": "int"}"#,
    r#"{"name": "a", "type": "int"}, {"name": "b", "type": "string", "default": "x"}"#,
    r#"{"name": "a", "type": "int"}, {"name": "b", "type": "string"}"#,
];

#[test]
fn a_transitive_level_is_checked_against_every_version_as_registering_is() {
    let mut world = World::new();
    let topic = world.name("transitive");
    let [v1, v2, v3] =
        FIELDS.map(|fields| format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#));
    let url = nubium_test_kit::services::shared().registry.clone();
    let local = nubium_local::Registry::start().expect("registry");
    for url in [url, local.url()] {
        let run = |arguments: &[&str]| world.dude(&[arguments, &["--registry", &url]].concat());
        for (name, text) in [("1.avsc", &v1), ("2.avsc", &v2)] {
            let said = run(&["schema", "register", &topic, &world.file(name, text)]);
            assert_eq!(said.code, 0, "{said:?}");
        }
        let third = world.file("3.avsc", &v3);
        for (level, code) in [("BACKWARD", 0), ("BACKWARD_TRANSITIVE", 1), ("FULL_TRANSITIVE", 1)] {
            let client = reqwest::Client::new();
            let set = client
                .put(format!("{url}/config/{topic}-value"))
                .header("content-type", "application/json")
                .body(format!(r#"{{"compatibility": "{level}"}}"#));
            let runtime = tokio::runtime::Runtime::new().expect("runtime");
            let set = runtime.block_on(set.send()).expect("answer");
            assert!(set.status().is_success(), "{set:?}");
            let said = run(&["schema", "check", &topic, &third]);
            assert_eq!(said.code, code, "{url} {level}: {said:?}");
        }
        let said = run(&["schema", "register", &topic, &third]);
        assert_eq!(said.code, 1, "{said:?}");
    }
}

#[test]
fn without_a_registry_a_command_says_what_it_needs() {
    let world = World::new();
    let said = crate::world::bare(&["--bootstrap", &world.bootstrap, "schema", "list"]).output();
    let said = world.said(&said.expect("the binary starts"));
    assert_eq!(said.code, 2);
    assert!(said.err.contains("NU_SCHEMA_REGISTRY_URL"), "{said:?}");
}
