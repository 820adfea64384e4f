//! Ways out of a process: each test starts this program again as a child and looks at how it ends.
//!
//! No harness of the compiler's, as the child must be a program with a `main` of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use libtest_mimic::{Arguments, Trial};
use nubium_host::logging::{self, LogFormat, LogLevel};
use nubium_host::{Exit, HealthFile, Stop, Watchdog, signals};

const CHILD: &str = "--child";

/// A bound for a broken build only.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, role, health] = &arguments[..]
        && flag == CHILD
    {
        return child(role, Path::new(health)).into();
    }
    let tests: [(&str, fn()); 10] = [
        ("a_signal_stops_gracefully", a_signal_stops_gracefully),
        ("a_second_signal_exits_at_once", a_second_signal_exits_at_once),
        ("a_signal_that_comes_twice_at_once_is_one", a_signal_that_comes_twice_at_once),
        ("a_second_signal_that_comes_twice_at_once_is_one", a_doubled_second_signal),
        ("a_third_signal_ends_a_process_whose_log_is_stuck", a_third_signal_with_a_stuck_log),
        ("a_stop_that_takes_too_long_ends_the_process", a_stop_that_takes_too_long),
        ("a_hung_call_ends_the_process", a_hung_call_ends_the_process),
        ("a_hung_call_ends_a_process_whose_log_is_stuck", a_hung_call_with_a_stuck_log),
        ("a_frozen_process_is_not_hung", a_frozen_process_is_not_hung),
        ("a_panic_removes_the_health_file", a_panic_removes_the_health_file),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.map(trial).into()).exit_code()
}

// The child's side ------------------------------------------------------------------------------

fn child(role: &str, health: &Path) -> Exit {
    logging::init(&LogLevel::default(), LogFormat::Json).expect("logging");
    let stop = Stop::new();
    signals::install(&stop).expect("signals");
    let _health = HealthFile::create(health).expect("health file");
    let watchdog = Watchdog::exiting().expect("watchdog");
    say("ready");
    match role {
        "obeys" => while !stop.wait_timeout(PATIENCE) {},
        "ignores" => {
            // A callback that never returns must not keep the second signal from working.
            let _hook = stop.on_request(|| {
                say("stopping");
                hang();
            });
            hang();
        }
        "finishes" => {
            let _hook = stop.on_request(|| say("stopping"));
            while !stop.wait_timeout(PATIENCE) {}
            // The work at hand.
            thread::sleep(Duration::from_millis(500));
        }
        "ignores mutely" => {
            let _hook = stop.on_request(|| say("stopping"));
            while !stop.wait_timeout(PATIENCE) {}
            fill_the_log();
        }
        "lingers" => {
            let limit = Duration::from_millis(50);
            let _bound = stop.bound(limit, || tracing::error!("the stop took too long"));
            hang();
        }
        "hangs" => {
            let _guard = watchdog.watch("commit_transaction", Duration::from_millis(50));
            hang();
        }
        "hangs mutely" => {
            let _guard = watchdog.watch("commit_transaction", Duration::from_millis(50));
            fill_the_log();
        }
        "is frozen" => {
            // Longer than the tests' freeze would be too long, so the limit is shorter than it.
            let _guard = watchdog.watch("commit_transaction", Duration::from_secs(3));
            say("watched");
            let _ = stop.wait_timeout(PATIENCE);
        }
        "panics" => panic!("planned panic"),
        unknown => unreachable!("no role {unknown}"),
    }
    Exit::Ok
}

#[expect(clippy::print_stdout, reason = "how a child tells its parent where it is")]
fn say(word: &str) {
    println!("{word}");
}

/// Nobody reads: once the pipe is full, this thread holds the log for ever.
fn fill_the_log() -> ! {
    loop {
        tracing::warn!("{}", "x".repeat(1000));
    }
}

fn hang() -> ! {
    loop {
        thread::park();
    }
}

// The parent's side -----------------------------------------------------------------------------

struct Watched {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    health: PathBuf,
}

impl Watched {
    fn start(role: &str) -> Self {
        // Tests run side by side, some with the same role.
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("nubium-process-{}-{number}", std::process::id());
        let health = env::temp_dir().join(name);
        let mut child = Command::new(env::current_exe().expect("own path"))
            .args([CHILD, role])
            .arg(&health)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("child started");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut started = Self { child, output, health };
        started.hear("ready");
        started
    }

