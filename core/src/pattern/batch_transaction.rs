//! What a batch app function is handed.

use crate::error::Exception;
use crate::record::Record;
use crate::transaction::{Consumed, Transaction};
use nubium_registry::Encode;
use nubium_topic::Notes;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is to become of one message of a batch.
#[derive(Debug, Clone)]
enum Verdict {
    Retry(Exception),
    Failed(Exception),
}

/// A batch at hand: its messages, and ways to produce and to say how each of them went.
///
/// Everything produced is kept only if the app function answers `Ok`; then it is committed in one
/// Kafka transaction with the highest offset of every partition in the batch.
pub struct BatchTransaction<'t> {
    transaction: &'t Transaction<'t>,
    max_time: Duration,
    verdicts: RefCell<BTreeMap<usize, Verdict>>,
}

impl<'t> BatchTransaction<'t> {
    pub(super) fn new(transaction: &'t Transaction<'t>, max_time: Duration) -> Self {
        Self { transaction, max_time, verdicts: RefCell::default() }
    }

    /// The messages of the batch, in order of each partition.
    pub fn messages(&self) -> impl Iterator<Item = Consumed<'t>> + use<'t> {
        self.transaction.messages()
    }

    /// How many messages the batch has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.transaction.count()
    }

    /// Raises the batch to `max_count` messages in all, waiting for them as long as a batch may
    /// take to fill, and answers how many it has then. See [`Self::consume_within`].
    ///
    /// # Errors
    /// The batch was committed already.
    pub async fn consume(&self, max_count: usize) -> anyhow::Result<usize> {
        self.consume_within(self.max_time, max_count).await
    }

    /// Raises the batch to `max_count` messages in all, waiting for them at most `max_time`, and
    /// answers how many it has then; see [`Transaction::consume`] for when they may be fewer.
    ///
    /// # Errors
    /// The batch was committed already.
    pub async fn consume_within(
        &self,
        max_time: Duration,
        max_count: usize,
    ) -> anyhow::Result<usize> {
        self.transaction.consume(max_time, max_count).await
    }

    /// Produces a record that belongs to `message`: its headers pass through, and its key unless
    /// the record has one.
    ///
    /// # Errors
    /// As [`Transaction::produce`].
    pub fn produce<V: Encode + ?Sized>(
        &self,
        message: Consumed<'_>,
        record: Record<'_, V>,
    ) -> anyhow::Result<()> {
        self.transaction.produce_from(message.index(), record)
    }

    /// Gives one message another try now; see [`Transaction::produce_retry`].
    ///
    /// # Errors
    /// As [`Transaction::produce_retry`].
    pub fn produce_retry(
        &self,
        message: Consumed<'_>,
        exception: Option<&Exception>,
    ) -> anyhow::Result<()> {
        self.transaction.produce_retry_from(message.index(), exception)
    }

    /// Gives all messages another try.
    ///
    /// # Errors
    /// As [`Transaction::produce_retry`].
    pub fn produce_retry_all(&self, exception: Option<&Exception>) -> anyhow::Result<()> {
        self.messages().try_for_each(|message| self.produce_retry(message, exception))
    }

    /// Sends one message to the failure topic; see [`Transaction::produce_failure`].
    ///
    /// # Errors
    /// As [`Transaction::produce_failure`].
    pub fn produce_failure(
        &self,
        message: Consumed<'_>,
        exception: Option<&Exception>,
    ) -> anyhow::Result<()> {
        self.transaction.produce_failure_from(message.index(), exception)
    }

    /// Sends all messages to the failure topic.
    ///
    /// # Errors
    /// As [`Transaction::produce_failure`].
    pub fn produce_failure_all(&self, exception: Option<&Exception>) -> anyhow::Result<()> {
        self.messages().try_for_each(|message| self.produce_failure(message, exception))
    }

    /// Marks a message as done. Every message is, unless something else is said; of several marks
    /// the last one counts.
    pub fn done(&self, message: Consumed<'_>) {
        self.verdicts.borrow_mut().remove(&message.index());
    }

    /// Marks a message to be tried again. It is routed as by [`Self::produce_retry`] once the
    /// function has answered `Ok`, in the same Kafka transaction; what was produced from it stays.
    pub fn retry(&self, message: Consumed<'_>, exception: Exception) {
        self.verdicts.borrow_mut().insert(message.index(), Verdict::Retry(exception));
    }

    /// Marks a message as failed: it goes to the failure topic once the function has answered `Ok`,
    /// in the same Kafka transaction; what was produced from it stays.
    pub fn fail(&self, message: Consumed<'_>, exception: Exception) {
        self.verdicts.borrow_mut().insert(message.index(), Verdict::Failed(exception));
    }

    /// Commits now: what this and earlier batches produced, the messages marked until now, and
    /// the offsets of all. Returns once Kafka has confirmed. If the transaction fails instead, the
    /// function is dropped here and the batch handled anew.
    ///
    /// # Errors
    /// It was committed already, or a marked message has nowhere to go.
    pub async fn commit(&self) -> anyhow::Result<()> {
        self.route()?;
        self.transaction.commit().await
    }

    /// Commits notes now; see [`Transaction::note`].
    ///
    /// # Errors
    /// The batch was committed already.
    pub async fn note(&self, notes: Notes) -> anyhow::Result<()> {
        self.transaction.note(notes).await
    }

    /// Waits on purpose; see [`Transaction::wait`].
    pub async fn wait(&self, time: Duration) {
        self.transaction.wait(time).await;
    }

    /// Routes the marked messages.
    pub(super) fn route(&self) -> anyhow::Result<()> {
        let verdicts = std::mem::take(&mut *self.verdicts.borrow_mut());
        verdicts.into_iter().try_for_each(|(index, verdict)| match verdict {
            Verdict::Retry(exception) => {
                self.transaction.produce_retry_from(index, Some(&exception))
            }
            Verdict::Failed(exception) => {
                self.transaction.produce_failure_from(index, Some(&exception))
            }
        })
    }
}
