//! The answer to `/metrics`.

use crate::codec::{Codec, Registry};
use crate::metrics::Metrics;
use crate::table::TableReader;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Answers `/metrics`: the registry client counts for itself, and what is new is added at each
/// scrape.
pub(super) struct Scrape {
    metrics: Metrics,
    codec: Codec,
    tables: TableReader,
    counted: Mutex<BTreeMap<(&'static str, &'static str, u16), u64>>,
}

impl Scrape {
    pub(super) fn new(metrics: Metrics, codec: Codec, tables: TableReader) -> Self {
        Self { metrics, codec, tables, counted: Mutex::default() }
    }

    pub(super) fn text(&self) -> String {
        let requests = self.codec.registry().map(Registry::requests).unwrap_or_default();
        let mut counted = self.counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for request in requests {
            let key = (request.endpoint, request.method, request.status);
            let before = std::mem::replace(counted.entry(key).or_default(), request.count);
            let outcome = match request.status {
                0 => "no_answer",
                200..300 => "ok",
                400..500 => "refused",
                _ => "failed",
            };
            for _ in before..request.count {
                self.metrics.registry_request(request.endpoint, outcome);
            }
        }
        self.tables.0.measure();
        self.metrics.text()
    }
}
