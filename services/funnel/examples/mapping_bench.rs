//! Measures what a mapping costs for each message, step by step, beside a typed app's decode and
//! encode.
//!
//! ```text
//! cargo run --release -p nubium-funnel --example mapping_bench
//! ```
//!
//! The message is the 16-field record of the benchmarks; the program raises `clicks` and adds
//! `processed_by`. No broker, no clock but this one: the numbers say what the mapping adds to the
//! loop, not what the loop does.
#![allow(clippy::print_stdout, missing_docs)]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use nubium_mapping::avro::{Encoder, Reader, Schema, decode, json};
use nubium_mapping::mapping::{Envelope, Input, Mapper, Mapping, Output, Source};
use serde::{Deserialize, Serialize};

/// As in the binary: most of the time of a value is its memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FIELDS: &str = r#"
  {"name": "seq", "type": "long"},
  {"name": "sent_ns", "type": "long"},
  {"name": "campaign_id", "type": "string"},
  {"name": "email", "type": "string"},
  {"name": "first_name", "type": "string"},
  {"name": "last_name", "type": "string"},
  {"name": "company", "type": ["null", "string"], "default": null},
  {"name": "score", "type": "double"},
  {"name": "clicks", "type": "int"},
  {"name": "active", "type": "boolean"},
  {"name": "status", "type": {"type": "enum", "name": "Status",
    "symbols": ["NEW", "OPEN", "QUALIFIED", "CLOSED"]}},
  {"name": "tags", "type": {"type": "array", "items": "string"}},
  {"name": "attributes", "type": {"type": "map", "values": "string"}},
  {"name": "address", "type": {"type": "record", "name": "Address", "fields": [
    {"name": "street", "type": "string"}, {"name": "city", "type": "string"},
    {"name": "postcode", "type": "string"}, {"name": "country", "type": "string"}]}},
  {"name": "created_at", "type": "long"},
  {"name": "notes", "type": ["null", "string"], "default": null}"#;

#[derive(Deserialize, Serialize)]
#[allow(clippy::upper_case_acronyms)]
enum Status {
    NEW,
    OPEN,
    QUALIFIED,
    CLOSED,
}

#[derive(Deserialize, Serialize)]
struct Address<'a> {
    street: &'a str,
    city: &'a str,
    postcode: &'a str,
    country: &'a str,
}

#[derive(Deserialize, Serialize)]
struct Event<'a> {
    seq: i64,
    sent_ns: i64,
    campaign_id: &'a str,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    #[serde(borrow)]
    company: Option<&'a str>,
    score: f64,
    clicks: i32,
    active: bool,
    status: Status,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    attributes: HashMap<&'a str, &'a str>,
    #[serde(borrow)]
    address: Address<'a>,
    created_at: i64,
    #[serde(borrow)]
    notes: Option<&'a str>,
    #[serde(skip_deserializing)]
    processed_by: &'static str,
}

struct Message<'a>(&'a [u8]);

impl Envelope for Message<'_> {
    fn topic(&self) -> &str {
        "events"
    }
    fn partition(&self) -> i32 {
        0
    }
    fn offset(&self) -> i64 {
        1
    }
    fn timestamp_ms(&self) -> Option<i64> {
        Some(1_700_000_000_000)
    }
    fn key(&self) -> Result<Option<&str>, String> {
        Ok(Some("key"))
    }
    fn headers(&self, each: &mut dyn FnMut(&str, Option<&[u8]>)) {
        each("guid", Some(b"8d0b6c2e"));
        each("last_updated_by", Some(b"bench"));
    }
    fn datum(&self) -> &[u8] {
        self.0
    }
}

