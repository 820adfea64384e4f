//! Where changelogs are read from: the seam between the table and Kafka.

use nubium_topic::{Offsets, TopicPartition};
use std::time::Duration;

/// Where a partition's log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The partition.
    pub at: TopicPartition,
    /// The first offset there is.
    pub first: i64,
    /// The offset behind the last record, also of open transactions. Not where a read_committed
    /// reader ends at this moment: the last transaction of a previous owner may lie between.
    pub end: i64,
}

/// What reading found.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// A committed record.
    Record {
        /// Its partition.
        at: TopicPartition,
        /// Its offset.
        offset: i64,
        /// Milliseconds since the epoch.
        timestamp: i64,
        /// Its key.
        key: Option<&'a [u8]>,
        /// Its value; `None` is a tombstone.
        value: Option<&'a [u8]>,
    },
    /// Everything before this offset was read that can be read now: aborted records and control
    /// records count, which no record tells of.
    End {
        /// The partition.
        at: TopicPartition,
        /// The offset of what would be read next.
        position: i64,
    },
    /// The offset to read from is not in the log any more.
    OutOfRange {
        /// The partition.
        at: TopicPartition,
    },
}

/// Why a changelog cannot be read now. It is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {text}")]
pub struct SourceTrouble {
    /// What was being done.
    pub step: &'static str,
    /// Kafka's words.
    pub text: String,
}

/// A member of the app's group and the partitions of the input that are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its client id: the instance's name.
    pub client_id: String,
    /// The numbers of its partitions.
    pub partitions: Vec<i32>,
}

/// Reads changelogs: committed records, in order within each partition. All calls come from one
/// thread.
pub trait ChangelogSource {
    /// Asks where logs begin and end.
    ///
    /// # Errors
    /// No answer in time.
    fn bounds(
        &mut self,
        of: &[TopicPartition],
        limit: Duration,
    ) -> Result<Vec<Bounds>, SourceTrouble>;

    /// Reads these partitions from these offsets on, in place of what was read before.
    ///
    /// # Errors
    /// The client refuses.
    fn assign(&mut self, from: &Offsets) -> Result<(), SourceTrouble>;

    /// Waits up to `wait` for something to read, and tells what is there. Answers how much it was.
    fn read(&mut self, wait: Duration, each: &mut dyn FnMut(Found<'_>)) -> usize;

    /// Asks who is in the app's group and what each owns.
    ///
    /// # Errors
    /// No answer in time, or one that cannot be read.
    fn members(&mut self, limit: Duration) -> Result<Vec<Member>, SourceTrouble>;
}

impl<S: ChangelogSource + ?Sized> ChangelogSource for Box<S> {
    fn bounds(
        &mut self,
        of: &[TopicPartition],
        limit: Duration,
    ) -> Result<Vec<Bounds>, SourceTrouble> {
        (**self).bounds(of, limit)
    }

    fn assign(&mut self, from: &Offsets) -> Result<(), SourceTrouble> {
        (**self).assign(from)
    }

    fn read(&mut self, wait: Duration, each: &mut dyn FnMut(Found<'_>)) -> usize {
        (**self).read(wait, each)
    }

    fn members(&mut self, limit: Duration) -> Result<Vec<Member>, SourceTrouble> {
        (**self).members(limit)
    }
}
