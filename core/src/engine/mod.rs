//! The loop: polls, runs the app function, fills the outbox, hands it over, and goes back when a
//! transaction failed.
//!
//! One thread runs all of this; the commit thread (`commit.rs`) is the only other one, and it knows
//! nothing of the consumer. The rules that make every input count once:
//!
//! * A message's outputs and its offset go into the same batch, and a batch is one Kafka
//!   transaction.
//! * At most one batch is in flight; the next one is handed over only after its outcome is known.
//! * After a failed batch everything consumed since its first message is dropped and sought back
//!   to.
//! * A revocation is accepted only with nothing in flight and nothing of those partitions in hand.

mod bisection;
mod bounds;
mod commit;
mod drive;
mod growth;
mod observer;
mod rebalance;
mod recovery;
mod rewind;
mod settings;
mod table;
mod trouble;
mod unit;

pub use bounds::Bounds;
pub(crate) use commit::{CommitThread, Committer, InlineCommitter, Steps};
pub use commit::{Done, Outcome, Work};
pub(crate) use observer::{ClientReporter, Observer, millis_since, report_lag};
pub use settings::{ErrorPolicy, LoopSettings};
pub(crate) use table::Tables;

use crate::codec::SchemaId;
use crate::error::LoopError;
use crate::kafka::Source;
use crate::message::Message;
use crate::pattern::{Pattern, Take};
use crate::topic::{Offsets, TopicPartition};
use crate::transaction::{Batch, Workbench};
use bisection::Bisection;
use bounds::Filling;
use nubium_host::Stop;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How long the loop waits at most before it looks around again.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// A partition whose next message is too young.
#[derive(Debug, Clone, Copy)]
struct Held {
    at: TopicPartition,
    /// Milliseconds since the epoch.
    until: i64,
}

/// One loop: a consumer, a committer and the app's pattern.
pub(crate) struct Engine<'e, S, C, P> {
    // Dropped first, for the same reason as the committer: its thread wakes the loop's.
    /// The table, if the app has one or looks any up.
    tables: Option<Tables>,
    // Dropped before the source: the commit thread shares the consumer, and a waker holds its
    // queue.
    committer: C,
    source: S,
    pattern: &'e P,
    bench: &'e Workbench,
    settings: LoopSettings,
    observer: Observer,
    stop: Stop,
    /// Consumed and not handled yet.
    inbox: VecDeque<Message>,
    /// When the first message of the inbox began to wait, for patterns that wait for more.
    waiting_since: Instant,
    /// The first offsets of the batch on its way.
    in_flight: Option<Offsets>,
    /// The last batch's memory.
    spare: Batch,
    /// The partitions that are ours.
    assigned: Vec<TopicPartition>,
    held: Vec<Held>,
    /// Where partitions start that have no committed offset yet.
    uncommitted_starts: Offsets,
    /// First offsets of the unit whose function is waiting; empty where none is.
    current: Offsets,
    /// Raised when what is in hand is dropped, so that a waiting function learns that it is too
    /// late.
    epoch: u64,
    /// The memory of the last unit.
    unit: Vec<Message>,
    last_schema: Option<SchemaId>,
    unknown_schemas: HashMap<SchemaId, Instant>,
    /// The parts in which a batch that failed is handled; its messages begin the inbox.
    bisection: Bisection,
    /// Nothing is consumed before this moment: the back-off after an abort.
    hold_off: Option<Instant>,
    aborts: u32,
    last_fencing: Option<Instant>,
    /// Units between two looks at the clock, see [`Self::work`].
    stride: u32,
}

impl<'e, S: Source, C: Committer, P: Pattern> Engine<'e, S, C, P> {
    pub(crate) fn new(
        source: S,
        committer: C,
        pattern: &'e P,
        bench: &'e Workbench,
        settings: LoopSettings,
        observer: Observer,
        stop: Stop,
    ) -> Self {
        Self {
            source,
            committer,
            pattern,
            bench,
            settings,
            observer,
            stop,
            inbox: VecDeque::new(),
            waiting_since: Instant::now(),
            in_flight: None,
            spare: Batch::default(),
            assigned: Vec::new(),
            held: Vec::new(),
            uncommitted_starts: Offsets::default(),
            current: Offsets::default(),
            epoch: 0,
            unit: Vec::new(),
            last_schema: None,
            unknown_schemas: HashMap::new(),
            bisection: Bisection::default(),
            hold_off: None,
            aborts: 0,
            last_fencing: None,
            stride: 1,
            tables: None,
        }
    }

