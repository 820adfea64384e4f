//! What the apps under test have in common: the records of the ledger, and where they go.

use std::env;

use nubium_core::Consumed;
use serde::{Deserialize, Serialize};

/// An input of the ledger.
#[derive(Deserialize)]
pub(crate) struct Input<'a> {
    pub(crate) seq: i64,
    pub(crate) fate: &'a str,
}

/// A copy of an input, with where it came from.
#[derive(Serialize)]
pub(crate) struct Output<'a> {
    source_topic: &'a str,
    source_partition: i32,
    source_offset: i64,
    seq: i64,
}

impl<'a> Output<'a> {
    pub(crate) fn of(message: Consumed<'a>, seq: i64) -> Self {
        Self {
            source_topic: message.topic(),
            source_partition: message.partition(),
            source_offset: message.offset(),
            seq,
        }
    }
}

/// The topics and the schema that the test asks for.
pub(crate) struct Route {
    pub(crate) inputs: Vec<String>,
    pub(crate) output: String,
    pub(crate) schema: String,
}

impl Route {
    pub(crate) fn from_env() -> Self {
        let text = |name: &str| env::var(name).unwrap_or_default();
        Self {
            inputs: text("LEDGER_INPUTS").split(',').map(str::to_owned).collect(),
            output: text("LEDGER_OUTPUT"),
            schema: text("LEDGER_OUTPUT_SCHEMA"),
        }
    }
}
