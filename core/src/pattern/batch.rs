//! Many messages a unit.

use super::{BatchTransaction, Pattern, Take};
use crate::transaction::Transaction;
use nubium_config::Config;
use nubium_kafka::message::Message;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Many messages a unit: the pattern of bulk work. A batch is handed to the function once it has
/// as many messages or bytes as it may, or its first message has waited as long as it may. All of
/// it is committed together, or none of it.
///
/// Bounds that are not set here come from the settings; outside an [`App`](crate::App) they are one
/// message, 30 s and 64 MB.
///
/// ```
/// use nubium_core::driver::Driver;
/// use nubium_core::{Batch, BatchTransaction, Record};
/// use std::time::Duration;
///
/// let sums = Batch::new(async |batch: &BatchTransaction<'_>| {
///     let mut sum = 0;
///     for message in batch.messages() {
///         sum += message.value::<i64>()?;
///     }
///     let last = batch.messages().last().expect("a batch is never empty");
///     batch.produce(last, Record::to("sums").value(&sum))
/// });
/// let mut driver = Driver::new(sums.max_count(10).max_time(Duration::ZERO)).unwrap();
/// driver.input("in", 1, r#""long""#).unwrap();
/// driver.output("sums", 1, r#""long""#).unwrap();
/// for n in 1..=4_i64 {
///     driver.send("in", 0, "key", &n).unwrap();
/// }
/// driver.run().unwrap();
/// assert_eq!(driver.values::<i64>("sums").unwrap(), [10]);
/// assert_eq!(driver.committed("in", 0), Some(4));
/// ```
#[derive(Debug, Clone)]
pub struct Batch<F> {
    function: F,
    max_count: Option<usize>,
    max_time: Option<Duration>,
    max_bytes: Option<usize>,
    bisect: Option<bool>,
}

impl<F> Batch<F>
where
    F: AsyncFn(&BatchTransaction<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
{
    /// Makes a batch pattern of an app function.
    pub fn new(function: F) -> Self {
        Self { function, max_count: None, max_time: None, max_bytes: None, bisect: None }
    }
}

impl<F> Batch<F> {
    /// Bounds the messages of a batch; at least one. Unset, it is
    /// `NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_COUNT`.
    #[must_use]
    pub fn max_count(mut self, messages: usize) -> Self {
        self.max_count = Some(messages.max(1));
        self
    }

    /// Bounds how long the first message of a batch waits for others. Unset, it is
    /// `NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_TIME_SECONDS`.
    #[must_use]
    pub fn max_time(mut self, time: Duration) -> Self {
        self.max_time = Some(time);
        self
    }

    /// Bounds the bytes of a batch's keys and values; one message always fits. Unset, it is
    /// `NU_BATCH_MAX_MB`.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Says whether a batch that fails is handled again in halves, so that only the messages to
    /// blame are given up: one bad message among n costs at most 2·log₂(n) + 1 calls of the
    /// function. Unset, it is `NU_BATCH_ERROR_BISECT`.
    #[must_use]
    pub fn bisect_errors(mut self, bisect: bool) -> Self {
        self.bisect = Some(bisect);
        self
    }

    fn limits(&self) -> Limits {
        Limits {
            count: self.max_count.unwrap_or(1),
            bytes: self.max_bytes.unwrap_or(64 << 20),
            time: self.max_time.unwrap_or(Duration::from_secs(30)),
        }
    }
}

impl<F> Pattern for Batch<F>
where
    F: AsyncFn(&BatchTransaction<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
{
    const BATCH: bool = true;

    fn configure(&mut self, config: &Config) {
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let consumer = &config.consumer;
        self.max_count.get_or_insert(size(consumer.batch_max_count));
        self.max_time.get_or_insert(consumer.batch_max_time);
        self.max_bytes.get_or_insert(size(consumer.batch_max_bytes));
        self.bisect.get_or_insert(consumer.batch_error_bisect);
    }

    fn bisects(&self) -> bool {
        self.bisect.unwrap_or(false)
    }

    fn take(&self, waiting: &VecDeque<Message>, since: Instant) -> Take {
        self.limits().take(waiting.iter().map(Message::size), || since.elapsed())
    }

    async fn run(&self, transaction: &Transaction<'_>) -> anyhow::Result<()> {
        let batch = BatchTransaction::new(transaction, self.limits().time);
        (self.function)(&batch).await?;
        batch.route()
    }
}

/// What bounds a batch.
#[derive(Debug, Clone, Copy)]
struct Limits {
    count: usize,
    bytes: usize,
    time: Duration,
}

impl Limits {
    /// Decides about the messages that wait, by their sizes. Asks for the time only if need be.
    fn take(self, sizes: impl Iterator<Item = usize>, waited: impl Fn() -> Duration) -> Take {
        let (mut count, mut bytes) = (0, 0_usize);
        for size in sizes {
            bytes = bytes.saturating_add(size);
            if count > 0 && bytes > self.bytes {
                return Take::Now(count);
            }
            count += 1;
            if count >= self.count {
                return Take::Now(count);
            }
        }
        match self.time.saturating_sub(waited()) {
            Duration::ZERO => Take::Now(count),
            left => Take::Wait(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_full_by_count_bytes_or_time() {
        let limits = Limits { count: 4, bytes: 100, time: Duration::from_secs(10) };
        let seconds = Duration::from_secs;
        for (sizes, waited, expected) in [
            (&[10, 10, 10][..], 3, Take::Wait(seconds(7))),
            (&[10, 10, 10], 10, Take::Now(3)),
            (&[10, 10, 10], 99, Take::Now(3)),
            (&[10, 10, 10, 10], 0, Take::Now(4)),
            (&[10, 10, 10, 10, 10], 0, Take::Now(4)),
            (&[60, 40], 0, Take::Wait(seconds(10))),
            (&[60, 41], 0, Take::Now(1)),
            (&[500], 0, Take::Wait(seconds(10))),
            (&[500, 1], 0, Take::Now(1)),
        ] {
            let taken = limits.take(sizes.iter().copied(), || seconds(waited));
            assert_eq!(taken, expected, "{sizes:?} after {waited} s");
        }
    }

    #[test]
    fn one_message_never_waits() {
        let limits = Limits { count: 1, bytes: 0, time: Duration::MAX };
        assert_eq!(limits.take([7, 7].into_iter(), || unreachable!()), Take::Now(1));
    }
}
