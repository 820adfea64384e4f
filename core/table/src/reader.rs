//! Reads the table from any thread, for HTTP look-ups and the like.

use super::error::TableError;
use super::shared::Shared;
use super::store::StoredRow;
use nubium_topic::TopicPartition;
use std::sync::Arc;
use std::time::Duration;

/// An entry of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value: JSON text, or a bare string.
    pub value: String,
    /// When it was written, in milliseconds since the epoch.
    pub timestamp: i64,
    /// The partition it belongs to.
    pub partition: i32,
}

/// Whether this instance owns a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It owns it: it handles its messages and writes its entries.
    Active,
    /// Another one does; this one follows, a moment behind.
    Standby,
    /// A copy of another app's table, for look-ups.
    Lookup,
}

/// How far a partition has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Phase {
    /// Its store is held by another instance on the same volume, or cannot be opened yet.
    Waiting,
    /// It is brought up to date from the changelog.
    Recovering {
        /// Rows read so far.
        rows: u64,
        /// Rows a second.
        rate: f64,
        /// How long it still takes, where that can be told.
        left: Option<Duration>,
    },
    /// It is up to date; a partition of another instance follows it a moment behind.
    Ready,
}

impl Phase {
    /// Says in a sentence what is waited for; `None`: nothing is.
    pub fn sentence(&self, at: TopicPartition) -> Option<String> {
        match self {
            Self::Ready => None,
            Self::Waiting => Some(format!(
                "The store of {at} is waited for: another instance on the same volume holds it."
            )),
            Self::Recovering { rows, rate, left } => {
                let left = left.map_or(String::new(), |l| format!(", {} s left", l.as_secs()));
                Some(format!("{at} is recovering: {rows} rows, {rate:.0} rows/s{left}."))
            }
        }
    }
}

/// How it stands with one partition on this instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartitionState {
    /// The partition.
    pub partition: i32,
    /// Whether it is ours.
    pub role: Role,
    /// How far it has come.
    pub phase: Phase,
    /// Rows in the store.
    pub rows: u64,
    /// The changelog offset up to which everything is in the store; more may be.
    pub position: i64,
    /// The changelog's end when it was last asked for, and what was written since.
    pub end: i64,
}

/// Reads the committed entries of this process's partitions. Cheap to clone; works from any thread
/// and sees an entry a moment after its transaction has committed.
#[derive(Debug, Clone, Default)]
pub struct TableReader(pub Arc<Shared>);

impl TableReader {
    /// Reads the entry of a key from a partition that this instance owns, or else follows. `None`:
    /// there is none here; see [`Self::partition_of`] for where it would be.
    ///
    /// # Errors
    /// The store fails.
    pub fn get(&self, key: &str) -> Result<Option<Entry>, TableError> {
        let Some(terms) = self.0.terms() else { return Ok(None) };
        let mut stores = self.0.stores(&terms.changelog);
        stores.sort_by_key(|(partition, role, _)| (*role != Role::Active, *partition));
        for (partition, _, store) in stores {
            if let Some(row) = store.get(key)?
                && !self.expired(row.timestamp)
            {
                return Ok(Some(entry(partition, row)));
            }
        }
        Ok(None)
    }

    /// Lists up to `limit` entries whose keys begin with `prefix`, in the order of their keys, from
    /// the first behind `after` on. Of the partitions that are here alone.
    ///
    /// Keys of more than 510 bytes come in the order of their first 400 bytes.
    ///
    /// # Errors
    /// A store fails.
    pub fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, TableError> {
        let Some(terms) = self.0.terms() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for (partition, _, store) in self.0.stores(&terms.changelog) {
            let mut taken = 0;
            store.walk(prefix, after, |row| {
                if !self.expired(row.timestamp) && taken < limit {
                    found.push(entry(partition, row));
                    taken += 1;
                }
                taken < limit
            })?;
        }
        found.sort_by_cached_key(|entry| super::row::key(&entry.key));
        found.truncate(limit);
        Ok(found)
    }

    /// How it stands with each partition that is here: owned, followed, or on its way.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionState> {
        self.0.terms().map(|terms| self.0.states(&terms.changelog)).unwrap_or_default()
    }

    /// Counts the table's partitions, wherever they are; 0 until the app has started.
    #[must_use]
    pub fn partition_count(&self) -> i32 {
        self.0.terms().map_or(0, |terms| terms.partitions)
    }

    /// Tells the partition that a key's messages are on when their producer chose it as Kafka's
    /// clients do: murmur2 of the key's bytes. `None` until the app has started.
    ///
    /// The schema id is part of the bytes. Until messages were seen it is the changelog's; an input
    /// whose keys are framed with several ids, or not always, has no one answer.
    #[must_use]
    pub fn partition_of(&self, key: &str) -> Option<i32> {
        let partitions = self.partition_count();
        let spelling = self.0.spelling().filter(|_| partitions > 0)?;
        let mut bytes = Vec::new();
        super::put_key(key, spelling, &mut bytes);
        Some((murmur2(&bytes) & 0x7fff_ffff).cast_signed() % partitions)
    }

    fn expired(&self, timestamp: i64) -> bool {
        self.0.terms().is_some_and(|terms| is_expired(timestamp, terms.ttl, super::now_millis()))
    }
}

/// Says whether an entry written then has lived its time.
pub fn is_expired(timestamp: i64, ttl: Option<Duration>, now: i64) -> bool {
    let Some(ttl) = ttl else { return false };
    now.saturating_sub(timestamp) >= i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)
}

fn entry(partition: i32, row: StoredRow) -> Entry {
    Entry { key: row.key, value: row.text, timestamp: row.timestamp, partition }
}

/// Kafka's hash of a key: `Utils.murmur2` of its Java clients.
pub(super) fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mix = |k: u32| {
        let k = k.wrapping_mul(M);
        (k ^ k >> 24).wrapping_mul(M)
    };
    let mut h = 0x9747_b28c_u32 ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        h = h.wrapping_mul(M) ^ mix(u32::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        h = (h ^ tail).wrapping_mul(M);
    }
    h = (h ^ h >> 13).wrapping_mul(M);
    h ^ h >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_kafkas_clients() {
        // From Kafka's own UtilsTest.
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn an_entry_expires_once_its_time_is_over() {
        let ttl = Some(Duration::from_secs(1));
        assert!(!is_expired(0, None, i64::MAX));
        assert!(!is_expired(1_000, ttl, 1_999));
        assert!(is_expired(1_000, ttl, 2_000));
        assert!(!is_expired(5_000, ttl, 2_000), "the clock went back");
    }
}
