//! INT and TERM: the first asks for a graceful stop, the second ends the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use crate::exit;
use crate::stop::Stop;

/// Makes INT and TERM request `stop`; a second signal exits at once with 128 plus its number.
///
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
        let mut obeyed = false;
        for signal in signals.forever() {
            if obeyed {
                last_resort.store(true, Ordering::SeqCst);
                exit_now(signal);
            }
            obeyed = true;
            request(&stop, signal);
        }
    })?;
    Ok(())
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
            "Second signal: exiting without waiting. What was not committed will be read again."
        );
    })
}

fn name(signal: i32) -> &'static str {
    signal_name(signal).unwrap_or("unknown")
}
