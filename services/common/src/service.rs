//! The frame of a service: its command line, its settings, its checks, its end.
//!
//! A service says what it is and implements [`Service`]; [`main`] is its binary. Exit codes, help,
//! completions and man pages are the same for all of them, because they are made here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use nubium_core::config::Problem;
use nubium_host::{Exit, Or as _, Outcome};

use crate::check::Checks;
use crate::start::Start;
use crate::{schemas, terminal};

/// Says what a service is, for its command line.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// The name of its binary.
    pub name: &'static str,
    /// What it does, as a sentence.
    pub sentence: &'static str,
    /// What its file holds.
    pub file: &'static str,
    /// The variable that names its file.
    pub variable: &'static str,
    /// The file that is read when none is named.
    pub default: &'static str,
    /// Lines of `help`, such as `name check --config FILE`.
    pub examples: &'static str,
    /// Where the file and what is in it are described.
    pub pages: &'static str,
    /// What exit code 1 says.
    pub failed: &'static str,
}

/// One service: a program by a file instead of Rust.
pub trait Service: Sized + 'static {
    /// Its own settings, without problems.
    type Settings;
    /// Options of `run`, `check` and `config` beside the file; [`NoOptions`] for none.
    type Options: Args;
    /// Commands beside those that all services have; [`NoCommands`] for none.
    type Commands: Subcommand;

    /// What it is.
    const ABOUT: About;

    /// Reads its file.
    ///
    /// # Errors
    /// Every problem of it.
    fn settings(file: &Path, options: &Self::Options) -> Result<Self::Settings, Vec<Problem>>;

    /// Answers which rules between its settings and the core's are broken, and may add warnings.
    fn rules(start: &mut Start<Self::Settings>) -> Vec<Problem> {
        let _ = start;
        Vec::new()
    }

    /// Counts what its settings hold, as `check` says it.
    fn counted(settings: &Self::Settings) -> String;

    /// Looks whether `run` would work; changes nothing.
    fn check(start: &Start<Self::Settings>, checks: &mut Checks<'_>);

    /// Prints its own settings as they are in force, secrets redacted.
    fn show(start: &Start<Self::Settings>);

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// It cannot start, or cannot go on.
    fn run(start: &Start<Self::Settings>) -> Outcome<ExitCode>;

    /// Carries out a command of its own.
    ///
    /// # Errors
    /// The command failed.
    fn command(command: Self::Commands) -> Outcome<ExitCode>;
}

/// Stands for no options of a service's own.
#[derive(Debug, Clone, Copy, Args)]
pub struct NoOptions {}

/// Stands for no commands of a service's own.
#[derive(Debug, Clone, Copy)]
pub enum NoCommands {}

impl NoCommands {
    /// Answers for a command that cannot be.
    pub fn never<T>(self) -> T {
        match self {}
    }
}

impl clap::FromArgMatches for NoCommands {
    fn from_arg_matches(_: &clap::ArgMatches) -> Result<Self, clap::Error> {
        Err(clap::Error::new(clap::error::ErrorKind::InvalidSubcommand))
    }

    fn update_from_arg_matches(&mut self, _: &clap::ArgMatches) -> Result<(), clap::Error> {
        match *self {}
    }
}

impl Subcommand for NoCommands {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        command
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        command
    }

    fn has_subcommand(_: &str) -> bool {
        false
    }
}

#[derive(Parser)]
struct Cli<S: Service> {
    /// What to do.
    #[command(subcommand)]
    command: Command<S>,
}

#[derive(Subcommand)]
enum Command<S: Service> {
    /// Run until told to stop (INT or TERM).
    Run(Common<S>),
    /// Check settings, programs, schemas, registry and topics; change nothing.
    Check(Common<S>),
    /// Print every setting as it is in force, secrets redacted.
    Config(Common<S>),
    #[command(flatten)]
    Own(S::Commands),
    /// Print completions for a shell.
    Completions {
        /// Shell to complete for.
        shell: Shell,
    },
    /// Write the man pages, one for each command.
    Man {
        /// Directory to write them to; made if it is not there.
        directory: PathBuf,
    },
}

