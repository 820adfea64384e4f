//! An app that owns its loop: plain clients, counters, and the pushing of metrics.
//!
//! It reads people from the first topic of `NU_CONSUME_TOPICS` and greets each one on the first
//! topic of `NU_PRODUCE_SUCCESS_TOPICS`, at least once. `consume_message` and `produce` count for
//! themselves; the app counts its errors.

use anyhow::Context as _;
use nubium_core::codec::{Codec, Registry, RegistryConfig};
use nubium_core::config::Choice as _;
use nubium_core::headers::Header;
use nubium_core::metrics::Metrics;
use nubium_core::pusher::End;
use nubium_core::{
    Config, ConsumeError, Exception, Exposition, PlainConsumer, PlainProducer, Received,
};
use nubium_host::logging::{self, LogFormat, LogLevel};
use nubium_host::{Exit, Stop, signals};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use std::time::Duration;

const GREETING: &str = r#"{"type": "record", "name": "Greeting", "fields": [
    {"name": "text", "type": "string"}]}"#;

#[derive(Deserialize)]
struct Person {
    email: String,
}

#[derive(Serialize)]
struct Greeting {
    text: String,
}

fn main() -> ExitCode {
    let (exit, ended) = match Config::from_env() {
        Ok(loaded) => (Exit::AppFailed, start(&loaded.config)),
        Err(problems) => (Exit::BadSettings, Err(anyhow::anyhow!("{problems}"))),
    };
    let Err(error) = ended else { return Exit::Ok.into() };
    // Where the settings are wrong, logging has not started yet.
    let _ = logging::init(&LogLevel::default(), LogFormat::Text);
    tracing::error!("{error:#}");
    exit.into()
}

fn start(config: &Config) -> anyhow::Result<()> {
    let level = config.log.level.name().parse().map_err(anyhow::Error::msg)?;
    logging::init(&level, LogFormat::Text)?;
    let stop = Stop::new();
    signals::install(&stop)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(config, &stop))
}

/// Consumes and produces until it is asked to stop. The metrics are pushed meanwhile, and for a
/// last time at the end.
pub(crate) async fn run(config: &Config, stop: &Stop) -> anyhow::Result<()> {
    let metrics = Metrics::new(&config.app.name, &config.app.hostname);
    let registry = RegistryConfig::from(&config.registry);
    let codec = Codec::new(Registry::new(registry, tokio::runtime::Handle::current())?);
    let pushing = nubium_core::start_pushing(config, &Exposition::new(&metrics, Some(&codec)))?;
    let ended = work(config, &codec, &metrics, stop).await;
    if let Err(error) = &ended {
        metrics.inc_message_errors(&Exception::of(error).name);
    }
    if let Some(pushing) = pushing {
        pushing.finish(if ended.is_ok() { End::Clean } else { End::Failed });
    }
    ended
}

async fn work(
    config: &Config,
    codec: &Codec,
    metrics: &Metrics,
    stop: &Stop,
) -> anyhow::Result<()> {
    let input = config.routes.consume.first().context("set NU_CONSUME_TOPICS")?;
    let output = config.routes.success.first().context("set NU_PRODUCE_SUCCESS_TOPICS")?;
    let producer = PlainProducer::new(config, &[(output, GREETING)], codec, metrics).await?;
    let consumer = PlainConsumer::new(config, &[input], codec.clone(), metrics)?;
    while !stop.requested() {
        greet_next(&consumer, &producer, output, config.consumer.poll_timeout, metrics).await?;
    }
    Ok(consumer.close()?)
}

async fn greet_next(
    consumer: &PlainConsumer,
    producer: &PlainProducer,
    output: &str,
    poll_timeout: Duration,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let received = match consumer.consume_message(poll_timeout).await {
        Err(ConsumeError::NoMessage) => return Ok(()),
        received => received?,
    };
    let (person, guid) = match read(&received) {
        Ok(read) => read,
        Err(error) => {
            metrics.inc_message_errors(&Exception::of(&error).name);
            tracing::debug!("A message without an e-mail address: {error:#}");
            return Ok(());
        }
    };
    let greeting = Greeting { text: format!("Hello {}", person.email) };
    let headers = [Header::new("guid", guid), Header::new("last_updated_by", "greeter")];
    let limit = Duration::from_secs(30);
    producer.produce(output, Some(&person.email), &greeting, &headers, limit).await?;
    Ok(())
}

fn read(received: &Received) -> anyhow::Result<(Person, String)> {
    let message = received.message();
    Ok((message.value()?, message.header("guid").unwrap_or_default().to_owned()))
}
