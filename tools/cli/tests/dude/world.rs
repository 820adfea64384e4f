//! The tool with a directory and a map of its own, and what it said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nubium_test_kit::services;
use nubium_test_kit::topics::unique;
use serde_json::{Value, json};

/// Bounds every wait; no test asserts on time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A schema that most tests use.
pub(crate) const ORDER: &str = r#"{"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"}, {"name": "who", "type": "string"},
    {"name": "total", "type": "double"},
    {"name": "note", "type": ["null", "string"], "default": null}]}"#;

/// A directory with files, a cluster named `main`, and topics of this test alone.
pub(crate) struct World {
    directory: tempfile::TempDir,
    pub(crate) bootstrap: String,
    cluster: Value,
    topics: Value,
    names: Vec<(String, &'static str)>,
}

/// What a command answered, with the names that only this run has taken out.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(&services::shared().bootstrap)
    }

    /// A world on another broker.
    pub(crate) fn on(bootstrap: &str) -> Self {
        Self {
            directory: tempfile::tempdir().expect("directory"),
            bootstrap: bootstrap.to_owned(),
            cluster: json!({ "url": bootstrap }),
            topics: json!({}),
            names: Vec::new(),
        }
    }

    /// Makes a name of this test alone, which is shown as `stem`.
    pub(crate) fn name(&mut self, stem: &'static str) -> String {
        let name = unique(&format!("dude-{stem}"));
        self.names.push((name.clone(), stem));
        // Longer names first, so that none is taken for a part of another.
        self.names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        name
    }

    /// Makes a topic.
    pub(crate) fn topic(&mut self, stem: &'static str, partitions: i32) -> String {
        let topic = self.name(stem);
        nubium_test_kit::topics::create(&self.bootstrap, &[(&topic, partitions)]).expect("topic");
        topic
    }

    /// Puts a topic into the map.
    pub(crate) fn map(&mut self, topic: &str, configs: Value) {
        self.topics[topic] = json!({"cluster": "main", "configs": configs});
    }

    /// Sets a key of the cluster's entry in the map.
    pub(crate) fn set_cluster(&mut self, key: &str, value: Value) {
        self.cluster[key] = value;
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("file");
        path.display().to_string()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect(name)
    }

    /// The command, ready to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command
            .current_dir(self.directory.path())
            .env("NU_KAFKA_CLUSTERS_CONFIGS_JSON", json!({ "main": self.cluster }).to_string())
            .env("NU_TOPIC_CONFIGS_JSON", self.topics.to_string())
            .env("NU_SCHEMA_REGISTRY_URL", &services::shared().registry);
        command
    }

    /// Runs a command.
    pub(crate) fn dude(&self, arguments: &[&str]) -> Said {
        self.said(&self.command(arguments).output().expect("the binary starts"))
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> Said {
        let said = self.dude(arguments);
        assert_eq!(said.code, 0, "dude {arguments:?}: {said:?}");
        said
    }

    /// Produces lines by [`ORDER`], or by the topic's latest schema.
    pub(crate) fn produce(&self, topic: &str, lines: &str) {
        let file = self.file("lines.jsonl", lines);
        let schema = self.file("order.avsc", ORDER);
        self.ok(&["produce", topic, &file, "--schema", &schema, "--key-field", "who"]);
    }

    pub(crate) fn said(&self, output: &Output) -> Said {
        let text = |bytes: &[u8]| {
            let mut text = String::from_utf8_lossy(bytes).into_owned();
            for (name, stem) in &self.names {
                text = text.replace(name.as_str(), stem);
            }
            text.replace(&*self.directory.path().to_string_lossy(), "DIR")
                .replace(&self.bootstrap, "BROKER")
        };
        let code = output.status.code().unwrap_or(-1);
        Said { code, out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Said {
    /// The cells of the tables, one line a row: the widths depend on names of this run.
    pub(crate) fn rows(&self) -> Vec<String> {
        let rows = self.out.lines().filter(|line| line.starts_with('│'));
        let cells = |line: &str| {
            let cells = line.trim_matches('│').split('┆').map(str::trim).collect::<Vec<_>>();
            cells.join(" | ").trim_end().to_owned()
        };
        rows.map(cells).collect()
    }

    /// The lines of standard output as JSON.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.out.lines().map(parse).collect()
    }

    /// Standard output as one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The command without any settings.
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dude"));
    command.args(arguments).env_clear().stdin(Stdio::null()).current_dir(Path::new("/"));
    command
}

/// So many lines of orders, from `from` on.
pub(crate) fn orders(from: u32, count: u32) -> String {
    let line =
        |id| format!("{{\"id\":{id},\"who\":\"w{}\",\"total\":{id}.5,\"note\":null}}\n", id % 7);
    (from..from + count).map(line).collect()
}

/// Lines in an order that does not depend on partitions.
pub(crate) fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}
