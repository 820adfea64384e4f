//! Runs every check and test of the workspace, and adds up the results.
//!
//! `scripts/test` builds the tests and calls this. The last line of its output is the sum over
//! all that ran: `N passed, N failed`.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use nubium_test_kit::services::{BOOTSTRAP, REGISTRY, Services};

// Tests share one broker and two cores: more at once makes transactions time out by themselves.
const TEST_THREADS: &str = "2";
const RESULT: &str = "test result: ";

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// The areas of faults whose every cell was seen to pass, and one cell in so many.
const SAMPLE: [&str; 4] = ["--area", "messages,registry,shutdown,pause,network", "--one-in", "4"];

fn main() -> ExitCode {
    let mut tally = Tally::default();
    let cargo: [(&str, &[&str]); 2] = [
        ("format", &["fmt", "--all", "--check"]),
        (
            "lints",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ],
        ),
    ];
    for (name, arguments) in cargo {
        tally.step(name, || run(Command::new("cargo").args(arguments)));
    }
    tally.step("dependencies", || run(&mut Command::new("scripts/deny")));
    let mut services = None;
    tally.step("services", || {
        services = Some(Services::start()?);
        Ok(())
    });
    // Without services the tests that need them fail by name; the others still run.
    if let Err(error) = test(services.as_ref(), &mut tally) {
        say(&format!("tests: {error:#}"));
        tally.failed += 1;
    }
    drop(services);
    // Not with a filter of tests: these are no tests of a name.
    if env::args_os().len() == 1 {
        // After the lints, whose dependencies serve here too: a minute, and not five.
        tally.step("packages", || run(&mut Command::new("scripts/check-packages")));
        tally.step("manifests", || run(&mut deployed("scripts/check-deploy")?));
        tally.fleet();
        tally.chaos();
    }
    tally.judge_ignored(env::var_os("CI").is_some());
    say(&format!("{} passed, {} failed", tally.passed, tally.failed));
    if tally.failed == 0 && tally.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A script that takes the binaries from where this one is.
fn deployed(script: &str) -> Result<Command> {
    let here = env::current_exe()?;
    let mut command = Command::new(script);
    command.env("BINARIES", here.parent().context("this program is nowhere")?);
    Ok(command)
}

/// Runs a script, and adds up what it counts.
fn counted(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("the script has no output")?;
    let mut ran = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        ran.add_line(&line);
        say(&line);
    }
    let status = child.wait()?;
    tally.add(ran);
    if !status.success() && ran.failed == 0 {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn test(services: Option<&Services>, tally: &mut Tally) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--workspace", "--locked", "--no-fail-fast"]).args(env::args_os().skip(1));
    cargo.env("RUST_TEST_THREADS", TEST_THREADS).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(services) = services {
        cargo.env(BOOTSTRAP, &services.bootstrap).env(REGISTRY, &services.registry);
    }
    let mut child = cargo.spawn().context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let errors = child.stderr.take().context("cargo has no errors")?;
    let failed_programs = thread::spawn(move || count_failed_programs(errors));
    let (mut ran, mut told) = (Tally::default(), 0);
    for line in BufReader::new(output).lines() {
        let line = line?;
        ran.add_line(&line);
        told += u64::from(line.starts_with("test result: FAILED"));
        say(&line);
    }
    let status = child.wait()?;
    let programs = failed_programs.join().map_err(|_| anyhow!("reading cargo's errors"))?;
    // A test program that crashed, or has a harness of its own, leaves no line to count.
    ran.failed += programs.saturating_sub(told);
    tally.add(ran);
    if !status.success() && ran.failed == 0 {
        bail!("cargo test ended with {status} though no test failed");
    }
    Ok(())
}

/// Passes cargo's errors on, and counts the test programs that it lists as failed at the end.
fn count_failed_programs(errors: impl Read) -> u64 {
    let lines = BufReader::new(errors).lines().map_while(Result::ok);
    lines.inspect(|line| complain(line)).filter(|line| line.starts_with("    `-p ")).count() as u64
}

impl Tally {
    fn step(&mut self, name: &str, action: impl FnOnce() -> Result<()>) {
        let start = Instant::now();
        let outcome = action();
        let seconds = start.elapsed().as_secs();
        match outcome {
            Ok(()) => {
                self.passed += 1;
                say(&format!("{name}: ok ({seconds} s)"));
            }
            Err(error) => {
                self.failed += 1;
                say(&format!("{name}: FAILED ({seconds} s): {error:#}"));
            }
        }
    }

    /// Runs the fleet where that can be done: pods need namespaces, and those root.
    fn fleet(&mut self) {
        if !rustix::process::geteuid().is_root() {
            say("fleet: needs root");
            self.ignored += 1;
        } else if let Err(error) =
            deployed("scripts/test-fleet").and_then(|mut fleet| counted(&mut fleet, self))
        {
            say(&format!("fleet: {error:#}"));
            self.failed += 1;
        }
    }

    /// Hurts apps in a sample of the ways; the rest by name.
    fn chaos(&mut self) {
        let mut command = Command::new("scripts/chaos");
        if let Err(error) = counted(command.args(SAMPLE), self) {
            say(&format!("chaos: {error:#}"));
            self.failed += 1;
        }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// Adds one test program's result line; any other line is ignored.
    fn add_line(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix(RESULT) else { return };
        let Some((_, counts)) = result.split_once(". ") else { return };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// A test that did not run is a failure in CI and told elsewhere.
    fn judge_ignored(&mut self, ci: bool) {
        if self.ignored == 0 {
            return;
        }
        say(&format!("{} tests were skipped", self.ignored));
        if ci {
            self.failed += self.ignored;
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("ended with {status}");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the output of a command line tool")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the errors of a command line tool")]
fn complain(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_result_lines_alone() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; x",
            "test x::result: ok. 5 passed",
        ] {
            tally.add_line(line);
        }
        assert_eq!(tally, Tally { passed: 15, failed: 2, ignored: 1 });
    }

    #[test]
    fn counts_programs_that_failed() {
        let errors = "   Compiling x\nerror: test failed, to rerun pass `-p x --lib`\n\
                      error: 2 targets failed:\n    `-p x --lib`\n    `-p y --test process`\n";
        assert_eq!(count_failed_programs(errors.as_bytes()), 2);
    }

    #[test]
    fn a_skipped_test_is_a_failure_in_ci() {
        let mut tally = Tally { passed: 1, failed: 0, ignored: 2 };
        tally.judge_ignored(false);
        assert_eq!(tally.failed, 0);
        tally.judge_ignored(true);
        assert_eq!(tally.failed, 2);
    }

    #[test]
    fn a_failed_step_counts() {
        let mut tally = Tally::default();
        tally.step("good", || Ok(()));
        tally.step("bad", || bail!("why"));
        assert_eq!(tally, Tally { passed: 1, failed: 1, ignored: 0 });
    }
}
