//! Runs a program as a child process: its log in a file, its signals by name, dead on drop.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, kill_process, kill_process_group};

pub use rustix::process::Signal;

use crate::reaper;
use crate::wait::{Look, eventually};

const TAIL_LINES: usize = 60;

/// A running child process in a process group of its own.
///
/// On drop it is killed; while a test panics its last log lines are shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    pid: u32,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Starts `command`; what it prints is appended to `{log_dir}/{name}.log`.
    ///
    /// # Errors
    /// The log file or the program cannot be opened.
    pub fn spawn(name: &str, log_dir: &Path, command: &mut Command) -> Result<Self> {
        fs::create_dir_all(log_dir).with_context(|| log_dir.display().to_string())?;
        let log = log_dir.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let pid = child.id();
        reaper::add(pid)?;
        Ok(Self { name: name.to_owned(), log, pid, child: Mutex::new(Some(child)) })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file with everything it printed.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Everything it has printed so far, of this and earlier lives under the same name.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines it printed.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// Sends a signal that is a second one: what comes within [`nubium_host::signals::ECHO`] of the
    /// first is the same request.
    ///
    /// # Errors
    /// The system refuses.
    pub fn second_signal(&self, signal: Signal) -> Result<()> {
        std::thread::sleep(nubium_host::signals::ECHO);
        self.signal(signal)
    }

    /// Sends a signal; a process that has ended is left alone.
    ///
    /// # Errors
    /// The system refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.exit_status()?.is_some() {
            return Ok(());
        }
        signal_pid(self.pid, signal)
    }

    /// Kills it at once (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.wait(Duration::from_secs(30)).map(drop)
    }

    /// Returns the exit status, or `None` while it runs.
    ///
    /// # Errors
    /// The system refuses to say.
    pub fn exit_status(&self) -> Result<Option<ExitStatus>> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let child = child.as_mut().context("the process was let go")?;
        let status = child.try_wait().with_context(|| format!("cannot wait for {}", self.name))?;
        if status.is_some() {
            reaper::drop_group(self.pid);
        }
        Ok(status)
    }

    /// Says whether it still runs (a stopped process does).
    pub fn is_running(&self) -> bool {
        matches!(self.exit_status(), Ok(None))
    }

    /// Says whether SIGSTOP holds it.
    pub fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // The state follows the name in parentheses, which may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// The deadline passed: names the process and shows its last log lines.
    pub fn wait(&self, deadline: Duration) -> Result<ExitStatus> {
        eventually(&format!("{} to end", self.name), deadline, || match self.exit_status() {
            Ok(Some(status)) => Look::Ready(status),
            Ok(None) => Look::NotYet("it runs".into()),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })
        .map_err(|error| anyhow!("{error}\n{}", self.log_tail()))
    }

    /// Lets the process outlive this one, and returns its id.
    pub fn detach(self) -> u32 {
        reaper::drop_group(self.pid);
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        *child = None;
        self.pid
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(child) = child else { return };
        if let (Ok(None), Some(group)) = (child.try_wait(), pid(self.pid)) {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait();
        }
        reaper::drop_group(self.pid);
        if std::thread::panicking() {
            let tail = self.log_tail();
            #[expect(clippy::print_stderr, reason = "shown with the failed test's output")]
            {
                eprintln!("---- {} ({}) ----\n{tail}", self.name, self.log.display());
            }
        }
    }
}

/// Sends a signal to a process by its id.
///
/// # Errors
/// There is no such process, or the system refuses.
pub fn signal_pid(id: u32, signal: Signal) -> Result<()> {
    let pid = pid(id).with_context(|| format!("{id} is no process id"))?;
    kill_process(pid, signal).with_context(|| format!("cannot send {signal:?} to process {id}"))
}

fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Process) {
        let dir = tempfile::tempdir().unwrap();
        let process =
            Process::spawn("shell", dir.path(), Command::new("sh").args(["-c", script])).unwrap();
        (dir, process)
    }

    #[test]
    fn keeps_the_log_and_the_exit_code() {
        let (_dir, process) = shell("echo out; echo err >&2; exit 3");
        let status = process.wait(Duration::from_secs(30)).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(process.log_tail(), "out\nerr");
    }

    #[test]
    fn kills_on_drop_with_all_its_children() {
        let (_dir, process) = shell("sleep 1000 & echo $!; wait");
        let child: u32 = eventually("the child's id", Duration::from_secs(30), || {
            Look::from_result(process.log().trim().parse())
        })
        .unwrap();
        drop(process);
        let gone = || signal_pid(child, Signal::CONT).is_err();
        crate::wait::until("the grandchild to be gone", Duration::from_secs(30), gone).unwrap();
    }

    #[test]
    fn stops_and_continues() {
        let (_dir, process) = shell("while :; do sleep 0.01; done");
        let deadline = Duration::from_secs(30);
        process.signal(Signal::STOP).unwrap();
        crate::wait::until("the stop", deadline, || process.is_stopped()).unwrap();
        assert!(process.is_running());
        process.signal(Signal::CONT).unwrap();
        crate::wait::until("the continuation", deadline, || !process.is_stopped()).unwrap();
    }
}
