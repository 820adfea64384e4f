//! Deploys the fleet's example as processes, hurts it under load, and counts.
//!
//! `scripts/test-fleet` calls this in namespaces of its own. The last line is a test's result, for
//! who adds them up.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use nubium_test_kit::install::ensure_installed;
use nubium_tests::fleet::story::{Options, tell};

/// Deploys the fleet's example as processes, hurts it under load, and counts.
#[derive(Debug, Parser)]
struct Cli {
    /// Only fetch what the brokers and the registry are started from.
    #[arg(long)]
    fetch: bool,
    /// Do everything five times, at the pace of the manifests.
    #[arg(long)]
    long: bool,
    /// The binaries.
    #[arg(long, default_value = "target/debug")]
    binaries: PathBuf,
    /// Where logs and data go; it must not exist.
    #[arg(long, default_value = "target/fleet")]
    work: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = if cli.fetch { ensure_installed().map(|_| (0, 0)) } else { run(&cli) };
    match outcome {
        Ok((_, 0)) if cli.fetch => ExitCode::SUCCESS,
        Ok((passed, failed)) => {
            let word = if failed == 0 { "ok" } else { "FAILED" };
            say(&format!("test result: {word}. {passed} passed; {failed} failed; 0 ignored"));
            if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            say(&format!("fleet: {error:#}"));
            say("test result: FAILED. 0 passed; 1 failed; 0 ignored");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(usize, usize)> {
    let here = std::env::current_dir()?;
    let (rounds, min_ready) = if cli.long { (5, Duration::MAX) } else { (1, Duration::ZERO) };
    let proof = tell(
        &Options {
            binaries: here.join(&cli.binaries),
            work: here.join(&cli.work),
            repository: here,
            rounds,
            rate: 40,
            min_ready,
        },
        &say,
    )?;
    for (what, why) in &proof.findings {
        match why {
            None => say(&format!("{what}: ok")),
            Some(why) => say(&format!("{what}: FAILED: {why}")),
        }
    }
    say(&proof.table);
    Ok(proof.counts())
}

#[expect(clippy::print_stdout, reason = "the output of a command line tool")]
fn say(line: &str) {
    println!("{line}");
}
