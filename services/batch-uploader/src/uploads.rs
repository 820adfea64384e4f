//! The consumption pattern: batches that keep requests busy, and hold announced ones whole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nubium_core::config::Config;
use nubium_core::topic::TopicPartition;
use nubium_core::{Batch, BatchTransaction, Message, Pattern, Take, Transaction};

use crate::announce::{Announced, Cover};
use crate::settings::Settings;
use crate::upload::Uploader;

/// How soon it is looked again for what is missing.
const LOOK: Duration = Duration::from_millis(100);

/// Batches of an uploader.
struct Uploads<F> {
    batch: Batch<F>,
    announced: Arc<Announced>,
}

/// Makes the pattern of an uploader.
pub fn pattern(settings: &Settings, uploader: Uploader) -> impl Pattern + use<> {
    let concurrency = settings.limits.concurrency;
    let announced = uploader.announced();
    let function = async move |batch: &BatchTransaction<'_>| uploader.handle(batch).await;
    let batch = Batch::new(function)
        .max_count(settings.batch.count.saturating_mul(concurrency))
        .max_time(settings.batch.time);
    Uploads { batch, announced }
}

impl<F> Pattern for Uploads<F>
where
    F: AsyncFn(&BatchTransaction<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
{
    const BATCH: bool = true;

    fn configure(&mut self, config: &Config) {
        self.batch.configure(config);
    }

    fn assigned(&self, partitions: &[TopicPartition], notes: &[(TopicPartition, String)]) {
        self.announced.assigned(partitions, notes);
    }

    fn bisects(&self) -> bool {
        self.batch.bisects()
    }

    fn take(&self, waiting: &VecDeque<Message>, since: Instant) -> Take {
        match self.announced.cover(waiting, since.elapsed()) {
            Cover::Missing => Take::Wait(LOOK),
            Cover::AtLeast(0) => self.batch.take(waiting, since),
            Cover::AtLeast(least) => match self.batch.take(waiting, since) {
                Take::Now(count) => Take::Now(count.max(least)),
                Take::Wait(_) => Take::Now(least),
            },
        }
    }

    async fn run(&self, transaction: &Transaction<'_>) -> anyhow::Result<()> {
        self.batch.run(transaction).await
    }
}
