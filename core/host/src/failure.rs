//! How a program or command ends when it does not succeed: the reason, and the exit code that goes
//! with it.

use std::fmt;

use crate::exit::Exit;

/// Ends a program or a command early.
#[derive(Debug)]
pub struct Failure {
    /// The code to leave with.
    pub exit: Exit,
    /// What failed, where, why, and what to do.
    pub error: anyhow::Error,
}

/// What a program or a command gives.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// Makes a failure of the command line or of the settings.
    pub fn settings(why: impl fmt::Display) -> Self {
        Self::new(Exit::BadSettings, why)
    }

    /// Makes a failure of the machine: a file, a port, a thread.
    pub fn host(why: impl fmt::Display) -> Self {
        Self::new(Exit::HostFailed, why)
    }

    /// Says no: a check failed, a person declined, input was wrong, a cluster is protected.
    pub fn no(why: impl fmt::Display) -> Self {
        Self::new(Exit::AppFailed, why)
    }

    /// Makes a refusal of Kafka's, of the registry's or of another service's.
    pub fn refused(why: impl fmt::Display) -> Self {
        Self::new(Exit::KafkaRefused, why)
    }

    fn new(exit: Exit, why: impl fmt::Display) -> Self {
        Self { exit, error: anyhow::anyhow!("{why}") }
    }
}

/// Takes what has no code of its own for a refusal of Kafka or the registry.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { exit: Exit::KafkaRefused, error }
    }
}

/// Gives an error the exit code of its cause.
pub trait Or<T> {
    /// The command line or a setting is wrong.
    ///
    /// # Errors
    /// Those of the result.
    fn or_settings(self) -> Outcome<T>;
    /// The machine is in the way.
    ///
    /// # Errors
    /// Those of the result.
    fn or_host(self) -> Outcome<T>;
    /// Kafka, the registry or another service refused.
    ///
    /// # Errors
    /// Those of the result.
    fn or_refused(self) -> Outcome<T>;
    /// The answer is no.
    ///
    /// # Errors
    /// Those of the result.
    fn or_no(self) -> Outcome<T>;
}

impl<T, E: Into<anyhow::Error>> Or<T> for Result<T, E> {
    fn or_settings(self) -> Outcome<T> {
        self.map_err(|error| Failure { exit: Exit::BadSettings, error: error.into() })
    }

    fn or_host(self) -> Outcome<T> {
        self.map_err(|error| Failure { exit: Exit::HostFailed, error: error.into() })
    }

    fn or_refused(self) -> Outcome<T> {
        self.map_err(|error| Failure { exit: Exit::KafkaRefused, error: error.into() })
    }

    fn or_no(self) -> Outcome<T> {
        self.map_err(|error| Failure { exit: Exit::AppFailed, error: error.into() })
    }
}
