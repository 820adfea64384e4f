#![doc = include_str!("../EXIT_CODES.md")]

use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use crate::health_file;

/// How long last words (a log line, removing the health file) may hold up an exit. Standard error
/// may be a pipe nobody reads: then the exit matters more than the line.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Says how a process ended. Every binary returns one of these from `main`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// The work ended, or a stop was asked for and obeyed.
    Ok = 0,
    /// The app function failed and the error policy says to stop.
    AppFailed = 1,
    /// Settings are missing or wrong; the network was not touched.
    BadSettings = 2,
    /// Kafka refused for good: fenced, not authorised, no such topic.
    KafkaRefused = 3,
    /// The watchdog found a call that did not return.
    Hung = 4,
    /// A graceful stop took longer than its time-out.
    StopTimedOut = 5,
    /// The machine is in the way: a port, a file, a thread.
    HostFailed = 6,
}

impl Exit {
    /// Lists every code, in order.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::AppFailed,
        Self::BadSettings,
        Self::KafkaRefused,
        Self::Hung,
        Self::StopTimedOut,
        Self::HostFailed,
    ];

    /// Returns the number that the operating system sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Ends the process at once from any thread, even when other threads are stuck.
///
/// Runs `last_words` (log what happened) and removes the health file, for [two seconds](LAST_WORDS)
/// at most, then leaves through `_exit`: no destructors and no `atexit` handlers, which wait for
/// the very threads that hang. A normal end returns [`Exit`] from `main` instead.
pub fn at_once(code: u8, last_words: impl FnOnce() + Send + 'static) -> ! {
    let (done, wait) = mpsc::channel::<()>();
    let spoken = std::thread::Builder::new().name("nubium-exit".into()).spawn(move || {
        health_file::remove_all();
        last_words();
        drop(done);
    });
    if spoken.is_ok() {
        // Err either way: the sender is dropped when all is said, or the time is over.
        let _ = wait.recv_timeout(LAST_WORDS);
    } else {
        health_file::remove_all();
    }
    signal_hook::low_level::exit(i32::from(code))
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_page_names_every_code_with_its_number() {
        let page = include_str!("../EXIT_CODES.md");
        for exit in Exit::ALL {
            let row = format!("| {} | `{exit:?}` |", exit.code());
            assert!(page.contains(&row), "EXIT_CODES.md has no row that starts with {row}");
        }
    }

    #[test]
    fn codes_are_distinct_and_below_the_range_of_signals() {
        let mut codes = Exit::ALL.map(Exit::code).to_vec();
        codes.dedup();
        assert_eq!(codes, (0..7).collect::<Vec<u8>>());
    }
}
