//! Help, completions, man pages, settings.

use serde_json::json;

use crate::world::{World, bare};

fn ask(arguments: &[&str]) -> (i32, String) {
    let output = bare(arguments).output().expect("the binary starts");
    let text = [&*output.stdout, &*output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

/// Every verb, by the words that lead to it.
const VERBS: &[&str] = &[
    "topics list",
    "topics describe",
    "topics create",
    "topics alter",
    "topics delete",
    "topics sync",
    "topics wipe",
    "produce",
    "consume",
    "lag",
    "offsets show",
    "offsets reset",
    "replay",
    "schema list",
    "schema get",
    "schema diff",
    "schema check",
    "schema register",
    "schema evolve",
    "tx list",
    "tx abort",
    "run-local",
    "completions",
    "man",
];

#[test]
fn every_verb_explains_itself_with_examples() {
    for verb in VERBS {
        let words: Vec<&str> = verb.split(' ').chain(["--help"]).collect();
        let (code, text) = ask(&words);
        assert_eq!(code, 0, "{verb}: {text}");
        assert!(text.contains(&format!("dude {verb}")), "{verb} has no example:\n{text}");
        assert!(text.contains("Examples:"), "{verb}: {text}");
    }
    let (code, text) = ask(&["--help"]);
    assert_eq!(code, 0);
    assert!(text.contains("Exit codes:"), "{text}");
    assert_eq!(ask(&["--version"]).0, 0);
    assert_eq!(ask(&["no-such-verb"]).0, 2);
}

#[test]
fn completions_and_man_pages_are_generated_for_every_verb() {
    for (shell, word) in
        [("bash", "complete -F _dude"), ("zsh", "#compdef dude"), ("fish", "complete -c dude")]
    {
        let (code, script) = ask(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains(word) && script.contains("run-local"), "{shell}");
    }
    let directory = tempfile::tempdir().expect("directory");
    let to = directory.path().join("man1").display().to_string();
    assert_eq!(ask(&["man", &to]).0, 0);
    for verb in VERBS {
        let page = format!("{to}/dude-{}.1", verb.replace(' ', "-"));
        let text = std::fs::read_to_string(&page).expect(&page);
        assert!(text.contains(".SH SYNOPSIS") && text.contains("Examples"), "{page}");
    }
}

#[test]
fn all_that_is_wrong_with_the_settings_is_said_at_once_before_anything_is_sent() {
    let output = bare(&["topics", "list"])
        .env(
            "NU_KAFKA_CLUSTERS_CONFIGS_JSON",
            r#"{"a": {"ur": "x"}, "b": {"url": "h:1", "protected": "ys"}}"#,
        )
        .env("NU_PRODUCER_COMPRESSION_TYPE", "tight")
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    for problem in ["a.url", "b.protected", "NU_PRODUCER_COMPRESSION_TYPE"] {
        assert!(text.contains(problem), "{problem}: {text}");
    }
    let (code, text) = ask(&["topics", "list"]);
    assert_eq!(code, 2);
    assert!(text.contains("NU_KAFKA_CLUSTERS_CONFIGS_JSON"), "{text}");
}

#[test]
fn a_file_gives_the_settings_and_the_environment_wins() {
    let world = World::new();
    world.file("clusters.yaml", format!("dev:\n  url: {0}\nother:\n  url: {0}\n", world.bootstrap));
    let settings =
        "# the team's\nexport NU_KAFKA_CLUSTERS_CONFIGS_YAML=clusters.yaml\nDUDE_CLUSTER=dev\n";
    let file = world.file("dude.env", settings);
    let run = |arguments: &[&str], cluster: Option<&str>| {
        let mut command = bare(arguments);
        command.env("DUDE_CONFIG_FILE", &file);
        if let Some(cluster) = cluster {
            command.env("DUDE_CLUSTER", cluster);
        }
        let output = command.output().expect("the binary starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&["topics", "list", "--like", "no-such-topic"], None), (Some(0), String::new()));
    let (code, text) = run(&["topics", "list"], Some("devv"));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--cluster dev, --cluster other"), "{text}");
    let bad = world.file("bad.env", "NU_KAFKA_PASSWORD 'hidden-word\n");
    let output = bare(&["topics", "list", "--config-file", &bad]).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("bad.env") && !text.contains("hidden-word"), "{text}");
}

#[test]
fn a_topic_on_several_clusters_asks_for_the_cluster() {
    let world = World::new();
    let clusters = json!({"a": {"url": world.bootstrap}, "b": {"url": world.bootstrap}});
    let output = bare(&["consume", "somewhere"])
        .env("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters.to_string())
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("--cluster a, --cluster b"), "{text}");
}

#[test]
fn brokers_on_the_command_line_stand_for_the_maps_and_an_apps_settings_are_no_matter() {
    let mut world = World::new();
    let topic = world.topic("adhoc", 1);
    world.map(&topic, json!({}));
    let mut command = world.command(&["topics", "list", "--bootstrap", &world.bootstrap]);
    let clusters = json!({"elsewhere": {"url": "no-such-host.invalid:9092"}});
    command
        .env("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters.to_string())
        .env("NU_CONSUME_TOPICS", "in,out")
        .env("NU_PRODUCE_FAILURE_TOPICS", "in")
        .env("NU_PROBE_ADDRESS", "nowhere")
        .env("NU_TABLE_PATH", "/no/such/place")
        .env("NU_RETRY_COUNT_MAX", "3")
        .env("NU_METRICS_SERVICE_NAME", "cache")
        .env("NU_APP_NAME", "orders")
        .env("NU_TABEL_PATH", "x");
    let said = world.said(&command.output().expect("the binary starts"));
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.contains("adhoc"), "{said:?}");
    // What it follows itself is still held against the table.
    command.env("NU_KAFKA_PASWORD", "x");
    let said = world.said(&command.output().expect("the binary starts"));
    assert!(said.err.contains("NU_KAFKA_PASSWORD"), "{said:?}");
}

#[test]
fn a_protected_cluster_refuses_what_destroys_and_lets_the_rest() {
    let mut world = World::new();
    let topic = world.topic("safe", 1);
    world.produce(&topic, "{\"id\":1,\"who\":\"a\",\"total\":1.0}\n");
    world.set_cluster("protected", json!(true));
    let refused: &[&[&str]] = &[
        &["topics", "delete", &topic, "--yes"],
        &["topics", "wipe", &topic, "--yes"],
        &["topics", "alter", &topic, "--set", "retention.ms=1000", "--yes"],
        &["offsets", "reset", "dude-nobody", "--to", "earliest", "--topic", &topic, "--yes"],
        &["tx", "abort", "--id", "anything", "--yes"],
    ];
    for arguments in refused {
        let said = world.dude(arguments);
        assert_eq!(said.code, 1, "{arguments:?}: {said:?}");
        assert!(said.err.contains("cluster main is protected"), "{arguments:?}: {said:?}");
    }
    assert_eq!(world.ok(&["consume", &topic]).out.lines().count(), 1);
    world.ok(&["topics", "alter", &topic, "--set", "retention.ms=1000", "--dry-run"]);
}

#[test]
fn a_password_never_shows() {
    let mut world = World::new();
    world.set_cluster("username", json!("someone"));
    world.set_cluster("password", json!("hidden-word"));
    world.set_cluster("security_protocol", json!("SASL_PLAINTEXT"));
    let runs: &[&[&str]] = &[
        &["topics", "list", "--verbose", "--timeout", "3"],
        &["consume", "t", "--verbose", "--timeout", "3"],
    ];
    for arguments in runs {
        let said = world.dude(arguments);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(!said.err.contains("hidden-word") && !said.out.contains("hidden-word"), "{said:?}");
    }
}
