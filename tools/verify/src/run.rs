//! `run`: feeds an app, hurts it, and counts.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::{ClientConfig, Offset};
use rustix::process::Signal;
use serde_json::json;

use crate::app::App;
use crate::cli::{Run, complain, say};
use crate::kafka::{self, Feeder, Reader};
use crate::tally::{Seen, Tally};

/// Inputs of one key are to stay in order.
const KEYS: u64 = 50;
const STOP_LIMIT: Duration = Duration::from_secs(30);
const SCHEMA: &str =
    r#"{"type":"record","name":"Verify","fields":[{"name":"id","type":"string"}]}"#;

/// Feeds an app, hurts it, and answers whether every input has its result once.
///
/// # Errors
/// Kafka does not answer, or the app cannot be started.
pub fn run(options: &Run) -> Result<bool> {
    let config = kafka::properties(&options.cluster)?;
    let name = format!("verify-{:08x}", rand::random::<u32>());
    let (input, output) = (format!("{name}-in"), format!("{name}-out"));
    kafka::create(&config, &[&input, &output], options.partitions)?;
    let outcome = judge(options, &config, &name, (&input, &output));
    if options.keep {
        complain(&format!("left: {input}, {output}"));
    } else if let Err(error) = kafka::delete(&config, &[&input, &output]) {
        complain(&format!("left: {input}, {output}: {error:#}"));
    }
    let (tally, ends) = outcome?;
    say(&tally.table());
    if let Some(path) = &options.json {
        let mut report = tally.json();
        report["kills"] = json!(options.kills);
        report["pauses"] = json!(options.pauses);
        report["ended_by_itself"] = json!(ends);
        report["seed"] = json!(options.seed);
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(tally.is_exact())
}

fn judge(
    options: &Run,
    config: &ClientConfig,
    name: &str,
    (input, output): (&str, &str),
) -> Result<(Tally, u32)> {
    let schema = match &options.registry {
        Some(registry) => Some(register(registry, input)?),
        None => None,
    };
    let feeder = Feeder::new(config, input)?;
    let reader = Reader::new(config, &[output], Offset::Beginning)?;
    let group = format!("{name}-app");
    let words = options.app.iter().map(|word| {
        word.replace("{in}", input).replace("{out}", output).replace("{group}", &group)
    });
    let variables = vec![
        ("VERIFY_IN", input.to_owned()),
        ("VERIFY_OUT", output.to_owned()),
        ("VERIFY_GROUP", group.clone()),
    ];
    let mut app = App::start(words.collect(), variables)?;
    let mut rng = StdRng::seed_from_u64(options.seed);
    let (mut seen, mut written): (Vec<Seen>, u64) = (Vec::new(), 0);
    let mut faults: Vec<_> = std::iter::repeat_n(true, options.kills as usize)
        .chain(std::iter::repeat_n(false, options.pauses as usize))
        .collect();
    let portions = faults.len() as u64 + 1;
    for portion in 1..=portions {
        let upto = options.count * portion / portions;
        for number in written..upto {
            let id = format!("{name}-{number}");
            feeder.write(&format!("key-{}", number % KEYS), &id, &value(options, schema, &id))?;
        }
        feeder.flush()?;
        written = upto;
        if faults.is_empty() {
            break;
        }
        // In the middle of the portion: somewhere between its first result and its last.
        let size = (options.count / portions).max(1);
        let goal = seen.len() + usize::try_from(rng.random_range(1..=size))?;
        let goal = goal.min(usize::try_from(written)?);
        let quiet = Duration::from_secs(options.settle_seconds);
        kafka::settle(&reader, quiet, &mut seen, name, goal, || app.tend())?;
        let kill = faults.swap_remove(rng.random_range(0..faults.len()));
        complain(&format!("{} at {} results", if kill { "kill" } else { "pause" }, seen.len()));
        if kill {
            app.kill()?;
        } else {
            app.signal(Signal::STOP);
            std::thread::sleep(Duration::from_secs_f64(options.pause_seconds));
            app.signal(Signal::CONT);
        }
    }
    let quiet = Duration::from_secs(options.settle_seconds);
    let all = usize::try_from(options.count)?;
    kafka::settle(&reader, quiet, &mut seen, name, all, || app.tend())?;
    app.stop(STOP_LIMIT)?;
    // What comes after all are there is one too many.
    kafka::settle(&reader, Duration::from_secs(3), &mut seen, name, usize::MAX, || Ok(()))?;
    Ok((Tally::of(options.count, &seen, |number| number % KEYS), app.ends))
}

/// The bytes of a value: text, or Avro in the registry's framing.
fn value(options: &Run, schema: Option<u32>, id: &str) -> Vec<u8> {
    let Some(schema) = schema else { return options.value.replace("{id}", id).into_bytes() };
    let mut bytes = vec![0];
    bytes.extend(schema.to_be_bytes());
    // The length as a zigzag varint; names are shorter than 64 bytes.
    bytes.push(u8::try_from(id.len() * 2).unwrap_or(0));
    bytes.extend(id.as_bytes());
    bytes
}

fn register(registry: &str, topic: &str) -> Result<u32> {
    let url = format!("{}/subjects/{topic}-value/versions", registry.trim_end_matches('/'));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = json!({ "schema": SCHEMA }).to_string();
    runtime.block_on(async {
        let request = reqwest::Client::new().post(url).body(body);
        let request = request.header("content-type", "application/vnd.schemaregistry.v1+json");
        let answer = request.send().await.context("the registry")?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "the registry answers {status}: {text}");
        let answer: serde_json::Value = serde_json::from_str(&text)?;
        let id = answer["id"].as_u64().context("the registry gives no id")?;
        Ok(u32::try_from(id)?)
    })
}
