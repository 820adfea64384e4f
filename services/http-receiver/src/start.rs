//! What every command begins with: the core's settings and the receiver's own, with all problems of
//! both at once.

use std::path::Path;

use anyhow::Context as _;
use nubium_core::codec::{Codec, Registry, RegistryConfig};
use nubium_core::config::{Config, Problems};
use nubium_host::Exit;
use nubium_mapping::mapping::Mapping;

use crate::route;
use crate::settings::Settings;
use crate::terminal;

/// Holds settings without problems.
#[derive(Debug)]
pub struct Start {
    /// The core's.
    pub config: Config,
    /// The receiver's.
    pub settings: Settings,
    /// What looks wrong, but prevents nothing.
    pub warnings: Vec<String>,
}

impl Start {
    /// Reads the environment and the receiver's file.
    ///
    /// # Errors
    /// Every problem of both.
    pub fn load(file: &Path) -> Result<Self, Problems> {
        match (Config::from_env(), Settings::load(file)) {
            (Ok(loaded), Ok(settings)) => {
                let mut warnings: Vec<_> =
                    loaded.warnings.iter().map(ToString::to_string).collect();
                let open = settings.routes.iter().filter(|route| route.auth.is_empty());
                warnings.extend(open.map(|route| {
                    format!("{}: anybody may post here; `auth` says who may", route.path)
                }));
                Ok(Self { config: loaded.config, settings, warnings })
            }
            (core, own) => {
                let mut problems = core.err().map_or_else(Vec::new, |problems| problems.0);
                problems.extend(own.err().into_iter().flatten());
                Err(Problems(problems))
            }
        }
    }

    /// As [`Self::load`], with problems and warnings printed.
    ///
    /// # Errors
    /// The code to leave with.
    pub fn load_or_tell(file: &Path) -> Result<Self, Exit> {
        match Self::load(file) {
            Ok(start) => {
                let warnings = start.warnings.iter();
                warnings.for_each(|warning| terminal::tell(format!("warning: {warning}")));
                Ok(start)
            }
            Err(problems) => {
                terminal::tell(problems);
                Err(Exit::BadSettings)
            }
        }
    }

    /// Compiles the program of every route.
    ///
    /// # Errors
    /// The problems of each, with its path.
    pub fn compile(&self) -> Result<Vec<Option<Mapping>>, Vec<String>> {
        let (mut mappings, mut problems) = (Vec::new(), Vec::new());
        for route in &self.settings.routes {
            match route::compile(route) {
                Ok(mapping) => mappings.push(mapping),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(mappings) } else { Err(problems) }
    }

    /// Gives the topics of all routes.
    #[must_use]
    pub fn topics(&self) -> Vec<&str> {
        self.settings.outputs().iter().map(|output| output.topic.as_str()).collect()
    }
}

/// Makes a registry client of the settings.
///
/// # Errors
/// When a URL is wrong or the client cannot be made.
pub fn codec(
    config: &Config,
    runtime: &tokio::runtime::Handle,
    adjust: impl FnOnce(&mut RegistryConfig),
) -> anyhow::Result<Codec> {
    let mut registry = nubium_core::app::registry_config(&config.registry);
    adjust(&mut registry);
    let registry = Registry::new(registry, runtime.clone());
    Ok(Codec::new(registry.context("schema registry client")?))
}
