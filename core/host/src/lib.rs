//! Hosts a long-running program: logs, signals, exit codes, health file, watchdog, HTTP probes.
//!
//! Nothing here knows Kafka, so a small server can use it without building librdkafka.
//!
//! ```text
//! main ─▶ daemon::begin ─▶ Shift (health file, limit of a stop) ─▶ ProbeServer ─▶ work ─▶ daemon::end
//! ```
//!
//! | module | owns |
//! | --- | --- |
//! | [`logging`] | the one `tracing` subscriber of the process |
//! | [`daemon`] | the shell of a program that runs until it is told to stop |
//! | [`stop`], [`signals`] | the request to stop, and how INT and TERM make it |
//! | [`errors`] | codes of errors, with why and what to do: docs/errors.md |
//! | [`exit`], [`failure`] | exit codes, the way out when something hangs, an error with its code |
//! | [`health_file`] | a file that exists while the program runs |
//! | [`watchdog`] | limits for calls that may never return |
//! | [`mutants`] | planted bugs, in builds for tests alone |
//! | [`text`] | text of others, without byte order marks |
//! | [`http`] | a hardened HTTP/1 server and the probes on it |
//! | `terminal` | what commands print; a feature of that name, for binaries |

pub mod daemon;
pub mod errors;
pub mod exit;
pub mod failure;
pub mod health_file;
pub mod http;
pub mod logging;
pub mod mutants;
pub mod signals;
pub mod stop;
#[cfg(feature = "terminal")]
pub mod terminal;
pub mod text;
pub mod watchdog;

pub use exit::Exit;
pub use failure::{Failure, Or, Outcome};
pub use health_file::HealthFile;
pub use stop::{Stop, StopHook};
pub use watchdog::Watchdog;
