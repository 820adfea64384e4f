//! Kills the processes a test started when the test process ends, however it ends.
//!
//! A destructor does not run after SIGKILL, an abort or Ctrl-C, and a forgotten broker holds half
//! a gigabyte. So a small shell in a process group of its own holds the read end of a pipe: when
//! this process is gone, the pipe is closed and the shell kills every group still on its list.

use std::fmt::Display;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
all=' '
dirs=
while read -r op pid; do
  case $op in
    clean) dirs="$dirs$pid
" ;;
    add) all="$all$pid " ;;
    drop) case $all in *" $pid "*) all="${all%% "$pid" *} ${all##* "$pid" }" ;; esac ;;
  esac
done
for pid in $all; do kill -KILL "-$pid" 2>/dev/null; done
printf '%s' "$dirs" | while read -r dir; do
  # What was killed a moment ago may still have been writing.
  rm -rf "$dir" 2>/dev/null || { sleep 1; rm -rf "$dir"; }
done
"#;

static REAPER: OnceLock<Mutex<Option<ChildStdin>>> = OnceLock::new();

/// Puts a process group on the list.
///
/// # Errors
/// The shell cannot be started or has died.
pub(crate) fn add(group: u32) -> Result<()> {
    tell("add", group)
}

/// Takes a process group that has ended, or is to outlive this process, off the list.
pub(crate) fn drop_group(group: u32) {
    // A reaper that is gone has nothing on its list.
    let _ = tell("drop", group);
}

/// Removes a temporary directory when this process is gone, for those that a static holds.
///
/// # Errors
/// As [`add`].
pub(crate) fn clean(dir: &Path) -> Result<()> {
    tell("clean", dir.display())
}

fn tell(op: &str, what: impl Display) -> Result<()> {
    let cell = REAPER.get_or_init(|| Mutex::new(None));
    let mut pipe = cell.lock().unwrap_or_else(PoisonError::into_inner);
    if pipe.is_none() {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start `sh`, which cleans up after the tests")?;
        *pipe = shell.stdin.take();
    }
    let pipe = pipe.as_mut().context("the clean-up shell has no input")?;
    writeln!(pipe, "{op} {what}").context("the clean-up shell has died")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Signal, signal_pid};
    use crate::wait::until;
    use std::time::Duration;

    #[test]
    fn kills_the_groups_on_its_list_when_the_pipe_is_closed() {
        let group = || Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let (mut listed, mut dropped) = (group(), group());
        let script = Command::new("sh").args(["-c", SCRIPT]).stdin(Stdio::piped()).spawn();
        let mut shell = script.unwrap();
        let mut pipe = shell.stdin.take().unwrap();
        for (op, child) in [("add", &listed), ("add", &dropped), ("drop", &dropped)] {
            writeln!(pipe, "{op} {}", child.id()).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        writeln!(pipe, "clean {}", dir.path().display()).unwrap();
        drop(pipe);
        assert!(shell.wait().unwrap().success());
        assert!(!dir.path().exists());
        until("the listed group to end", Duration::from_secs(30), || {
            listed.try_wait().is_ok_and(|status| status.is_some())
        })
        .unwrap();
        assert!(dropped.try_wait().unwrap().is_none(), "the other one lives");
        signal_pid(dropped.id(), Signal::KILL).unwrap();
        dropped.wait().unwrap();
    }
}