fn record(name: &str, more: &str) -> String {
    let fields = format!("{FIELDS}{more}");
    format!(r#"{{"type": "record", "name": "{name}", "namespace": "bench", "fields": [{fields}]}}"#)
}

fn sample(schema: &Schema) -> Vec<u8> {
    let document = serde_json::json!({
        "seq": 4711, "sent_ns": 1_700_000_000_000_000_000_i64, "campaign_id": "campaign-0042",
        "email": "person.4711@example.com", "first_name": "First4711", "last_name": "Last4711",
        "company": "Company 11", "score": 0.4711, "clicks": 7, "active": true, "status": "OPEN",
        "tags": ["webinar", "newsletter", "trial"],
        "attributes": {"source": "form", "region": "emea", "language": "en"},
        "address": {"street": "1 Main Street", "city": "Springfield", "postcode": "12345",
            "country": "US"},
        "created_at": 1_700_000_000_000_i64, "notes": null
    });
    let mut datum = Vec::new();
    let value = json::value(schema, schema.root(), &document).expect("value");
    Encoder::new(schema).encode(schema.root(), &value, &mut datum).expect("sample");
    datum
}

/// Takes the best of many short rounds: other work on the machine lengthens most of them, hardly all.
fn time(what: &str, mut step: impl FnMut()) {
    const ROUNDS: u32 = 100;
    const STEPS: u32 = 10_000;
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..STEPS {
            step();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(STEPS));
    }
    println!("{what:<58} {best:>7.0} ns");
}

fn mapping(program: &str, input: &&'static Schema, output: &&'static Schema) -> Arc<Mapping> {
    let source = Arc::new(Source { name: "bench.vrl".into(), text: program.into() });
    let inputs = vec![Input { topic: "events".into(), source, schema: Some(input) }];
    let outputs = vec![Output { topic: "enriched".into(), schema: output }];
    match Mapping::compile(inputs, outputs, None) {
        Ok(mapping) => Arc::new(mapping),
        Err(problems) => panic!("{}", problems[0]),
    }
}

fn time_mapping(what: &str, program: &str, input: &&'static Schema, output: &&'static Schema) {
    let mapping = mapping(program, input, output);
    let plan = mapping.plan(0, input).expect("plan");
    let mut mapper = Mapper::new(mapping);
    let datum = sample(input);
    time(what, || {
        mapper.map(&plan, &Message(black_box(&datum))).expect("mapped");
        black_box(mapper.value(&mapper.made()[0]));
    });
}

fn main() {
    let input_json = record("Event", "");
    let output_json = record("EnrichedEvent", r#", {"name": "processed_by", "type": "string"}"#);
    let input = Schema::parse(&input_json).expect("input");
    let output = Schema::parse(&output_json).expect("output");
    let datum = sample(input);
    println!("datum of {} bytes", datum.len());

    let fast_in: serde_avro_fast::Schema = input_json.parse().expect("input");
    let fast_out: serde_avro_fast::Schema = output_json.parse().expect("output");
    let mut config = serde_avro_fast::ser::SerializerConfig::new(&fast_out);
    let mut buffer = Vec::new();
    time("typed: decode, change, encode (serde_avro_fast)", || {
        let mut event: Event<'_> =
            serde_avro_fast::from_datum_slice(black_box(&datum), &fast_in).expect("event");
        event.clicks += 1;
        event.processed_by = "bench";
        buffer.clear();
        buffer = serde_avro_fast::to_datum(&event, std::mem::take(&mut buffer), &mut config)
            .expect("datum");
    });
    time("dynamic: whole record to a value (serde_avro_fast)", || {
        let value: vrl::value::Value =
            serde_avro_fast::from_datum_slice(black_box(&datum), &fast_in).expect("value");
        black_box(value);
    });
    time("dynamic: whole record to a value (own reader)", || {
        let value = decode(input, input.root(), &mut Reader::new(black_box(&datum)));
        black_box(value.expect("value"));
    });
    let value = decode(input, input.root(), &mut Reader::new(&datum)).expect("value");
    let mut bytes = Vec::new();
    time("dynamic: whole record from a value (own writer)", || {
        bytes.clear();
        let encoded = Encoder::new(input).encode(input.root(), black_box(&value), &mut bytes);
        encoded.expect("bytes");
    });
    let change = ".clicks = .clicks + 1\n.processed_by = \"bench\"\n";
    time_mapping("mapping: two fields, the rest copied", change, &input, &output);
    let all = format!("{change}. = merge(., {{}})\n");
    time_mapping("mapping: the same, every field decoded and encoded", &all, &input, &output);
    let routed = format!("{change}if .status == \"OPEN\" {{ %headers.seen = \"yes\" }}\n");
    time_mapping("mapping: the same as the first, and a header", &routed, &input, &output);
}