/// What a command needs that reads the service's settings. Commands of a service's own take it too.
#[derive(Args)]
pub struct Common<S: Service> {
    /// The service's own settings.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    options: S::Options,
}

impl<S: Service> Common<S> {
    /// Reads the environment and the file, and tells warnings and problems.
    ///
    /// # Errors
    /// The exit code of bad settings.
    pub fn start(&self) -> Result<Start<S::Settings>, ExitCode> {
        Start::begin_with(S::settings(&self.config, &self.options), S::rules)
    }

    fn with(&self, work: impl FnOnce(&Start<S::Settings>) -> Outcome<ExitCode>) -> ExitCode {
        self.start().map_or_else(|exit| exit, |start| end(work(&start)))
    }
}

/// Does what the command line says; answers the process's exit code.
#[must_use]
pub fn main<S: Service>() -> ExitCode {
    main_of::<S>(std::env::args_os())
}

/// Does so for the arguments given, the program's name first.
pub fn main_of<S: Service>(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let matches = command_line::<S>().get_matches_from(arguments);
    let cli = Cli::<S>::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Run(common) => common.with(S::run),
        Command::Check(common) => common.with(check::<S>),
        Command::Config(common) => common.with(|start| {
            terminal::show_settings(&start.config);
            S::show(start);
            Ok(Exit::Ok.into())
        }),
        Command::Own(command) => end(S::command(command)),
        Command::Completions { shell } => {
            let out = &mut std::io::stdout();
            clap_complete::generate(shell, &mut command_line::<S>(), S::ABOUT.name, out);
            Exit::Ok.into()
        }
        Command::Man { directory } => end(man::<S>(&directory)),
    }
}

/// Ends a command: an error is told, and becomes its exit code.
pub fn end(outcome: Outcome<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|failure| {
        terminal::tell(format!("{:#}", failure.error));
        failure.exit.into()
    })
}

fn check<S: Service>(start: &Start<S::Settings>) -> Outcome<ExitCode> {
    let runtime = schemas::runtime().or_host()?;
    let mut checks = Checks::new(&start.config, &runtime, &S::counted(&start.settings));
    S::check(start, &mut checks);
    Ok(checks.report())
}

fn man<S: Service>(directory: &Path) -> Outcome<ExitCode> {
    let what = || directory.display().to_string();
    std::fs::create_dir_all(directory).with_context(what).or_host()?;
    clap_mangen::generate_to(command_line::<S>(), directory).with_context(what).or_host()?;
    Ok(Exit::Ok.into())
}

/// The command line with the service's own words in it.
fn command_line<S: Service>() -> clap::Command {
    let about = S::ABOUT;
    let mut command = Cli::<S>::command()
        .name(about.name)
        .bin_name(about.name)
        .version(env!("CARGO_PKG_VERSION"))
        .about(about.sentence)
        .after_help(after_help(&about));
    let names: Vec<String> =
        command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |command| {
            let has_file = command.get_arguments().any(|argument| argument.get_id() == "config");
            if !has_file {
                return command;
            }
            command.mut_arg("config", |argument| {
                let argument = argument.env(about.variable).default_value(about.default);
                argument.required(false).help(about.file)
            })
        });
    }
    command
}

fn after_help(about: &About) -> String {
    format!(
        "\
Examples:
{}

Kafka and the schema registry are set by NU_* variables: see docs/settings.md.
{}

Exit codes:
  0  the work ended, a stop was obeyed, or every check passed
  1  {}
  2  settings, program or schemas are wrong; nothing was sent
  3  Kafka or the registry refused for good
  4  a call hung, and the watchdog ended the process
  5  a stop took longer than its limit
  6  the machine is in the way: a port, a file, a thread",
        about.examples, about.pages, about.failed
    )
}
