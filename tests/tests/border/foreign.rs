//! Confluent's client for Python, with its own serializers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nubium_test_kit::{install, services};

/// The package, with what its serializers of JSON Schema and Protobuf need.
const PACKAGE: &str = "confluent-kafka[json,protobuf,schemaregistry]==2.16.1";

/// Runs `tests/python/formats.py` and gives what it printed.
pub(crate) fn python(what: &str, topics: &[&str]) -> Result<String> {
    let python = install::python("confluent-kafka-2.16.1", &[PACKAGE])?;
    let services = services::shared();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/formats.py");
    let mut command = Command::new(python);
    command.arg(script).arg(what).args([&services.bootstrap, &services.registry]).args(topics);
    let output = command.output().context("Python")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
