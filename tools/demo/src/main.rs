//! The demo: real records through the funnel, in one process. `scripts/demo` builds and runs it.
//!
//! Three threads work at once: the [`feeder`] produces the reports, the app maps them, the
//! [`reader`] reads what came of them with a read_committed consumer. [`place`] is where: an
//! embedded broker and registry, or a cluster. [`show`] tells what became of the records.

mod counts;
mod data;
mod feeder;
mod place;
mod reader;
mod show;

use std::process::ExitCode;

use clap::Parser;

/// The topic for messages that cannot be mapped.
const FAILURES: &str = "strike-failures";
/// Messages that are no Avro at all, fed among the others: someone will produce such a thing one
/// day.
const BROKEN: u64 = 3;

/// Runs real records through a funnel, with an embedded broker and registry or on a cluster.
#[derive(Debug, Parser)]
#[command(name = "funnel-demo", version)]
struct Options {
    /// A cluster to run on, instead of the embedded broker.
    #[arg(long, value_name = "HOST:PORT", requires = "registry")]
    bootstrap: Option<String>,
    /// A schema registry, instead of the embedded one.
    #[arg(long, value_name = "URL", requires = "bootstrap")]
    registry: Option<String>,
    /// How many records to feed; the data set has 5,000 and is repeated from there on.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
}

fn main() -> ExitCode {
    nubium_service::service::end(show::run(&Options::parse()))
}
