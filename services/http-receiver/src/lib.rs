//! The HTTP receiver: takes records by POST, checks them against their schemas, and answers 200 once
//! Kafka has acknowledged them.
//!
//! ```text
//! request ─▶ server: route ▸ caller ▸ body ─▶ items ─▶ fit | program ─▶ prepare ─▶ deliver ─▶ answer
//! ```
//!
//! | module | owns |
//! | --- | --- |
//! | [`settings`] | the file of routes, callers and limits |
//! | [`server`] | one request from its headers to its answer |
//! | [`items`] | a body taken apart |
//! | [`fit`] | an item held against a schema, with every problem |
//! | [`prepare`] | all records of a request, before the first is produced |
//! | [`deliver`], [`gate`], [`watch`] | the producer, and whether records can be delivered |
//! | [`auth`], [`rate`], [`guid`] | who is calling, how often, and under which id |
//! | [`openapi`], [`page`] | what is served about the routes |

use std::process::ExitCode;

use clap::Parser as _;
use nubium_service::start::Start;
use nubium_service::terminal;

pub mod auth;
pub mod cli;
pub mod commands;
pub mod deliver;
pub mod fit;
pub mod gate;
pub mod guid;
pub mod items;
pub mod openapi;
pub mod page;
pub mod prepare;
pub mod rate;
pub mod route;
pub mod serve;
pub mod server;
pub mod settings;
mod stopping;
pub mod telemetry;
pub mod watch;

use cli::{Cli, Command, ConfigFile};
use settings::Settings;

/// Does what the command line says; answers the process's exit code.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(file) => with(&file, commands::run::run),
        Command::Check(file) => with(&file, commands::check::run),
        Command::Config(file) => with(&file, commands::config::run),
        Command::Openapi(file) => with(&file, commands::openapi::run),
        Command::Completions { shell } => terminal::completions::<Cli>(shell),
    }
}

fn with(file: &ConfigFile, command: impl FnOnce(&Start<Settings>) -> ExitCode) -> ExitCode {
    match Start::begin(Settings::load(&file.config)) {
        Ok(start) => {
            for route in start.settings.routes.iter().filter(|route| route.auth.is_empty()) {
                let path = &route.path;
                terminal::tell(format!(
                    "warning: {path}: anybody may post here; `auth` says who may"
                ));
            }
            command(&start)
        }
        Err(exit) => exit,
    }
}
