//! A table app's local state: one entry a key, kept in a store on disk and in a changelog topic.
//!
//! The changelog is the truth. A write goes into it within the Kafka transaction of the message it
//! comes from, and into the store once that has committed; what a crash leaves behind is repaired
//! from the changelog. The room, from the wire to the app:
//!
//! * `changelog`: what a record says. `row`, `json`: how a row and a value are written.
//! * `store`: a partition's rows and its position in the changelog. `place`: where it lies, who
//!   owns it, whether it may be used.
//! * `writes`: what is written and not committed. `applier`: brings it into the stores.
//! * `keeper`: opens stores and brings them up to date, from a [`ChangelogSource`]. `loader`: many
//!   rows at once into a store. `standby`: who follows which partition.
//! * `shared`: the partitions of this process. [`TableReader`] reads them from any thread.

mod applier;
mod changelog;
mod edit;
mod error;
mod handle;
mod json;
mod keeper;
mod key;
mod lmdb;
mod loader;
mod opening;
mod place;
mod reader;
mod row;
mod shared;
mod source;
mod standby;
mod store;
mod task;
mod upkeep;
mod writes;

pub use error::{StoreError, TableError};
pub use json::is_deleted;
pub use reader::{Entry, PartitionState, Phase, Role, TableReader};
pub use source::{Bounds, ChangelogSource, Found, Member, SourceTrouble};
pub use store::{Identity, Store, StoredRow};

pub use applier::Applier;
pub use changelog::{Change, Framing, NoChange, read_change};
pub use handle::{KeeperHandle, KeeperSettings, News, Order};
pub use json::{read as read_json, write as write_json};
pub use keeper::Keeper;
pub use key::{Spelling, put as put_key, text_of as key_text};
pub use reader::is_expired;
pub use row::{key as store_key, put_key as put_store_key};
pub use shared::{Shared, Terms};
pub use writes::{EntryKey, Overlay, Write, Writes};

use std::time::Duration;

/// How an app keeps its table. What is not said here comes from the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// How long an entry lives that is not updated; instead of `NU_TABLE_TTL_SECONDS`.
    pub ttl: Option<Duration>,
    /// How many other instances follow a partition; instead of `NU_TABLE_STANDBY_REPLICAS`.
    pub standby_replicas: Option<u32>,
}

/// Milliseconds since the epoch.
pub fn now_millis() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
