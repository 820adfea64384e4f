//! Holds what the benchmarks have in common: their message, a record of 16 fields, and the way that
//! a step of some nanoseconds is timed.
//!
//! Those without a broker are `cargo bench -p nubium-benches`; docs/benchmarks.md has their figures.
//! The peers of `scripts/bench` are in `peers/`, their settings in `peers/settings.sh`.
#![allow(missing_docs, reason = "the fields of a benchmark's record")]

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// The schema of an [`Event`], without `processed_by`.
pub const EVENT: &str = include_str!("event.avsc");

/// The schema of an [`Event`] that was processed.
#[must_use]
pub fn processed() -> String {
    let end = EVENT.rfind(']').unwrap_or(EVENT.len());
    let more = r#", {"name": "processed_by", "type": "string"}"#;
    format!("{}{more}{}", &EVENT[..end], &EVENT[end..]).replacen("\"Event\"", "\"Processed\"", 1)
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    New,
    Open,
    Qualified,
    Closed,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct Address<'a> {
    pub street: &'a str,
    pub city: &'a str,
    pub postcode: &'a str,
    pub country: &'a str,
}

/// The benchmarks' message; text is borrowed from its bytes.
#[derive(Debug, Deserialize, Serialize)]
pub struct Event<'a> {
    pub seq: i64,
    pub sent_ns: i64,
    #[serde(borrow)]
    pub campaign_id: &'a str,
    pub email: &'a str,
    pub first_name: &'a str,
    pub last_name: &'a str,
    pub company: Option<&'a str>,
    pub score: f64,
    pub clicks: i32,
    pub active: bool,
    pub status: Status,
    pub tags: Vec<&'a str>,
    pub attributes: BTreeMap<&'a str, &'a str>,
    pub address: Address<'a>,
    pub created_at: i64,
    pub notes: Option<&'a str>,
    /// Names who processed it; not written while it is empty.
    #[serde(skip_deserializing, skip_serializing_if = "str::is_empty")]
    pub processed_by: &'a str,
}

/// Says how often a step is done.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub rounds: u32,
    pub steps: u32,
}

impl Times {
    /// Times a step, and prints the best round: other work on the machine lengthens most of them,
    /// hardly all.
    #[expect(clippy::print_stdout, reason = "the result of a benchmark")]
    pub fn print(self, what: &str, mut step: impl FnMut()) {
        let mut best = f64::INFINITY;
        for _ in 0..self.rounds {
            let start = Instant::now();
            for _ in 0..self.steps {
                step();
            }
            best = best.min(start.elapsed().as_nanos() as f64 / f64::from(self.steps));
        }
        println!("{what:<58} {best:>7.0} ns");
    }
}

#[cfg(test)]
mod tests {
    use serde_avro_fast::ser::SerializerConfig;
    use serde_avro_fast::{Schema, from_datum_slice, to_datum_vec};

    use super::*;

    fn event() -> Event<'static> {
        let address = Address { street: "a", city: "b", postcode: "c", country: "d" };
        Event {
            seq: 1,
            sent_ns: 2,
            campaign_id: "campaign",
            email: "ada@example.org",
            first_name: "Ada",
            last_name: "Lovelace",
            company: None,
            score: 0.5,
            clicks: 3,
            active: true,
            status: Status::Open,
            tags: vec!["trial"],
            attributes: [("source", "web")].into(),
            address,
            created_at: 4,
            notes: Some("none"),
            processed_by: "",
        }
    }

    #[test]
    fn the_record_fits_both_schemas() {
        let plain: Schema = EVENT.parse().unwrap();
        let datum = to_datum_vec(&event(), &mut SerializerConfig::new(&plain)).unwrap();
        let read: Event<'_> = from_datum_slice(&datum, &plain).unwrap();
        assert_eq!((read.clicks, read.notes, read.processed_by), (3, Some("none"), ""));
        let processed: Schema = processed().parse().unwrap();
        let done = Event { processed_by: "bench", ..read };
        let longer = to_datum_vec(&done, &mut SerializerConfig::new(&processed)).unwrap();
        assert_eq!(longer.len(), datum.len() + 1 + "bench".len());
    }
}
