//! `dude topics`.

use serde_json::json;

use crate::world::{World, orders};

#[test]
fn topics_of_the_map_are_created_once_and_described_as_they_are() {
    let mut world = World::new();
    let (one, two) = (world.name("one"), world.name("two"));
    world.map(&one, json!({"num_partitions": 3, "config": {"retention.ms": "60000"}}));
    world.map(&two, json!({"num_partitions": 2}));
    world.map(".anchor", json!({}));
    let said = world.ok(&["topics", "create", "--dry-run"]);
    assert_eq!(
        said.rows()[1..],
        ["main | one | would be created", "main | two | would be created"]
    );
    world.ok(&["topics", "create", &one]);
    let said = world.ok(&["topics", "create"]);
    let rows = ["main | one | skipped: it is there already", "main | two | created"];
    assert_eq!(said.rows()[1..], rows);

    let said = world.ok(&["topics", "list", "--like", &one, "--configs"]);
    assert_eq!(
        said.rows(),
        [
            "Cluster | Topic | Partitions | Replicas | Note | Settings",
            "main | one | 3 | 1 |  | retention.ms=60000"
        ]
    );
    world.produce(&one, &orders(0, 10));
    let said = world.ok(&["topics", "describe", &one]);
    assert!(
        said.out.starts_with("Topic one on cluster main: 3 partitions, 1 replicas"),
        "{said:?}"
    );
    assert!(said.rows().contains(&"retention.ms | 60000 | topic".to_owned()), "{said:?}");
    let described = world.ok(&["topics", "describe", &one, "--json"]).json();
    let ends: i64 = described[0]["partitions"]
        .as_array()
        .expect("partitions")
        .iter()
        .map(|partition| partition["end"].as_i64().expect("end"))
        .sum();
    assert_eq!(ends, 10);
    let said = world.dude(&["topics", "describe", "dude-not-there"]);
    assert_eq!((said.code, said.err.trim()), (3, "dude: cluster main has no topic dude-not-there"));
}

