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
//! | [`deliver`], [`gate`] | the producer, and whether Kafka can be reached |
//! | [`auth`], [`rate`], [`guid`] | who is calling, how often, and under which id |
//! | [`openapi`], [`page`] | what is served about the routes |

use std::process::ExitCode;

use clap::Parser as _;

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
pub mod start;
pub mod telemetry;
pub mod terminal;

/// Does what the command line says; answers the process's exit code.
#[must_use]
pub fn main() -> ExitCode {
    use cli::{Cli, Command};
    match Cli::parse().command {
        Command::Run(file) => commands::run::run(&file),
        Command::Check(file) => commands::check::run(&file),
        Command::Config(file) => commands::config::run(&file),
        Command::Openapi(file) => commands::openapi::run(&file),
        Command::Completions { shell } => commands::completions::run(shell),
    }
}
