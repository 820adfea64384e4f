//! Runs a program's binary as a person or a start script does, and looks at what it said.

use std::io;
use std::process::Command;

use crate::{Broker, Registry};

/// Is set for a test program that shall be the program that it tests; see [`Program::this`].
pub const AS_PROGRAM: &str = "NUBIUM_TEST_AS_PROGRAM";

/// Names the binary of a program, as `CARGO_BIN_EXE_…` does in its tests.
#[derive(Debug, Clone, Copy)]
pub struct Program(Option<&'static str>);

/// Holds what a program answered.
pub type Said = (i32, String);

impl Program {
    /// Names the binary at this path.
    #[must_use]
    pub const fn new(path: &'static str) -> Self {
        Self(Some(path))
    }

    /// Names the test program itself, for what is no binary of its package: its `main` looks for
    /// [`AS_PROGRAM`].
    #[must_use]
    pub const fn this() -> Self {
        Self(None)
    }

    /// Gives the command without any settings.
    ///
    /// # Panics
    /// The system does not tell where the test program is.
    #[must_use]
    pub fn command(self, arguments: &[&str]) -> Command {
        let this = || std::env::current_exe().expect("the test program's path");
        let mut command = Command::new(self.0.map_or_else(this, Into::into));
        command.args(arguments).env_clear().current_dir("/");
        if self.0.is_none() {
            command.env(AS_PROGRAM, "1");
        }
        command
    }

    /// Gives the command as the first instance of `app` on an embedded cluster.
    #[must_use]
    pub fn command_on(
        self,
        broker: &Broker,
        registry: &Registry,
        app: &str,
        arguments: &[&str],
    ) -> Command {
        let mut command = self.command(arguments);
        command.envs(app_settings(broker.bootstrap(), &registry.url(), app));
        command
    }

    /// Runs the command without any settings.
    ///
    /// # Errors
    /// The binary cannot be started.
    pub fn ask(self, arguments: &[&str]) -> io::Result<Said> {
        said(&mut self.command(arguments))
    }
}

/// Gives the settings of the first instance of `app` on one cluster.
#[must_use]
pub fn app_settings(bootstrap: &str, registry: &str, app: &str) -> [(&'static str, String); 6] {
    [
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", format!(r#"{{"main": {{"url": "{bootstrap}"}}}}"#)),
        ("NU_TOPIC_CONFIGS_JSON", "{}".to_owned()),
        ("NU_SCHEMA_REGISTRY_URL", registry.to_owned()),
        ("NU_APP_NAME", app.to_owned()),
        ("NU_HOSTNAME", format!("{app}-0")),
        ("NU_DO_METRICS_PUSHING", "false".to_owned()),
    ]
}

/// Runs a command to its end; gives its exit code, -1 for a signal, and what it printed: standard
/// output, then standard error.
///
/// # Errors
/// The binary cannot be started.
pub fn said(command: &mut Command) -> io::Result<Said> {
    let output = command.output()?;
    let text = [&*output.stdout, &*output.stderr].concat();
    Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned()))
}

/// Gives the line of a printed table that is about `what`.
///
/// # Panics
/// There is no such line: the test that asks fails, and shows the text.
#[must_use]
pub fn row<'a>(text: &'a str, what: &str) -> &'a str {
    let about = |line: &&str| line.starts_with('│') && line.contains(what);
    text.lines().find(about).unwrap_or_else(|| panic!("no line about {what} in\n{text}"))
}
