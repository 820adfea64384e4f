//! Starts and stops a real Kafka broker and schema registry for development, tests and benchmarks.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use nubium_test_kit::process::{Signal, signal_pid};
use nubium_test_kit::services::{BOOTSTRAP, REGISTRY, Services};
use nubium_test_kit::wait::until;
use serde::{Deserialize, Serialize};

/// Starts and stops a real Kafka broker and schema registry on free ports of this machine.
#[derive(Debug, Parser)]
#[command(name = "services")]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start both (fetches them first if need be) and print the environment.
    Up,
    /// Print the environment of those that run, as shell code.
    Env,
    /// Stop both and delete what they stored.
    Down,
    /// Fetch what they need, and start nothing.
    Fetch,
    /// Start both, run a command with the environment, and stop both.
    Run {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
}

/// What is remembered of services that outlive their start.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    bootstrap: String,
    registry: String,
    broker_pid: u32,
    registry_pid: u32,
    dir: PathBuf,
}

fn main() -> ExitCode {
    match run(Cli::parse().action) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(action: Action) -> Result<ExitCode> {
    match action {
        Action::Up => up().map(|state| print(&state.environment())),
        Action::Env => load()?
            .context("no services run: `scripts/services up` starts them")
            .map(|state| print(&state.environment())),
        Action::Down => down(),
        Action::Fetch => nubium_test_kit::install::ensure_installed().map(drop),
        Action::Run { command } => return run_with_services(&command),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn up() -> Result<State> {
    if let Some(state) = load()? {
        if state.is_running() {
            return Ok(state);
        }
        down()?;
    }
    let services = Services::start()?;
    let (bootstrap, registry) = (services.bootstrap.clone(), services.registry.clone());
    let (dir, broker_pid, registry_pid) = services.detach()?;
    let state = State { bootstrap, registry, broker_pid, registry_pid, dir };
    fs::write(state_file(), serde_json::to_string_pretty(&state)?)
        .with_context(|| state_file().display().to_string())?;
    Ok(state)
}

fn down() -> Result<()> {
    let Some(state) = load()? else { return Ok(()) };
    for pid in [state.broker_pid, state.registry_pid] {
        // An id that was handed on to a stranger is left alone.
        if !is_java(pid) {
            continue;
        }
        signal_pid(pid, Signal::TERM)?;
        let ended = until("a service to end", Duration::from_secs(30), || !is_java(pid));
        if ended.is_err() {
            signal_pid(pid, Signal::KILL)?;
        }
    }
    if state.dir.exists() {
        fs::remove_dir_all(&state.dir)?;
    }
    Ok(fs::remove_file(state_file())?)
}

fn run_with_services(command: &[String]) -> Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else { bail!("no command") };
    let services = Services::start()?;
    let status = Command::new(program)
        .args(arguments)
        .envs(variables(&services.bootstrap, &services.registry))
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

fn variables(bootstrap: &str, registry: &str) -> [(&'static str, String); 4] {
    [
        (BOOTSTRAP, bootstrap.to_owned()),
        (REGISTRY, registry.to_owned()),
        ("BENCH_BOOTSTRAP", bootstrap.to_owned()),
        ("BENCH_REGISTRY", registry.to_owned()),
    ]
}

impl State {
    fn is_running(&self) -> bool {
        is_java(self.broker_pid) && is_java(self.registry_pid)
    }

    fn environment(&self) -> String {
        let mut lines: Vec<_> = variables(&self.bootstrap, &self.registry)
            .iter()
            .map(|(name, value)| format!("export {name}={value}"))
            .collect();
        lines.push(format!("export BENCH_BROKER_PID={}", self.broker_pid));
        lines.join("\n")
    }
}

/// Says whether the id is that of a running Java process.
fn is_java(pid: u32) -> bool {
    let running =
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    running && name.trim() == "java"
}

fn load() -> Result<Option<State>> {
    let file = state_file();
    if !file.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&file)?;
    serde_json::from_str(&text).map(Some).with_context(|| file.display().to_string())
}

/// One set of services for each checkout.
fn state_file() -> PathBuf {
    let checkout =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    checkout.join(".nubium-services.json")
}

#[expect(clippy::print_stdout, reason = "the output of a command line tool")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the errors of a command line tool")]
fn complain(text: &str) {
    eprintln!("{text}");
}
