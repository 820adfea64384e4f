//! Kills the processes a test started when the test process ends, however it ends.
//!
//! A destructor does not run after SIGKILL, an abort or Ctrl-C, and a forgotten broker holds half
//! a gigabyte. So a small shell in a process group of its own holds the read end of a pipe: when
//! this process is gone, the pipe is closed and the shell kills every group still on its list.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
all=' '
while read -r op pid; do
  case $op in
    add) all="$all$pid " ;;
    drop) case $all in *" $pid "*) all="${all%% "$pid" *} ${all##* "$pid" }" ;; esac ;;
  esac
done
for pid in $all; do kill -KILL -- "-$pid" 2>/dev/null; done
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

fn tell(op: &str, group: u32) -> Result<()> {
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
    writeln!(pipe, "{op} {group}").context("the clean-up shell has died")
}