    /// Keeps a table too.
    pub(crate) fn with_tables(mut self, tables: Option<Tables>) -> Self {
        self.tables = tables;
        self
    }

    /// Makes the first producer, which ends what a predecessor left open, joins the group and runs.
    pub(crate) fn start(mut self) -> Result<(), LoopError> {
        let ready = self.init().and_then(|()| {
            self.source.subscribe().map_err(|error| LoopError::Kafka {
                step: "subscribe",
                what: String::new(),
                error: error.to_string(),
            })
        });
        match ready {
            Ok(()) => self.run(),
            Err(error) => {
                self.source.close();
                self.observer.ended();
                unless_stopped(Err(error))
            }
        }
    }

    /// Runs until asked to stop. Then, and also when the app function has failed for good, what is
    /// complete is committed and the group is left.
    pub(crate) fn run(mut self) -> Result<(), LoopError> {
        let ended = self.turns();
        let flushed = match &ended {
            Ok(()) | Err(LoopError::App { .. }) => {
                self.flush().and_then(|done| Ok(done && self.save_positions()?))
            }
            Err(_) => Ok(true),
        };
        self.close_tables();
        self.inbox.clear();
        self.source.close();
        self.observer.ended();
        if let Ok(false) | Err(_) = &flushed {
            tracing::warn!(
                "the last transaction failed; its messages are handled after the restart"
            );
        }
        unless_stopped(ended)
    }

    fn turns(&mut self) -> Result<(), LoopError> {
        while !self.stopping() {
            self.turn()?;
        }
        Ok(())
    }

    fn stopping(&self) -> bool {
        self.stop.requested()
    }

    /// One turn: events, outcomes, messages, work, hand-over.
    pub(crate) fn turn(&mut self) -> Result<(), LoopError> {
        self.observer.turn();
        self.serve()?;
        self.settle()?;
        self.resume_due();
        let wait = self.wait();
        if self.hold_off.is_some_and(|until| Instant::now() < until) {
            std::thread::sleep(wait.min(Duration::from_millis(20)));
            return Ok(());
        }
        self.hold_off = None;
        let before = self.inbox.len();
        let more = self.fetch(wait);
        if before == 0 && !self.inbox.is_empty() {
            self.waiting_since = Instant::now();
        }
        self.work()?;
        self.expire()?;
        self.observer.rested();
        let drained = !more && !matches!(self.next(), Some(Take::Now(_)));
        self.hand_over(drained);
        Ok(())
    }

    /// Says whether nothing is in hand or on its way.
    pub(crate) fn idle(&self) -> bool {
        self.inbox.is_empty()
            && self.in_flight.is_none()
            && self.hold_off.is_none()
            && self.held.is_empty()
            && self.tables.as_ref().is_none_or(Tables::is_ready)
            && self.bench.outbox.borrow().batch().is_empty()
    }

    /// How long there is nothing to do without a message, an outcome or an event.
    fn wait(&self) -> Duration {
        if self.can_submit() {
            // Only a look whether more has come: the commit thread is free for what is complete.
            return Duration::ZERO;
        }
        let held = self.held.iter().map(|held| due_in(held.until)).min();
        let look = held.map_or(LOOK_AROUND, |due| due.clamp(Duration::from_millis(1), LOOK_AROUND));
        match self.next() {
            None => look,
            Some(Take::Now(_)) => Duration::ZERO,
            Some(Take::Wait(limit)) => limit.min(look),
        }
    }

    /// Decides about the next unit; `None` where nothing is at hand.
    fn next(&self) -> Option<Take> {
        if self.inbox.is_empty() {
            return None;
        }
        let part = self.bisection.next().map(Take::Now);
        Some(part.unwrap_or_else(|| self.pattern.take(&self.inbox, self.waiting_since)))
    }

