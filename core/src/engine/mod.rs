//! The loop: polls, runs the app function, fills the outbox, hands it over, and goes back when a
//! transaction failed.
//!
//! One thread runs all of this; the commit thread (`commit.rs`) is the only other one, and it knows
//! nothing of the consumer. The rules that make every input count once:
//!
//! * A message's outputs and its offset go into the same batch, and a batch is one Kafka
//!   transaction.
//! * At most one batch is in flight; the next one is handed over only after its outcome is known.
//! * After a failed batch everything in hand is dropped, and every partition is moved to its first
//!   offset that is not committed (`hand.rs`).
//! * A revocation is accepted only with nothing in flight and nothing of those partitions in hand.

mod abreast;
mod bisection;
mod bounds;
mod commit;
mod drive;
mod growth;
mod hand;
mod handover;
mod lanes;
mod observer;
mod partition;
mod pump;
mod rebalance;
mod recovery;
mod refusal;
mod settings;
mod sweep;
mod table;
mod trouble;
mod unit;

pub(crate) use bounds::Bounds;
pub(crate) use commit::{CommitThread, Committer, InlineCommitter, Steps};
pub(crate) use observer::{ClientReporter, Observer, millis_since, report_lag};
pub use settings::{Concurrency, Ordering};
pub(crate) use settings::{ErrorPolicy, LoopSettings};
pub(crate) use table::Tables;

use crate::error::LoopError;
use crate::kafka::{Event, Source};
use crate::pattern::{Pattern, Take};
use crate::transaction::{Batch, Workbench};
use abreast::Abreast;
use hand::Hand;
use nubium_host::Stop;
use nubium_kafka::message::Message;
use nubium_registry::SchemaId;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How long the loop waits at most before it looks around again.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// How long units are handled at most before the group is served again.
const SERVE: Duration = Duration::from_millis(100);

/// One loop: a consumer, a committer and the app's pattern.
pub(crate) struct Engine<'e, S, C, P> {
    // Dropped before the source: its waker holds the consumer's queue.
    /// What several messages at once share; none where it goes message by message.
    abreast: Option<Abreast>,
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
    /// All that is consumed and not committed, but for what lies in the outbox.
    hand: Hand<'e>,
    /// When the first message of the inbox began to wait, for patterns that wait for more.
    waiting_since: Instant,
    /// What the group told while it could not be acted on.
    events: VecDeque<Event>,
    /// When the group was served last.
    served: Instant,
    /// The last batch's memory.
    spare: Batch,
    /// The memory of the last unit.
    unit: Vec<Message>,
    last_schema: Option<SchemaId>,
    unknown_schemas: HashMap<SchemaId, Instant>,
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
        let hand = Hand::new(false, settings.backoff.0);
        let abreast = Abreast::new(&settings.concurrency, source.waker());
        Self {
            abreast,
            source,
            committer,
            pattern,
            bench,
            settings,
            observer,
            stop,
            hand,
            waiting_since: Instant::now(),
            events: VecDeque::new(),
            served: Instant::now(),
            spare: Batch::default(),
            unit: Vec::new(),
            last_schema: None,
            unknown_schemas: HashMap::new(),
            hold_off: None,
            aborts: 0,
            last_fencing: None,
            stride: 1,
            tables: None,
        }
    }

    /// Keeps a table too.
    pub(crate) fn with_tables(mut self, tables: Option<Tables>) -> Self {
        let lookups = tables.as_ref().is_some_and(Tables::has_lookups);
        self.hand = Hand::new(lookups, self.settings.backoff.0);
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
        self.hand.inbox.clear();
        self.hand.lanes.clear();
        self.source.close();
        self.observer.ended();
        if let Ok(false) | Err(_) = &flushed {
            tracing::warn!(
                "The last transaction failed; its messages are handled after the restart."
            );
        }
        unless_stopped(ended)
    }

    fn turns(&mut self) -> Result<(), LoopError> {
        while !self.stopping() {
            self.turn()?;
        }
        self.end_calls()
    }

    fn stopping(&self) -> bool {
        self.stop.requested()
    }

    /// One turn: events, outcomes, messages, work, hand-over.
    pub(crate) fn turn(&mut self) -> Result<(), LoopError> {
        self.pump()?;
        if let Some(left) = self.held_off() {
            std::thread::sleep(left.min(Duration::from_millis(20)));
            return Ok(());
        }
        if self.abreast.is_some() {
            return self.turn_abreast();
        }
        let before = self.hand.inbox.len();
        let more = self.fetch(self.wait());
        if before == 0 && !self.hand.inbox.is_empty() {
            self.waiting_since = Instant::now();
        }
        self.work()?;
        self.expire()?;
        self.observer.rested();
        let drained = !more && !matches!(self.next(), Some(Take::Now(_)));
        self.hand_over(drained);
        Ok(())
    }

    /// What is left of the back-off after an abort.
    fn held_off(&mut self) -> Option<Duration> {
        let left = self.hold_off?.checked_duration_since(Instant::now());
        if left.is_none() {
            self.hold_off = None;
        }
        left
    }

    /// Says whether nothing is in hand or on its way.
    pub(crate) fn idle(&self) -> bool {
        self.hand.is_empty()
            && self.hold_off.is_none()
            && self.events.is_empty()
            && self.bench.outbox.borrow().batch().is_empty()
    }

    /// How long there is nothing to do without a message, an outcome or an event.
    fn wait(&self) -> Duration {
        if self.can_submit() {
            // Only a look whether more has come: the commit thread is free for what is complete.
            return Duration::ZERO;
        }
        let young = self.hand.next_due().map(due_in);
        let look =
            young.map_or(LOOK_AROUND, |due| due.clamp(Duration::from_millis(1), LOOK_AROUND));
        match self.next() {
            None => look,
            Some(Take::Now(_)) => Duration::ZERO,
            Some(Take::Wait(limit)) => limit.min(look),
        }
    }

    /// Decides about the next unit; `None` where nothing is at hand.
    fn next(&self) -> Option<Take> {
        let Hand { inbox, bisection, .. } = &self.hand;
        if inbox.is_empty() {
            return None;
        }
        let part = bisection.next().map(Take::Now);
        Some(part.unwrap_or_else(|| self.pattern.take(inbox, self.waiting_since)))
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
            if self.bounds().full(self.filling()) {
                self.make_room()?;
                continue;
            }
            self.unit(count.clamp(1, self.hand.inbox.len()))?;
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
                if now - self.served >= SERVE {
                    self.observer.rested();
                    self.pump()?;
                }
                self.observer.working();
                if self.hand.flight.is_none() && self.age() >= self.settings.bounds.age {
                    self.submit();
                }
            }
        }
        self.observer.ran(units, clock.elapsed());
        Ok(())
    }
}

/// A stop that interrupted a wait is an orderly end.
fn unless_stopped(ended: Result<(), LoopError>) -> Result<(), LoopError> {
    match ended {
        Err(LoopError::Stopped(what)) => {
            tracing::info!(what, "Stopped while waiting.");
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
