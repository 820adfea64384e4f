//! What look-ups answer, to clients and to other instances: JSON documents and errors.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nubium_core::table::{Entry, PartitionState, Phase, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest time that a client is told to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct EntryDocument {
    /// Key.
    pub(super) key: String,
    /// Value, as JSON.
    pub(super) value: Value,
    /// When it was written, in milliseconds since 1970.
    pub(super) timestamp: i64,
    /// Partition.
    pub(super) partition: i32,
}

impl From<Entry> for EntryDocument {
    fn from(entry: Entry) -> Self {
        let Entry { key, value, timestamp, partition } = entry;
        Self { key, value: crate::entry::json(value), timestamp, partition }
    }
}

/// What one instance has of a key, for another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LocalDocument {
    /// The entry, where it is there.
    pub(super) entry: Option<EntryDocument>,
    /// The partitions that the instance answers for.
    pub(super) served: BTreeSet<i32>,
}

/// One page of entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PageDocument {
    /// Entries, by key.
    pub(super) entries: Vec<EntryDocument>,
    /// Gives the next page; `None`: this is the last.
    pub(super) next_page_token: Option<String>,
    /// The next page's address.
    pub(super) next: Option<String>,
    /// Partitions whose entries are not among them.
    pub(super) missing_partitions: Vec<i32>,
}

/// What one instance has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct InstanceDocument {
    /// Its name, NU_HOSTNAME.
    pub(super) instance: String,
    /// Where clients reach it, if it says so.
    pub(super) url: Option<String>,
    /// How many partitions the table has, here and elsewhere.
    pub(super) partition_count: i32,
    /// Those that are here.
    pub(super) partitions: Vec<PartitionDocument>,
}

/// How it stands with a partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PartitionDocument {
    pub(super) partition: i32,
    /// `active`: it is owned here; `standby`: it is followed.
    pub(super) role: String,
    /// `ready`, `recovering` or `waiting`.
    pub(super) state: String,
    pub(super) rows: u64,
    /// The changelog offset up to which everything is in the store.
    pub(super) position: i64,
    /// The changelog's end, when it was last asked for.
    pub(super) end: i64,
    /// While it recovers: rows read so far, rows a second, and how many seconds are left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) recovered_rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) rows_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) seconds_left: Option<u64>,
}

impl From<&PartitionState> for PartitionDocument {
    fn from(state: &PartitionState) -> Self {
        let mut document = Self {
            partition: state.partition,
            role: role(state.role).into(),
            state: "ready".into(),
            rows: state.rows,
            position: state.position,
            end: state.end,
            recovered_rows: None,
            rows_per_second: None,
            seconds_left: None,
        };
        match state.phase {
            Phase::Ready => {}
            Phase::Waiting => document.state = "waiting".into(),
            Phase::Recovering { rows, rate, left } => {
                document.state = "recovering".into();
                document.recovered_rows = Some(rows);
                document.rows_per_second = Some(rate.round());
                document.seconds_left = left.map(|left| left.as_secs());
            }
        }
        document
    }
}

impl InstanceDocument {
    /// Gives the partitions that the instance answers for.
    pub(super) fn served(&self) -> BTreeSet<i32> {
        let served = self.partitions.iter().filter(|held| held.is_served());
        served.map(|held| held.partition).collect()
    }
}

impl PartitionDocument {
    /// Tells whether this instance answers for the partition.
    pub(super) fn is_served(&self) -> bool {
        self.is_owned() && self.state == "ready"
    }

    /// Tells whether this instance owns the partition.
    pub(super) fn is_owned(&self) -> bool {
        self.role == role(Role::Active)
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Active => "active",
        Role::Standby => "standby",
        Role::Lookup => "lookup",
    }
}

/// Answers with a document, which is true for the moment alone.
pub(super) fn document(document: &impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(document)).into_response()
}

/// Answers an error with a sentence.
pub(super) fn error(status: StatusCode, text: &str) -> Response {
    let body = axum::Json(json!({ "error": text }));
    (status, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// Answers that it does not work yet, and when to ask again.
pub(super) fn later(text: &str, wait: Duration) -> Response {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    response
}

/// Rounds up: who asks again earlier is turned away once more.
fn whole_seconds(wait: Duration) -> u64 {
    let wait = wait.clamp(Duration::from_secs(1), LONGEST_WAIT);
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Answers that a store failed; the log has why.
pub(super) fn store_failed(failure: &anyhow::Error) -> Response {
    tracing::error!("A look-up failed: {failure:#}.");
    error(StatusCode::INTERNAL_SERVER_ERROR, "the store failed, see the instance's log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_to_wait_is_never_asked_for_less_than_the_time() {
        for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (2_900, 3)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
        assert_eq!(whole_seconds(Duration::MAX), LONGEST_WAIT.as_secs());
    }
}
