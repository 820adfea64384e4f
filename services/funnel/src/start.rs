//! What every command begins with: the core's settings and the funnel's own, with all problems of
//! both at once.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use nubium_core::codec::{self, Codec, Registry, RegistryConfig};
use nubium_core::config::{Config, Problems};

use crate::settings::{Input, Settings};
use nubium_mapping::avro::Schema;

/// Holds settings without problems.
#[derive(Debug)]
pub struct Start {
    /// The core's.
    pub config: Config,
    /// The funnel's.
    pub settings: Settings,
    /// What looks wrong in the core's.
    pub warnings: Vec<String>,
}

impl Start {
    /// Reads the environment and the funnel's file.
    ///
    /// # Errors
    /// Every problem of both.
    pub fn load(file: &Path) -> Result<Self, Problems> {
        match (Config::from_env(), Settings::load(file)) {
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
}

/// Fetches the schemas of the inputs that name no file: for each input, the latest one of its
/// topic.
///
/// # Errors
/// When the registry does not answer, or has none.
pub async fn input_schemas(
    codec: &Codec,
    inputs: &[Input],
) -> anyhow::Result<Vec<Option<Arc<Schema>>>> {
    let mut schemas = Vec::with_capacity(inputs.len());
    for input in inputs {
        schemas.push(match &input.schema {
            Some(_) => None,
            None => Some(latest(codec, &input.topic).await?),
        });
    }
    Ok(schemas)
}

async fn latest(codec: &Codec, topic: &str) -> anyhow::Result<Arc<Schema>> {
    let subject = format!("{topic}-value");
    let (_, schema) = codec.latest(&subject).await.with_context(|| {
        format!("input topic {topic} has no schema: name a file, or register one as {subject}")
    })?;
    parse(schema).with_context(|| format!("schema of subject {subject}"))
}

/// Parses a schema of the registry's, with those that it refers to, for the mapping.
///
/// # Errors
/// When it is not Avro.
pub fn parse(schema: &codec::Schema) -> anyhow::Result<Arc<Schema>> {
    Ok(Arc::new(Schema::parse_with(schema.text(), schema.references())?))
}

/// Makes a registry client of the settings.
///
/// # Errors
/// When a URL is wrong or the client cannot be made.
pub fn codec(
    config: &Config,
    runtime: &tokio::runtime::Runtime,
    adjust: impl FnOnce(&mut RegistryConfig),
) -> anyhow::Result<Codec> {
    let mut registry = nubium_core::app::registry_config(&config.registry);
    adjust(&mut registry);
    let registry = Registry::new(registry, runtime.handle().clone());
    Ok(Codec::new(registry.context("schema registry client")?))
}
