//! A directory with settings, manifests and plans, and the tool run in it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;
use nubium_admin::Admin;
use nubium_config::{Cluster, SecurityProtocol, Tls};
use nubium_test_kit::services::shared;
use nubium_test_kit::topics::unique;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How the tool ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Both streams, for looking at what was told at all.
    pub(crate) fn all(&self) -> String {
        format!("{}\n{}", self.out, self.err)
    }

    /// Gives what it printed if it ended so.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}", self.all());
        self.out
    }
}

/// One user's settings.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    clusters: Value,
    /// What every topic's and app's name starts with.
    pub(crate) stem: String,
}

impl Place {
    /// On the shared broker and registry.
    pub(crate) fn new(stem: &str) -> Result<Self> {
        Self::on(stem, json!({ "main": { "url": shared().bootstrap } }))
    }

    /// On clusters of one's own choice.
    pub(crate) fn on(stem: &str, clusters: Value) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("nubium-provision-").tempdir()?;
        std::fs::create_dir(dir.path().join("manifests"))?;
        Ok(Self { dir, clusters, stem: unique(stem) })
    }

    pub(crate) fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.stem)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file; `STEM` in it becomes this place's own.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.path(name), text.replace("STEM", &self.stem))?)
    }

    /// Reads another map of topics from now on.
    pub(crate) fn topics(&self, yaml: &str) -> Result<()> {
        self.write("topics.yaml", yaml)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nubium-provision"));
        let inherited = std::env::vars().map(|(name, _)| name);
        inherited.filter(|name| name.starts_with("NU_")).for_each(|name| {
            command.env_remove(name);
        });
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .env("NU_KAFKA_CLUSTERS_CONFIGS_JSON", self.clusters.to_string())
            .env("NU_SCHEMA_REGISTRY_URL", &shared().registry);
        if self.path("topics.yaml").exists() {
            command.env("NU_TOPIC_CONFIGS_YAML", "topics.yaml");
        }
        if std::fs::read_dir(self.path("manifests")).is_ok_and(|mut files| files.next().is_some()) {
            command.env("NU_PROVISION_MANIFESTS", "manifests");
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Said> {
        Self::said(&mut self.command(arguments))
    }

    pub(crate) fn said(command: &mut Command) -> Result<Said> {
        let output = command.output()?;
        Ok(Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8(output.stderr)?,
        })
    }

    /// Plans into a file and applies it at once.
    pub(crate) fn provision(&self) -> Result<()> {
        self.run(&["plan", "--out", "now.json"])?.ended(2);
        self.run(&["apply", "now.json"])?.ended(0);
        Ok(())
    }

    /// Deletes what this place has made: hundreds of topics slow the shared broker down.
    fn clean(&self) -> Result<()> {
        let runtime = tokio::runtime::Runtime::new()?;
        let (protocol, tls) = (SecurityProtocol::Plaintext, Tls::default());
        let cluster = Cluster {
            url: shared().bootstrap.clone(),
            protocol,
            sasl: None,
            tls,
            protected: false,
        };
        runtime.block_on(async {
            let admin = Admin::connect(&cluster, "clean").await?;
            let topics = admin.topics().await?;
            let ours: Vec<&str> =
                topics.keys().map(String::as_str).filter(|n| n.starts_with(&self.stem)).collect();
            admin.delete_topics(&ours).await?;
            Ok(())
        })
    }

    /// The plan as JSON.
    pub(crate) fn plan(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.run(&["plan", "--json"])?.out)?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Names are unique, so what could not be deleted is in nobody's way.
        let _ = self.clean();
    }
}