    fn hear(&mut self, word: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), word);
    }

    fn signal(&self, name: &str) {
        assert!(self.try_signal(name));
    }

    fn try_signal(&self, name: &str) -> bool {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", name, &pid]).status().expect("kill").success()
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("waited") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the child does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end and returns the exit code and the log.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.wait().code();
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("piped");
        stderr.read_to_string(&mut log).expect("log");
        assert!(!self.health.exists(), "the health file was left behind");
        (code, log)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.health);
    }
}

fn a_signal_stops_gracefully() {
    for name in ["TERM", "INT"] {
        let child = Watched::start("obeys");
        assert!(child.health.exists(), "the health file is there while it runs");
        child.signal(name);
        let (code, log) = child.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains(&format!("signal SIG{name}")), "{log}");
    }
}

fn a_signal_that_comes_twice_at_once() {
    for (first, again) in [("TERM", "TERM"), ("INT", "INT"), ("INT", "TERM")] {
        let mut child = Watched::start("finishes");
        child.signal(first);
        child.hear("stopping");
        child.signal(again);
        let (code, log) = child.end();
        assert_eq!(code, Some(0), "{first}, {again}: {log}");
    }
}

fn a_second_signal_exits_at_once() {
    for (name, want) in [("TERM", 143), ("INT", 130)] {
        let mut child = Watched::start("ignores");
        child.signal("TERM");
        child.hear("stopping");
        thread::sleep(signals::ECHO);
        child.signal(name);
        let (code, log) = child.end();
        assert_eq!(code, Some(want), "{log}");
        assert!(log.contains("Second signal"), "{log}");
    }
}

fn a_doubled_second_signal() {
    let mut child = Watched::start("ignores");
    child.signal("TERM");
    child.hear("stopping");
    thread::sleep(signals::ECHO);
    child.signal("TERM");
    // Too late when it has ended already: then it is not there to be hurt.
    let _ = child.try_signal("INT");
    let (code, log) = child.end();
    assert_eq!(code, Some(143), "{log}");
    assert!(log.contains("Second signal"), "the last words were cut off: {log}");
}

fn a_third_signal_with_a_stuck_log() {
    let mut child = Watched::start("ignores mutely");
    child.signal("TERM");
    child.hear("stopping");
    thread::sleep(signals::ECHO);
    child.signal("TERM");
    thread::sleep(signals::ECHO);
    // Its number tells the handler's end from the one after the last words, which is TERM's.
    while child.child.try_wait().expect("waited").is_none() {
        let _ = child.try_signal("INT");
    }
    assert_eq!(child.wait().code(), Some(130));
}

fn a_stop_that_takes_too_long() {
    let child = Watched::start("lingers");
    child.signal("TERM");
    let (code, log) = child.end();
    assert_eq!(code, Some(i32::from(Exit::StopTimedOut.code())), "{log}");
    assert!(log.contains("the stop took too long"), "{log}");
}

fn a_hung_call_ends_the_process() {
    let (code, log) = Watched::start("hangs").end();
    assert_eq!(code, Some(i32::from(Exit::Hung.code())), "{log}");
    assert!(log.contains(r#""call":"commit_transaction""#), "{log}");
}

fn a_hung_call_with_a_stuck_log() {
    let mut child = Watched::start("hangs mutely");
    assert_eq!(child.wait().code(), Some(i32::from(Exit::Hung.code())));
    assert!(!child.health.exists());
}

fn a_frozen_process_is_not_hung() {
    let mut child = Watched::start("is frozen");
    child.hear("watched");
    child.signal("STOP");
    // The freeze itself, which must be longer than the limit.
    thread::sleep(Duration::from_secs(4));
    child.signal("CONT");
    child.signal("TERM");
    let (code, log) = child.end();
    assert_eq!(code, Some(0), "{log}");
}

fn a_panic_removes_the_health_file() {
    let (code, log) = Watched::start("panics").end();
    assert_eq!(code, Some(101), "{log}");
    assert!(log.contains("planned panic") && log.contains("tests/process.rs"), "{log}");
}
