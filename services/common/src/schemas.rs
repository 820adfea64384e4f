//! Schemas of the registry, as mapping programs see them.

use anyhow::Context as _;
use nubium_core::codec::{Codec, Registry, RegistryConfig};
use nubium_core::config::Config;
use nubium_host::Failure;
use nubium_host::errors::Code;
use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::ProgramError;

use crate::topics::Input;

/// Makes a registry client of the settings.
///
/// # Errors
/// When a URL is wrong or the client cannot be made.
pub fn codec(
    config: &Config,
    runtime: &tokio::runtime::Runtime,
    adjust: impl FnOnce(&mut RegistryConfig),
) -> anyhow::Result<Codec> {
    let mut registry = RegistryConfig::from(&config.registry);
    adjust(&mut registry);
    let registry = Registry::new(registry, runtime.handle().clone());
    let codec = Codec::new(registry.context("schema registry client")?);
    codec.set_topics(config.topic_schemas());
    Ok(codec)
}

/// Makes the small runtime that asking a registry needs.
///
/// # Errors
/// When the machine has no thread or descriptor left.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.context("async runtime")
}

/// Fetches the schemas of the inputs that name no file, with a client made for that alone; asks
/// nothing when all name one.
///
/// # Errors
/// When the registry does not answer, or has none.
pub fn fetch(config: &Config, inputs: &[Input]) -> anyhow::Result<Vec<Option<&'static Schema>>> {
    if inputs.iter().all(|input| input.schema.is_some()) {
        return Ok(Vec::new());
    }
    let runtime = runtime()?;
    let codec = codec(config, &runtime, |_| {})?;
    runtime.block_on(of_inputs(&codec, inputs))
}

/// Fetches the schemas of the inputs that name no file: for each input, the latest one of its
/// topic.
///
/// # Errors
/// When the registry does not answer, or has none.
pub async fn of_inputs(
    codec: &Codec,
    inputs: &[Input],
) -> anyhow::Result<Vec<Option<&'static Schema>>> {
    let mut schemas = Vec::with_capacity(inputs.len());
    for input in inputs {
        schemas.push(match &input.schema {
            Some(_) => None,
            None => Some(latest(codec, &input.topic).await?),
        });
    }
    Ok(schemas)
}

async fn latest(codec: &Codec, topic: &str) -> anyhow::Result<&'static Schema> {
    let (_, schema) = codec.topic_schema(topic).await.with_context(|| {
        format!("input topic {topic} has no schema: name a file, or register one as {topic}-value")
    })?;
    Ok(schema)
}

/// Makes one failure of all that is wrong with programs.
pub fn wrong(problems: Vec<ProgramError>) -> Failure {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Failure::settings(format!("{}: {}", Code::BadProgram, problems.join("\n\n")))
}
