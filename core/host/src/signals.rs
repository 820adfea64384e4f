//! INT and TERM: the first asks for a graceful stop, the second ends the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use crate::errors::Code;
use crate::exit;
use crate::stop::Stop;

/// How long after a signal another one is taken for the same request.
///
/// A terminal and `timeout` signal the process group, and a parent that forwards signals sends
/// what the group already got; platforms send TERM after INT. Nobody who waited for a stop in vain
/// asks again within a second.
pub const ECHO: Duration = Duration::from_secs(1);

/// What a signal means, by what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Ask for a graceful stop.
    Stop,
    /// The same request once more.
    Echo,
    /// Exit without waiting.
    Exit,
}

/// Says what a signal means that comes this long after the first one.
fn meaning(since_first: Option<Duration>) -> Meaning {
    match since_first {
        None => Meaning::Stop,
        Some(elapsed) if elapsed < ECHO => Meaning::Echo,
        Some(_) => Meaning::Exit,
    }
}

/// Makes INT and TERM request `stop`; a second signal exits at once with 128 plus its number.
///
/// What comes within [a second](ECHO) of the first signal is the same request, INT or TERM alike.
/// Signals are read by a thread of their own, so that a second one works while everything else
/// hangs. It removes the health file first. Should even that hang, a third signal ends the process
/// inside the signal handler. Call this once, early in `main`.
///
/// # Errors
/// Fails when a handler or the thread cannot be set up.
pub fn install(stop: &Stop) -> io::Result<()> {
    let last_resort = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&last_resort))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let stop = stop.clone();
    thread::Builder::new().name("nubium-signals".into()).spawn(move || {
        let mut first = None;
        for signal in signals.forever() {
            match meaning(first.map(|first: Instant| first.elapsed())) {
                Meaning::Stop => {
                    first = Some(Instant::now());
                    request(&stop, signal);
                }
                Meaning::Echo => {}
                Meaning::Exit => {
                    arm(&last_resort);
                    exit_now(signal);
                }
            }
        }
    })?;
    Ok(())
}

/// Lets the next signal end the process inside the handler, once the echo of this one is over: it
/// would cut off the last words.
fn arm(last_resort: &Arc<AtomicBool>) {
    let for_thread = Arc::clone(last_resort);
    let spawned = thread::Builder::new().name("nubium-last-resort".into()).spawn(move || {
        thread::sleep(ECHO);
        for_thread.store(true, Ordering::SeqCst);
    });
    if spawned.is_err() {
        last_resort.store(true, Ordering::SeqCst);
    }
}

/// Requests the stop from a thread of its own: a callback or a log line that blocks must not keep
/// the second signal from being read.
fn request(stop: &Stop, signal: i32) {
    let why = format!("signal {}", name(signal));
    let (for_thread, reason) = (stop.clone(), why.clone());
    let spawned = thread::Builder::new().name("nubium-stop".into()).spawn(move || {
        tracing::info!(why = reason, "Stopping: the work at hand is finished first.");
        for_thread.request(&reason);
    });
    if spawned.is_err() {
        stop.request(&why);
    }
}

fn exit_now(signal: i32) -> ! {
    let code = u8::try_from(128 + signal).unwrap_or(u8::MAX);
    exit::at_once(code, move || {
        tracing::error!(
            signal = name(signal),
            code,
            "{}: Second signal: exiting without waiting. What was not committed will be read \
             again.",
            Code::SecondSignal
        );
    })
}

fn name(signal: i32) -> &'static str {
    signal_name(signal).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_signal_a_second_after_the_first_is_a_second_one() {
        let table = [
            (None, Meaning::Stop),
            (Some(Duration::ZERO), Meaning::Echo),
            (Some(ECHO - Duration::from_nanos(1)), Meaning::Echo),
            (Some(ECHO), Meaning::Exit),
            (Some(Duration::MAX), Meaning::Exit),
        ];
        for (since_first, want) in table {
            assert_eq!(meaning(since_first), want, "{since_first:?}");
        }
    }
}