#[test]
fn altering_keeps_what_is_not_named_and_shows_what_changes() {
    let mut world = World::new();
    let topic = world.name("altered");
    world.ok(&[
        "topics",
        "create",
        &topic,
        "--partitions",
        "2",
        "--set",
        "retention.ms=60000",
        "--set",
        "segment.ms=30000",
    ]);
    let arguments = ["topics", "alter", &topic, "--set", "retention.ms=70000", "--partitions", "3"];
    let plan = ["Setting | From | To", "partitions | 2 | 3", "retention.ms | 60000 | 70000"];
    let said = world.ok(&[&arguments[..], &["--dry-run"]].concat());
    assert_eq!(said.rows(), plan);
    let said = world.dude(&arguments);
    assert_eq!(said.code, 1, "nobody to ask: {said:?}");
    assert!(said.err.contains("repeat it with --yes"), "{said:?}");
    world.ok(&[&arguments[..], &["--yes"]].concat());
    let said = world.ok(&["topics", "list", "--like", &topic, "--json"]);
    let found = &said.json()[0];
    assert_eq!(found["partitions"], 3);
    assert_eq!(found["configs"], json!({"retention.ms": "70000", "segment.ms": "30000"}));
    world.ok(&["topics", "alter", &topic, "--unset", "segment.ms", "--yes"]);
    let said = world.ok(&["topics", "alter", &topic, "--set", "retention.ms=70000", "--yes"]);
    assert_eq!(said.out.trim(), "Topic altered is as it shall be.");

    let said = world.dude(&["topics", "alter", &topic, "--partitions", "1", "--yes"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("Kafka cannot take any away"), "{said:?}");
    let said = world.dude(&["topics", "alter", &topic, "--set", "retention.ms=soon", "--yes"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("altered: INVALID_CONFIG: Invalid value soon"), "{said:?}");
    assert_eq!(world.dude(&["topics", "alter", &topic]).code, 2, "nothing is named");
}

#[test]
fn the_map_can_be_what_a_topic_is_altered_to() {
    let mut world = World::new();
    let topic = world.topic("mapped", 1);
    world.map(&topic, json!({"num_partitions": 2, "config": {"retention.ms": 50000}}));
    let said = world.ok(&["topics", "alter", &topic, "--from-map", "--yes", "--json"]);
    let wanted = json!([{"setting": "partitions", "from": "1", "to": "2"},
        {"setting": "retention.ms", "from": "604800000", "to": "50000"}]);
    assert_eq!(said.json(), wanted);
}

#[test]
fn wiping_keeps_the_topic_and_deleting_does_not() {
    let mut world = World::new();
    let topic = world.topic("doomed", 2);
    world.produce(&topic, &orders(0, 25));
    let said = world.dude(&["topics", "wipe", &topic]);
    assert_eq!(said.code, 1);
    let question = "Delete all messages of 1 topic on cluster main: doomed (25 offsets)?";
    assert!(said.err.contains(question), "{said:?}");
    assert_eq!(world.ok(&["topics", "wipe", &topic, "--yes"]).out.trim(), "doomed wiped");
    assert_eq!(world.ok(&["consume", &topic]).out, "");
    world.produce(&topic, &orders(0, 1));
    assert_eq!(world.ok(&["consume", &topic]).out.lines().count(), 1);
    assert_eq!(world.ok(&["topics", "delete", &topic, "--yes"]).out.trim(), "doomed deleted");
    let said = world.dude(&["topics", "delete", &topic, "--yes"]);
    assert_eq!((said.code, said.err.trim()), (3, "dude: cluster main has no topic doomed"));
}

#[test]
fn what_is_kafkas_own_or_a_mirror_is_left_alone() {
    let world = World::new();
    let foreign = "dude leaves Kafka's own topics and mirrors alone";
    for topic in ["__consumer_offsets", "main.orders", "mm2-status"] {
        for verb in ["delete", "wipe"] {
            let said = world.dude(&["topics", verb, topic, "--yes"]);
            assert_eq!(said.code, 1, "{said:?}");
            assert!(said.err.contains(foreign), "{said:?}");
        }
        let said = world.dude(&["topics", "create", topic, "--partitions", "1"]);
        assert!(said.code == 1 && said.err.contains(foreign), "{said:?}");
    }
    let listed = world.ok(&["topics", "list", "--json"]).out;
    assert!(!listed.contains("__consumer_offsets"));
    assert!(
        world.ok(&["topics", "list", "--internal", "--json"]).out.contains("__consumer_offsets")
    );
}

#[test]
fn sync_makes_the_cluster_what_the_map_says() {
    // It deletes what the map lacks, so it gets a broker of its own.
    let directory = tempfile::tempdir().expect("directory");
    let installed = nubium_test_kit::services::installed().expect("broker");
    let options = nubium_test_kit::broker::Options { heap_mb: 384, ..Default::default() };
    let broker = nubium_test_kit::broker::Broker::start(&installed, directory.path(), &options);
    let broker = broker.expect("broker");
    let mut world = World::on(&broker.bootstrap());
    assert_eq!(world.dude(&["topics", "sync", "--yes"]).code, 2, "without a map all would go");
    world.map("kept", json!({"num_partitions": 2}));
    world.map("missing", json!({"num_partitions": 1}));
    let there = [("kept", 1), ("extra", 1), ("table__changelog", 1), ("main.copy", 1)];
    nubium_test_kit::topics::create(&world.bootstrap, &there).expect("topics");

    let plan = |what: [&str; 4]| {
        let names = ["kept", "missing", "extra", "table__changelog"];
        names.iter().zip(what).map(|(name, w)| format!("main | {name} | {w}")).collect::<Vec<_>>()
    };
    let said = world.ok(&["topics", "sync", "--dry-run"]);
    let skipped = "skipped: it is there already";
    let would = [skipped, "would be created", "would be deleted", "would be deleted"];
    assert_eq!(said.rows()[1..], plan(would));
    let said = world.dude(&["topics", "sync"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("extra, table__changelog. With 1 changelog,"), "{said:?}");
    world.set_cluster("protected", json!(true));
    assert_eq!(world.dude(&["topics", "sync", "--yes"]).code, 1);
    world.ok(&["topics", "sync", "--keep"]);
    world.set_cluster("protected", json!(false));
    let said = world.ok(&["topics", "sync", "--yes"]);
    assert_eq!(said.rows()[1..], plan([skipped, skipped, "deleted", "deleted"]));
    let left = world.ok(&["topics", "list", "--json"]).json();
    let left: Vec<_> = left.as_array().expect("list").iter().map(|t| t["topic"].clone()).collect();
    assert_eq!(left, [json!("kept"), json!("main.copy"), json!("missing")]);
}
