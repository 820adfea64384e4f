//! Measures the codec on one thread: ns per message for a record of 16 fields.
//!
//! `cargo bench -p nubium-benches --bench codec`
#![allow(clippy::print_stdout)]

use std::hint::black_box;

use nubium_benches::{EVENT, Event, Times};
use nubium_core::codec::{Codec, Dynamic, Encode, Reader, Schema, TopicEncoder, Value};
use serde_json::json;

const TIMES: Times = Times { rounds: 5, steps: 200_000 };

fn measure(name: &str, one: impl FnMut()) {
    TIMES.print(name, one);
}

fn encode<T: Encode + ?Sized>(encoder: &mut TopicEncoder, value: &T, out: &mut Vec<u8>) {
    out.clear();
    encoder.encode_value(value, out).expect("the value fits");
    black_box(&out);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let codec = Codec::in_memory();
    let prepared = runtime.block_on(codec.prepare_topic("out", EVENT, true));
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
    let reader = Reader::new(Schema::parse(EVENT).expect("valid")).expect("valid");
    let event: Event<'_> = codec.decode(&bytes).expect("decodes");
    let value: Value = codec.decode(&bytes).expect("decodes");
    println!(
        "value of {} bytes, key of {} bytes; best of {}",
        bytes.len(),
        key.len(),
        TIMES.rounds
    );

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
    FAST.get_or_init(|| EVENT.parse().expect("valid"))
}
