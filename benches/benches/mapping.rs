//! Measures what a mapping costs for each message, step by step, beside a typed app's decode and
//! encode.
//!
//! ```text
//! cargo bench -p nubium-benches --bench mapping
//! ```
//!
//! The message is the 16-field record of the benchmarks; the program raises `clicks` and adds
//! `processed_by`. No broker, no clock but this one: the numbers say what the mapping adds to the
//! loop, not what the loop does.
#![allow(clippy::print_stdout, reason = "the result of a benchmark")]

use std::hint::black_box;
use std::sync::Arc;

use nubium_benches::{EVENT, Event, Times, processed};
use nubium_mapping::avro::{Encoder, Reader, Schema, decode, json};
use nubium_mapping::mapping::{Envelope, Input, Mapper, Mapping, Output, Source};

/// As in the binary: most of the time of a value is its memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TIMES: Times = Times { rounds: 100, steps: 10_000 };

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

fn time(what: &str, step: impl FnMut()) {
    TIMES.print(what, step);
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
    let output_json = processed();
    let input = Schema::parse(EVENT).expect("input");
    let output = Schema::parse(&output_json).expect("output");
    let datum = sample(input);
    println!("datum of {} bytes", datum.len());

    let fast_in: serde_avro_fast::Schema = EVENT.parse().expect("input");
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
