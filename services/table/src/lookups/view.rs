//! What look-ups need of a table.

use nubium_core::table::{Entry, PartitionState, TableReader};

/// Reads a table from any thread: the core's reader, or a played one in tests.
pub trait View: Send + Sync + 'static {
    /// Reads the entry of a key, where it is here.
    ///
    /// # Errors
    /// The store fails.
    fn get(&self, key: &str) -> anyhow::Result<Option<Entry>>;

    /// Lists up to `limit` entries of the partitions that are here, by key: those that begin with
    /// `prefix` and come behind `after`.
    ///
    /// # Errors
    /// The store fails.
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> anyhow::Result<Vec<Entry>>;

    /// Tells how it stands with the partitions that are here.
    fn partitions(&self) -> Vec<PartitionState>;

    /// Tells which partition a key is on; `None` while that is not known yet.
    fn partition_of(&self, key: &str) -> Option<i32>;

    /// Counts the table's partitions, wherever they are; 0 while that is not known yet.
    fn partition_count(&self) -> i32;
}

impl View for TableReader {
    fn get(&self, key: &str) -> anyhow::Result<Option<Entry>> {
        Ok(Self::get(self, key)?)
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> anyhow::Result<Vec<Entry>> {
        Ok(Self::scan(self, prefix, after, limit)?)
    }

    fn partitions(&self) -> Vec<PartitionState> {
        Self::partitions(self)
    }

    fn partition_of(&self, key: &str) -> Option<i32> {
        Self::partition_of(self, key)
    }

    fn partition_count(&self) -> i32 {
        Self::partition_count(self)
    }
}
