//! What an answer leads to: done, refused, another try, a record of its own.

use std::time::Duration;

use nubium_core::{BatchTransaction, Consumed, Exception, Record};
use serde_json::Value;

use super::Uploader;
use crate::answer::{Outcome, Verdict};
use crate::chunk::Chunk;
use crate::item::Item;
use crate::produce::Told;

/// What is left to do of a batch after a round of requests.
pub(super) struct Round<'a> {
    pub(super) batch: &'a BatchTransaction<'a>,
    pub(super) messages: &'a [Consumed<'a>],
    pub(super) left: Vec<Chunk>,
    pub(super) wait: Duration,
    /// Why an answer cannot be produced, and there is no failure topic.
    pub(super) failed: Option<anyhow::Error>,
}

impl Uploader {
    /// Does what the verdict says.
    pub(super) fn follow(
        &self,
        round: &mut Round<'_>,
        mut chunk: Chunk,
        verdict: Verdict,
        told: Option<&Told>,
    ) {
        match verdict {
            Verdict::Done => {
                chunk.items.iter().for_each(|item| self.produce(round, item, told, None));
            }
            Verdict::Failed(exception) => {
                for item in &chunk.items {
                    self.refuse(round.batch, round.messages[item.index], exception.clone());
                }
            }
            Verdict::TooLarge(exception) => match chunk.clone().halves() {
                Some(halves) => {
                    tracing::info!(items = chunk.items.len(), "Too large for the API, halving.");
                    round.left.extend(halves);
                }
                None => self.follow(round, chunk, Verdict::Failed(exception), told),
            },
            Verdict::Unauthorized(_) => {
                chunk.renewed = true;
                round.left.push(chunk);
            }
            Verdict::Again { exception, wait: Some(wait) } => {
                let wait = wait.max(self.backoff(1));
                tracing::warn!(%exception, ?wait, items = chunk.items.len(),
                    "The API asks to come back later.");
                round.wait = round.wait.max(wait);
                round.left.push(chunk);
            }
            Verdict::Again { exception, wait: None } => {
                let again = vec![exception; chunk.items.len()];
                self.again(round, chunk, again);
            }
            Verdict::Each(outcomes) => self.each(round, chunk, outcomes, told),
        }
    }

    /// Produces what the API said of an item that is done.
    fn produce(
        &self,
        round: &mut Round<'_>,
        item: &Item,
        told: Option<&Told>,
        result: Option<&Value>,
    ) {
        let (Some(produce), Some(told)) = (&self.settings.produce, told) else { return };
        let message = round.messages[item.index];
        let value = told.record(produce, item, result).map_err(anyhow::Error::from);
        let produced = value.and_then(|value| {
            let record = Record::to(&produce.topic).value(&value);
            round.batch.produce(message, record.header("last_updated_by", &self.app))
        });
        match produced {
            Ok(()) => {}
            // The API has done it, so another try would do it twice.
            Err(error) if self.has_failure_topic => {
                let error = error.context("done by the API, but its answer cannot be produced");
                self.refuse(round.batch, message, Exception::of(&error));
            }
            Err(error) => {
                let place = format!("the answer cannot be produced to {}", produce.topic);
                round.failed.get_or_insert(error.context(place));
            }
        }
    }

    fn each(
        &self,
        round: &mut Round<'_>,
        mut chunk: Chunk,
        outcomes: Vec<Outcome>,
        told: Option<&Told>,
    ) {
        let (mut items, mut exceptions) = (Vec::new(), Vec::new());
        for (item, outcome) in std::mem::take(&mut chunk.items).into_iter().zip(outcomes) {
            match outcome {
                Outcome::Done(result) => self.produce(round, &item, told, Some(&result)),
                Outcome::Failed(exception) => {
                    self.refuse(round.batch, round.messages[item.index], exception);
                }
                Outcome::Again(exception) => {
                    items.push(item);
                    exceptions.push(exception);
                }
            }
        }
        if !items.is_empty() {
            chunk.items = items;
            self.again(round, chunk, exceptions);
        }
    }

    /// Tries again after a back-off, or routes the messages when it was tried often enough.
    fn again(&self, round: &mut Round<'_>, mut chunk: Chunk, exceptions: Vec<Exception>) {
        chunk.tries += 1;
        chunk.renewed = false;
        let (items, tries) = (chunk.items.len(), chunk.tries);
        let first = exceptions.first().map(ToString::to_string).unwrap_or_default();
        if tries < self.tries {
            let wait = self.backoff(tries);
            tracing::warn!(
                exception = first,
                items,
                tries,
                ?wait,
                "The API refused items for now, trying again."
            );
            round.wait = round.wait.max(wait);
            round.left.push(chunk);
            return;
        }
        tracing::error!(
            exception = first,
            items,
            tries,
            "The API refused items for now, sent to the retry topic."
        );
        for (item, exception) in chunk.items.iter().zip(exceptions) {
            self.metrics.error(&exception.name);
            round.batch.retry(round.messages[item.index], exception);
        }
    }

    fn backoff(&self, tries: u32) -> Duration {
        let retry = &self.settings.retry;
        retry.backoff.saturating_mul(1 << (tries - 1).min(20)).min(retry.backoff_max)
    }

    pub(super) fn refuse(
        &self,
        batch: &BatchTransaction<'_>,
        message: Consumed<'_>,
        exception: Exception,
    ) {
        tracing::error!(topic = message.topic(), partition = message.partition(),
            offset = message.offset(), %exception,
            "The API refused an item, sent to the failure topic.");
        self.metrics.error(&exception.name);
        batch.fail(message, exception);
    }
}
