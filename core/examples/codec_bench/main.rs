//! Measures the codec on one thread: ns per message for a record of 16 fields.
//!
//! `cargo run --release -p nubium-core --example codec_bench`
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use nubium_core::codec::{Codec, Dynamic, Encode, Reader, Schema, TopicEncoder, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

const SCHEMA: &str = include_str!("event.avsc");
const ROUNDS: usize = 5;
const MESSAGES: usize = 200_000;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    New,
    Open,
    Qualified,
    Closed,
}

#[derive(Serialize, Deserialize)]
struct Address<'a> {
    street: &'a str,
    city: &'a str,
    postcode: &'a str,
    country: &'a str,
}

#[derive(Serialize, Deserialize)]
struct Event<'a> {
    seq: i64,
    sent_ns: i64,
    #[serde(borrow)]
    campaign_id: &'a str,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    company: Option<&'a str>,
    score: f64,
    clicks: i32,
    active: bool,
    status: Status,
    tags: Vec<&'a str>,
    attributes: BTreeMap<&'a str, &'a str>,
    address: Address<'a>,
    created_at: i64,
    notes: Option<&'a str>,
}

/// Prints the best of some rounds.
fn measure(name: &str, mut one: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..MESSAGES {
            one();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / MESSAGES as f64);
    }
    println!("{name:<44} {best:>7.0} ns");
}

fn encode<T: Encode + ?Sized>(encoder: &mut TopicEncoder, value: &T, out: &mut Vec<u8>) {
    out.clear();
    encoder.encode_value(value, out).expect("the value fits");
    black_box(&out);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let codec = Codec::in_memory();
    let prepared = runtime.block_on(codec.prepare_topic("out", SCHEMA, true));
    let mut encoder = prepared.expect("the schema is valid");
    let json = json!({"seq": 4711, "sent_ns": 1_700_000_000_000_000_000i64,
        "campaign_id": "campaign-0042", "email": "ada.lovelace@example.org",
        "first_name": "Ada", "last_name": "Lovelace", "company": "Analytical Engines Ltd",
        "score": 0.875, "clicks": 12, "active": true, "status": "QUALIFIED",
        "tags": ["newsletter", "webinar", "trial"],
        "attributes": {"source": "web", "medium": "email", "term": "engines"},
        "address": {"street": "12 St James's Square", "city": "London", "postcode": "SW1Y 4JH",
            "country": "GB"},
        "created_at": 1_699_999_999_000i64,
        "notes": "Asked for a call back on Monday about the larger machine."});
    let (mut bytes, mut key, mut out) = (Vec::new(), Vec::new(), Vec::new());
    encoder.encode_value(&Dynamic(&json), &mut bytes).expect("the value fits");
    encoder.encode_key("customer-00004711", &mut key);
    let reader = Reader::new(Schema::parse(SCHEMA).expect("valid")).expect("valid");
    let event: Event<'_> = codec.decode(&bytes).expect("decodes");
    let value: Value = codec.decode(&bytes).expect("decodes");
    println!("value of {} bytes, key of {} bytes; best of {ROUNDS}", bytes.len(), key.len());

    measure("decode key, &str", || drop(black_box(codec.decode_key(&key))));
    measure("encode key", || {
        out.clear();
        encoder.encode_key("customer-00004711", &mut out);
        black_box(&out);
    });
    measure("decode typed, borrowed", || drop(black_box(codec.decode::<Event<'_>>(&bytes))));
    measure("encode typed", || encode(&mut encoder, &event, &mut out));
    measure("decode, change, encode typed", || {
        let mut event: Event<'_> = codec.decode(&bytes).expect("decodes");
        event.clicks += 1;
        encode(&mut encoder, &event, &mut out);
    });
    measure("decode dynamic Value", || drop(black_box(codec.decode::<Value>(&bytes))));
    measure("decode dynamic Value by a Reader", || {
        drop(black_box(codec.decode_as(&reader, &bytes)));
    });
    measure("encode dynamic Value", || encode(&mut encoder, &value, &mut out));
    measure("encode serde_json::Value against the schema", || {
        encode(&mut encoder, &Dynamic(&json), &mut out);
    });
    measure("serde_avro_fast alone, decode typed", || {
        let fast = black_box(&bytes[5..]);
        drop(black_box(serde_avro_fast::from_datum_slice::<Event<'_>>(fast, fast_schema())));
    });
}

/// The schema without the codec around it, for comparison.
fn fast_schema() -> &'static serde_avro_fast::Schema {
    static FAST: std::sync::OnceLock<serde_avro_fast::Schema> = std::sync::OnceLock::new();
    FAST.get_or_init(|| SCHEMA.parse().expect("valid"))
}
