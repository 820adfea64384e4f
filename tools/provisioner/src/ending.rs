//! How a command ends: its own exit codes, which scripts look at.

use std::process::ExitCode;

use nubium_admin::AdminError;
use nubium_config::{Problem, Problems};
use nubium_registry::RegistryError;

/// Says how a command ended. 2 is what `terraform plan -detailed-exitcode` has for changes, so bad
/// settings, which are 2 elsewhere, are 1 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is done, or there is nothing to do.
    Ok = 0,
    /// Settings are wrong, something does not fit, or the work stopped before its end.
    Failed = 1,
    /// There are changes to make.
    Changes = 2,
    /// Kafka or the registry does not answer, or refuses to be asked.
    Refused = 3,
    /// A file cannot be read or written.
    Host = 6,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(ending as u8)
    }
}

/// Says why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings or manifests are wrong; all problems at once.
    #[error("{0}")]
    Settings(Problems),
    /// What is asked cannot be done as things are.
    #[error("{0}")]
    Failed(String),
    /// A cluster is in the way.
    #[error("cluster {cluster}: {error}")]
    Cluster {
        /// Its name in the settings.
        cluster: String,
        /// What happened.
        error: AdminError,
    },
    /// The schema registry is in the way.
    #[error("schema registry: {0}")]
    Registry(#[from] RegistryError),
    /// A file is in the way.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// What happened.
        error: std::io::Error,
    },
}

impl Error {
    /// Says that something happened on a cluster.
    pub fn cluster(cluster: &str) -> impl Fn(AdminError) -> Self {
        move |error| Self::Cluster { cluster: cluster.to_owned(), error }
    }

    /// Says that something happened to a file.
    pub fn file(path: &std::path::Path) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::File { path: path.display().to_string(), error }
    }

    /// Gives the exit code.
    pub fn ending(&self) -> Ending {
        match self {
            Self::Cluster { error: AdminError::Settings { .. }, .. }
            | Self::Settings(_)
            | Self::Failed(_) => Ending::Failed,
            Self::Cluster { .. } | Self::Registry(_) => Ending::Refused,
            Self::File { .. } => Ending::Host,
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Settings(Problems(vec![problem]))
    }
}
