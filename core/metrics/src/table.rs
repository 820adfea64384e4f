//! What tables count.

use prometheus::{Gauge, IntCounter, Registry};

use super::Metrics;
use super::family::Family;
use super::names;
use super::registry::{family, series};

/// The families of tables.
pub(super) struct TableFamilies {
    rows: Family<Gauge>,
    bytes: Family<Gauge>,
    restored: Family<IntCounter>,
    rate: Family<Gauge>,
    left: Family<Gauge>,
    set_aside: Family<IntCounter>,
    expired: Family<IntCounter>,
}

impl TableFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            rows: family(registry, &names::TABLE_ROWS),
            bytes: family(registry, &names::TABLE_BYTES),
            restored: family(registry, &names::TABLE_RESTORED),
            rate: family(registry, &names::TABLE_RECOVERY_RATE),
            left: family(registry, &names::TABLE_RECOVERY_LEFT),
            set_aside: family(registry, &names::TABLE_REBUILT),
            expired: family(registry, &names::TABLE_EXPIRED),
        }
    }
}

impl Metrics {
    /// Sets how large a partition's store is.
    pub fn table_size(&self, topic: &str, partition: i32, rows: u64, bytes: u64) {
        let (table, partition) = (&self.0.core.table, partition.to_string());
        series(&table.rows, &[topic, &partition]).set(rows as f64);
        series(&table.bytes, &[topic, &partition]).set(bytes as f64);
    }

    /// Sets how a recovery goes; both are 0 once it is over.
    pub fn table_recovery(&self, topic: &str, partition: i32, rows_per_second: f64, left: f64) {
        let (table, partition) = (&self.0.core.table, partition.to_string());
        series(&table.rate, &[topic, &partition]).set(rows_per_second);
        series(&table.left, &[topic, &partition]).set(left);
    }

    /// Counts changelog records that were read.
    pub fn table_restored(&self, topic: &str, rows: u64) {
        series(&self.0.core.table.restored, &[topic]).inc_by(rows);
    }

    /// Counts a store that could not be used.
    pub fn table_set_aside(&self, topic: &str) {
        series(&self.0.core.table.set_aside, &[topic]).inc();
    }

    /// Counts entries whose time was over.
    pub fn table_expired(&self, topic: &str, entries: u64) {
        series(&self.0.core.table.expired, &[topic]).inc_by(entries);
    }

    /// Forgets a partition that is not here any more.
    pub fn forget_table(&self, topic: &str, partition: i32) {
        let (table, partition) = (&self.0.core.table, partition.to_string());
        for family in [&table.rows, &table.bytes, &table.rate, &table.left] {
            family.remove(&[topic, &partition]);
        }
    }
}
