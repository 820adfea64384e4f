//! The app under test as a child process: started again whenever it ends, killed and paused.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How often it may end by itself.
const MOST_ENDS: u32 = 50;

/// A running app with all its children; killed on drop.
#[derive(Debug)]
pub struct App {
    words: Vec<String>,
    variables: Vec<(&'static str, String)>,
    child: Child,
    /// How often it ended by itself.
    pub ends: u32,
}

impl App {
    /// Starts it in this process's environment. What it prints goes to standard error.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(words: Vec<String>, variables: Vec<(&'static str, String)>) -> Result<Self> {
        let child = spawn(&words, &variables)?;
        Ok(Self { words, variables, child, ends: 0 })
    }

    /// Starts it again if it has ended.
    ///
    /// # Errors
    /// It ends again and again, or cannot be started.
    pub fn tend(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        self.ends += 1;
        if self.ends > MOST_ENDS {
            bail!("the app ends again and again, now with {status}");
        }
        self.child = spawn(&self.words, &self.variables)?;
        Ok(())
    }

    /// Sends a signal to it and its children.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // One that has ended is seen by the next look.
        let _ = pid.map(|pid| kill_process_group(pid, signal));
    }

    /// Kills it at once and starts it again.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL);
        self.child.wait()?;
        self.child = spawn(&self.words, &self.variables)?;
        Ok(())
    }

    /// Asks it to end, and kills it if it does not.
    ///
    /// # Errors
    /// The system refuses.
    pub fn stop(&mut self, limit: Duration) -> Result<()> {
        self.signal(Signal::TERM);
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > limit {
                self.signal(Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn spawn(words: &[String], variables: &[(&'static str, String)]) -> Result<Child> {
    let (program, arguments) = words.split_first().context("no app")?;
    Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {program}"))
}
