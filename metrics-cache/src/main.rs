//! Keeps the metrics that apps push, for Prometheus to scrape, behind the Pushgateway's HTTP API.
//!
//! ```text
//! push ─▶ path ▸ text | proto ▸ store (compile ▸ check ▸ apply)
//!                                 └─▶ scrape | api | page | file | peers
//! ```

mod aggregate;
mod cli;
mod family;
mod handlers;
mod labels;
mod limits;
mod names;
mod number;
mod path;
mod proto;
mod replica;
mod route;
mod run;
mod scrape;
mod server;
mod store;
mod telemetry;
#[cfg(test)]
mod testing;
mod text;
mod time;
mod upkeep;
mod web;

use std::process::ExitCode;

use clap::Parser;
use nubium_host::{Failure, Stop, daemon};

/// Metrics are many small allocations that come and go: worth half of the memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Wrong flags end here, with code 2.
    let cli = cli::Cli::parse();
    let stop = Stop::new();
    match daemon::begin(&cli.log_level, cli.log_format, &stop) {
        Ok(()) => daemon::end(run::run(cli, &stop)),
        Err(Failure { exit, error }) => {
            eprint(&error);
            exit.into()
        }
    }
}

#[expect(clippy::print_stderr, reason = "logging may not have started")]
fn eprint(error: &anyhow::Error) {
    eprintln!("{error:#}");
}
