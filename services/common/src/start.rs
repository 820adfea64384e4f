//! What every command begins with: the core's settings and the service's own, with all problems of
//! both at once.

use std::process::ExitCode;

use nubium_core::config::{Config, Problem, Problems};
use nubium_host::Exit;

use crate::terminal;

/// Holds settings without problems; `S` are the service's own.
#[derive(Debug)]
pub struct Start<S> {
    /// The core's.
    pub config: Config,
    /// The service's.
    pub settings: S,
    /// What looks wrong in the core's.
    pub warnings: Vec<String>,
}

impl<S> Start<S> {
    /// Reads the environment and joins the service's own settings.
    ///
    /// # Errors
    /// Every problem of both.
    pub fn load(own: Result<S, Vec<Problem>>) -> Result<Self, Problems> {
        match (Config::from_env(), own) {
            (Ok(loaded), Ok(settings)) => {
                let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
                Ok(Self { config: loaded.config, settings, warnings })
            }
            (core, own) => {
                let mut problems = core.err().map_or_else(Vec::new, |problems| problems.0);
                problems.extend(own.err().into_iter().flatten());
                Err(Problems(problems))
            }
        }
    }

    /// Begins a command: as [`Self::load`], with warnings and problems told to the person who
    /// started it.
    ///
    /// # Errors
    /// The exit code of bad settings.
    pub fn begin(own: Result<S, Vec<Problem>>) -> Result<Self, ExitCode> {
        Self::begin_with(own, |_| Vec::new())
    }

    /// Does so where there are rules between both halves too: `rules` answers what breaks them, and
    /// may add warnings.
    ///
    /// # Errors
    /// The exit code of bad settings.
    pub fn begin_with(
        own: Result<S, Vec<Problem>>,
        rules: impl FnOnce(&mut Self) -> Vec<Problem>,
    ) -> Result<Self, ExitCode> {
        let refuse = |problems: Problems| {
            terminal::tell(problems);
            ExitCode::from(Exit::BadSettings)
        };
        let mut start = Self::load(own).map_err(refuse)?;
        let broken = rules(&mut start);
        if !broken.is_empty() {
            return Err(refuse(Problems(broken)));
        }
        start.warnings.iter().for_each(|warning| terminal::tell(format!("warning: {warning}")));
        Ok(start)
    }
}
