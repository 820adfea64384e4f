//! The published package nubium-utils, 2.5.2 and 4.2.0, on a Python that it runs on.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use nubium_test_kit::ledger::INPUT_SCHEMA;
use nubium_test_kit::process::Process;
use nubium_test_kit::scenario::Scenario;

/// 2.5.2 pins 1.7.0, which does not understand how Kafka 4 answers where a log ends.
const CLIENT: &str = "confluent-kafka[avro]==1.9.2";
/// The last Python that 2.5.2's pinned client has wheels for.
const PYTHON: &str = "3.9";

/// Which of its generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 2.5.2, with clients of its own.
    Two,
    /// 4.2.0, which stands on fluvii.
    Four,
}

impl Version {
    fn package(self) -> &'static str {
        match self {
            Self::Two => "nubium-utils==2.5.2",
            Self::Four => "nubium-utils==4.2.0",
        }
    }

    /// The name in the cache; raise the last number when what is installed changes.
    fn place(self) -> &'static str {
        match self {
            Self::Two => "nubium-utils-2.5.2-2",
            Self::Four => "nubium-utils-4.2.0-1",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Two => "python/app.py",
            Self::Four => "python/app4.py",
        }
    }

    /// What the log says when a table app has its table.
    pub fn recovered(self, log: &str) -> bool {
        match self {
            Self::Two => log.contains("Continuing normal consumption loop"),
            Self::Four => {
                log.contains("TABLE RECOVERY COMPLETE!")
                    || log.contains("NO TABLE RECOVERY REQUIRED!")
            }
        }
    }
}

/// Where the package is installed.
#[derive(Debug, Clone)]
pub struct Original {
    python: PathBuf,
    /// Which one it is.
    pub version: Version,
}

impl Original {
    /// Finds Python 3.9 (`NUBIUM_TEST_PYTHON` names another place) and installs the package beside
    /// the real services, once. `None`: there is no such Python here.
    ///
    /// # Errors
    /// It cannot be installed: says why.
    pub fn find(version: Version) -> Result<Option<Self>> {
        // Tests of one process wait for the one that installs it.
        static INSTALLING: Mutex<()> = Mutex::new(());
        let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(python) = python() else { return Ok(None) };
        let place = nubium_test_kit::install::cache_dir()?.join(version.place());
        let installed = place.join("bin/python");
        if !place.join("complete").exists() {
            run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&place))?;
            let pip = [
                "-m",
                "pip",
                "install",
                "-q",
                "--prefer-binary",
                version.package(),
                "setuptools<70",
            ];
            run(Command::new(&installed).args(pip))?;
            if version == Version::Two {
                let pip = ["-m", "pip", "install", "-q", "--prefer-binary", CLIENT];
                run(Command::new(&installed).args(pip))?;
            }
            std::fs::write(place.join("complete"), "")?;
        }
        Ok(Some(Self { python: installed, version }))
    }

    /// Starts an instance of `tests/python/app.py` or `app4.py`, which stands in the group of a scenario.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, scenario: &Scenario, kind: &str, host: &str) -> Result<Process> {
        let directory = scenario.logs().join(format!("python-{host}"));
        std::fs::create_dir_all(&directory)?;
        let [clusters, topics] = ["clusters", "topics"].map(|name| {
            let file = directory.join(format!("{name}.yaml"));
            (name, file)
        });
        let map = |name: &str| scenario.setting(name).context(name.to_owned());
        std::fs::write(&clusters.1, map("NU_KAFKA_CLUSTERS_CONFIGS_JSON")?)?;
        std::fs::write(&topics.1, map("NU_TOPIC_CONFIGS_JSON")?)?;
        let registry = map("NU_SCHEMA_REGISTRY_URL")?.trim_start_matches("http://");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.version.script());
        let mut command = Command::new(&self.python);
        command
            .arg("-u")
            .arg(script)
            .arg(kind)
            .envs(scenario.settings())
            .env("NU_HOSTNAME", scenario.host(host))
            .env("NU_KAFKA_CLUSTERS_CONFIGS_YAML", &clusters.1)
            .env("NU_TOPIC_CONFIGS_YAML", &topics.1)
            .env("NU_SCHEMA_REGISTRY_URL", registry)
            // The time of its transactions too, which nobody ends for it after a kill.
            .env("NU_CONSUMER_TIMEOUT_LIMIT_MINUTES", "1")
            .env("LEDGER_INPUT_SCHEMA", INPUT_SCHEMA)
            .env("HEALTH_DIRECTORY", &directory)
            .env("NU_TABLE_PATH", directory.join("stores"))
            .envs(fluvii(scenario, host))
            .env("FLUVII_SQLITE_TABLE_DIRECTORY", directory.join("stores"));
        Process::spawn(&format!("python-{host}"), scenario.logs(), &mut command)
    }
}

/// The settings of 4.2.0, which are those of fluvii.
fn fluvii(scenario: &Scenario, host: &str) -> Vec<(&'static str, String)> {
    let broker = scenario.cluster.app_bootstrap.clone();
    vec![
        ("FLUVII_APP_NAME", scenario.group.clone()),
        ("FLUVII_APP_HOSTNAME", scenario.host(host)),
        // Made of the app's name in its documentation, and of nothing in its code.
        ("FLUVII_APP_TABLE_CHANGELOG_TOPIC", format!("{}__changelog", scenario.group)),
        ("FLUVII_CONSUMER_URLS", broker.clone()),
        ("FLUVII_PRODUCER_URLS", broker),
        ("FLUVII_SCHEMA_REGISTRY_URL", scenario.cluster.registry.clone()),
        ("FLUVII_CONSUMER_AUTO_OFFSET_RESET", "earliest".into()),
        ("FLUVII_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", "10".into()),
        ("FLUVII_CONSUMER_TIMEOUT_MINUTES", "1".into()),
        ("FLUVII_CONSUMER_POLL_TIMEOUT_SECONDS", "1".into()),
        // Several transactions in a test's few messages.
        ("FLUVII_CONSUMER_BATCH_CONSUME_MAX_COUNT", "10".into()),
        ("FLUVII_CONSUMER_BATCH_CONSUME_MAX_TIME_SECONDS", "2".into()),
    ]
}

fn python() -> Option<PathBuf> {
    let named = env::var_os("NUBIUM_TEST_PYTHON").map(PathBuf::from);
    let in_path = || Some(PathBuf::from(format!("python{PYTHON}")));
    let versions = env::home_dir().map(|home| home.join(".pyenv/versions"));
    let of_pyenv = versions.and_then(|versions| std::fs::read_dir(versions).ok());
    let of_pyenv = of_pyenv.into_iter().flatten().flatten();
    let of_pyenv = of_pyenv.filter(|entry| entry.file_name().to_string_lossy().starts_with(PYTHON));
    let of_pyenv = of_pyenv.map(|entry| entry.path().join("bin/python"));
    named.into_iter().chain(in_path()).chain(of_pyenv).find(|python| {
        let version = Command::new(python).arg("--version").output();
        version.is_ok_and(|out| {
            out.status.success() && String::from_utf8_lossy(&out.stdout).contains(PYTHON)
        })
    })
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