    /// Handles the units that are at hand.
    ///
    /// The clock is read only now and then: every unit while they are slow, every 32 while they are
    /// quick.
    fn work(&mut self) -> Result<(), LoopError> {
        let (mut clock, mut units) = (Instant::now(), 0);
        self.observer.working();
        while self.hold_off.is_none() && !self.stopping() {
            let Some(Take::Now(count)) = self.next() else { break };
            if self.settings.bounds.full(self.filling()) {
                self.make_room()?;
                continue;
            }
            self.unit(count.clamp(1, self.inbox.len()))?;
            units += 1;
            if self.committer.finished() {
                self.settle()?;
            }
            if units >= self.stride {
                let now = Instant::now();
                self.observer.ran(units, now - clock);
                let quick = now - clock < Duration::from_millis(1);
                units = 0;
                self.stride = if quick { (self.stride * 2).min(32) } else { 1 };
                (clock, self.waiting_since) = (now, now);
                self.observer.working();
                if self.in_flight.is_none() && self.age() >= self.settings.bounds.age {
                    self.submit();
                }
            }
        }
        self.observer.ran(units, clock.elapsed());
        Ok(())
    }

    fn filling(&self) -> Filling {
        let outbox = self.bench.outbox.borrow();
        let (batch, table) = (outbox.batch(), outbox.table().filling().bytes());
        let (count, records) = (batch.messages, batch.records.len());
        Filling { count, bytes: batch.size() + table, records }
    }

    fn age(&self) -> Duration {
        self.bench.outbox.borrow().batch().since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Hands the outbox over if the committer is free and it is time.
    fn hand_over(&mut self, drained: bool) {
        if self.can_submit() && self.settings.bounds.due(self.filling(), self.age(), drained) {
            self.submit();
        }
    }

    fn can_submit(&self) -> bool {
        self.in_flight.is_none() && !self.bench.outbox.borrow().batch().is_empty()
    }

    fn submit(&mut self) {
        let spare = std::mem::take(&mut self.spare);
        let batch = self.bench.outbox.borrow_mut().take(spare, self.bench.table.as_ref());
        self.observer.submitted(&batch);
        if let Some(tables) = &mut self.tables {
            tables.submitted(&batch);
        }
        self.in_flight = Some(batch.first.clone());
        self.committer.submit(Work::Commit(batch));
    }

    /// Waits for the batch in flight and hands the full outbox over.
    fn make_room(&mut self) -> Result<(), LoopError> {
        self.await_outcome()?;
        if self.can_submit() {
            self.submit();
        }
        Ok(())
    }

    /// Takes the outcome of the batch in flight if there is one already.
    fn settle(&mut self) -> Result<(), LoopError> {
        if self.in_flight.is_some() && self.committer.finished() {
            self.await_outcome()?;
        }
        Ok(())
    }

    /// Waits for the batch in flight. `Ok(false)`: it was not committed, and what was in hand is
    /// dropped.
    fn await_outcome(&mut self) -> Result<bool, LoopError> {
        if self.in_flight.is_none() {
            return Ok(true);
        }
        loop {
            if let Some(done) = self.committer.wait(LOOK_AROUND) {
                return self.finish(done);
            }
            self.observer.turn();
        }
    }

    /// Commits all that is complete. `Ok(false)`: it failed, and what was in hand is dropped.
    fn flush(&mut self) -> Result<bool, LoopError> {
        if !self.await_outcome()? {
            return Ok(false);
        }
        if self.bench.outbox.borrow().batch().is_empty() {
            return Ok(true);
        }
        self.submit();
        self.await_outcome()
    }
}

/// A stop that interrupted a wait is an orderly end.
fn unless_stopped(ended: Result<(), LoopError>) -> Result<(), LoopError> {
    match ended {
        Err(LoopError::Stopped(what)) => {
            tracing::info!(what, "stopped while waiting");
            Ok(())
        }
        ended => ended,
    }
}

/// How long until a moment in milliseconds since the epoch.
fn due_in(until: i64) -> Duration {
    let left = until.saturating_sub(now_millis());
    Duration::from_millis(u64::try_from(left).unwrap_or(0))
}

fn now_millis() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
