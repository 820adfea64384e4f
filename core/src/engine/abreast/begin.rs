//! How a message begins, and begins again.

use super::{Call, Ended, Running, Stage};
use crate::engine::Engine;
use crate::engine::commit::Committer;
use crate::engine::growth::name;
use crate::engine::unit::guarded;
use crate::error::{LoopError, MessageError};
use crate::kafka::Source;
use crate::pattern::Pattern;
use crate::random::Random;
use crate::transaction::{Grown, Messages, Part, Transaction};
use nubium_kafka::message::Message;
use nubium_table_store::key_text;
use nubium_topic::TopicPartition;
use std::future::Future;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

impl<'e, S: Source, C: Committer, P: Pattern> Engine<'e, S, C, P> {
    /// Begins what may begin, as far as there are places.
    pub(super) fn begin_ready(&mut self) -> Result<(), LoopError> {
        while self.has_place() && !self.stopping() {
            let Some((at, ticket)) = self.hand.lanes.start() else { break };
            self.begin(at, ticket)?;
        }
        Ok(())
    }

    /// Gets a message into the function, which has a place for it. What it must have is seen to
    /// first, as it is for every unit.
    pub(super) fn begin(&mut self, at: TopicPartition, ticket: u64) -> Result<(), LoopError> {
        let Some(mut message) =
            self.hand.lanes.value(at, ticket).and_then(|call| call.message.take())
        else {
            return Ok(());
        };
        let makes = self.bench.signature.is_some();
        if !name(&mut message, makes) || self.hand.refusals.has(&message) {
            let refusal = self.hand.refusals.of(&message);
            let error = refusal.unwrap_or(MessageError::MissingHeader("guid"));
            return self.failed(at, ticket, message, error.into());
        }
        if let Some(id) = self.missing_schema(&message) {
            let codec = self.bench.codec.clone();
            self.stay(at, ticket, Stage::Loop, Some(message));
            let fetch =
                async move { (ticket, Ended::Fetched(id, codec.ensure(id).await.map(|_| ()))) };
            self.run_beside(at, Box::pin(fetch));
            return Ok(());
        }
        let part = self.part_of(at, ticket, &message);
        let (pattern, bench) = (self.pattern, self.bench);
        self.stay(at, ticket, Stage::Function, None);
        let function = async move {
            let (unit, grown) = ([message], Grown::default());
            let answer = {
                let transaction = Transaction::apart(bench, &part, Messages::new(&unit, &grown));
                guarded(pattern.run(&transaction)).await
            };
            let [message] = unit;
            (ticket, Ended::Ran(message, answer))
        };
        self.run_beside(at, Box::pin(function));
        Ok(())
    }

    /// Notes where a message is.
    pub(super) fn stay(
        &mut self,
        at: TopicPartition,
        ticket: u64,
        stage: Stage,
        message: Option<Message>,
    ) {
        if let Some(call) = self.hand.lanes.value(at, ticket) {
            (call.stage, call.message, call.since) = (stage, message, Instant::now());
        }
    }

    /// Waits for another try; whoever is of the same lane waits with it.
    pub(super) fn wait_aside(
        &mut self,
        at: TopicPartition,
        ticket: u64,
        message: Message,
        wait: Duration,
    ) {
        self.observer.waits(wait);
        self.stay(at, ticket, Stage::Loop, Some(message));
        self.hand.lanes.step_aside(at, ticket);
        let sleep = async move {
            tokio::time::sleep(wait).await;
            (ticket, Ended::Waited)
        };
        self.run_beside(at, Box::pin(sleep));
    }

    fn run_beside(&mut self, at: TopicPartition, running: Running<'e>) {
        let shuffle = self.abreast.as_ref().and_then(|abreast| abreast.shuffle.clone());
        let running = match shuffle {
            Some(random) => Box::pin(shuffled(running, random)),
            None => running,
        };
        if let Some(calls) = self.hand.lanes.rest(at) {
            calls.running.push(running);
        }
    }

    /// The part that a message produces into. It knows what the messages of its key wrote that are
    /// done and wait: the table has that last.
    pub(super) fn part_of(
        &mut self,
        at: TopicPartition,
        ticket: u64,
        message: &Message,
    ) -> Rc<Part> {
        let known = self.hand.lanes.value(at, ticket).and_then(|call| call.part.clone());
        let spare = || self.abreast.as_mut().and_then(|abreast| abreast.spare.pop());
        let part = known.or_else(spare).unwrap_or_default();
        part.wipe();
        if self.bench.table.is_some()
            && let Some(key) = message.key_bytes()
            && let Some(calls) = self.hand.lanes.rest(at)
        {
            let before = calls.written.get(&*key_text(key).0).map(|(_, write)| write.clone());
            part.before.replace(before);
        }
        if let Some(call) = self.hand.lanes.value(at, ticket) {
            call.part = Some(Rc::clone(&part));
        }
        part
    }

    /// Whether a function runs that is not waiting on purpose.
    pub(super) fn in_function(&self) -> bool {
        let works = |call: &Call| call.stage == Stage::Function && call.rests().is_none();
        self.hand.lanes.in_function().any(works)
    }
}

/// Holds a future back by chance, whenever it is polled.
async fn shuffled<T>(
    mut future: std::pin::Pin<Box<dyn Future<Output = T> + '_>>,
    random: Rc<Random>,
) -> T {
    std::future::poll_fn(move |context| {
        if random.below(4) != 0 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        future.as_mut().poll(context)
    })
    .await
}
