//! Several messages in the function at once. The lanes (`lanes.rs`) say which may begin; each
//! produces into a part of its own, and the outbox takes the parts in as if the messages had been
//! handled one after the other: from the front of each partition, as far as all are done.
//!
//! Everything here is on the loop's thread. With a concurrency of one none of it runs.

mod begin;
mod end;

use super::commit::Committer;
use super::settings::{Concurrency, Ordering};
use super::{Engine, LOOK_AROUND, SERVE, due_in};
use crate::error::LoopError;
use crate::kafka::{Source, Waker as SourceWaker};
use crate::pattern::Pattern;
use crate::random::Random;
use crate::transaction::Part;
use futures::stream::{FuturesUnordered, Stream as _};
use nubium_kafka::message::Message;
use nubium_registry::{RegistryError, SchemaId};
use nubium_table_store::{Write, key_text};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How many bytes of messages and of what they produced are in hand at most; one message always
/// fits.
const BYTES: usize = 64 << 20;
/// How often liveness is told which call is the oldest.
const NOTE: Duration = Duration::from_millis(50);

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It waits for its turn, or for those before it.
    Waits,
    /// In the function.
    Function,
    /// The loop waits for something of its own: a schema, the time of another try.
    Loop,
}

/// A message from its admission until the outbox has taken in what became of it.
#[derive(Debug)]
pub(super) struct Call {
    /// None while the function has it.
    message: Option<Message>,
    /// What it produces; from its first begin on.
    part: Option<Rc<Part>>,
    stage: Stage,
    attempts: u32,
    since: Instant,
    /// It has failed for good, and ends the loop once all before it are done.
    failed: Option<LoopError>,
}

/// How a wait of a message ended.
enum Ended {
    /// The function has answered.
    Ran(Message, anyhow::Result<()>),
    /// The registry has answered.
    Fetched(SchemaId, Result<(), RegistryError>),
    /// It is time for another try.
    Waited,
}

type Running<'e> = Pin<Box<dyn Future<Output = (u64, Ended)> + 'e>>;

/// What runs of a partition, and what its messages wrote that are done and wait.
#[derive(Debug, Default)]
pub(super) struct Calls<'e> {
    running: FuturesUnordered<Running<'e>>,
    /// The last write of each key, with the ticket of its message.
    written: HashMap<String, (u64, Write)>,
}

/// Ends the loop's wait, wherever it waits.
struct Wakes {
    thread: Thread,
    /// Weak: a function may leave its waker somewhere, and the consumer's queue must go in time.
    source: Weak<dyn Fn() + Send + Sync>,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.thread.unpark();
        if let Some(source) = self.source.upgrade() {
            source();
        }
    }
}

/// What the messages share.
pub(super) struct Abreast {
    concurrency: Concurrency,
    waker: Waker,
    /// Kept for the waker, which does not own it.
    _source: SourceWaker,
    /// Parts to use again.
    spare: Vec<Rc<Part>>,
    hasher: ahash::RandomState,
    noted: Instant,
    shuffle: Option<Rc<Random>>,
}

impl Abreast {
    /// Makes it where more than one message may be in the function.
    pub(super) fn new(concurrency: &Concurrency, source: SourceWaker) -> Option<Self> {
        if concurrency.most <= 1 {
            return None;
        }
        let wakes = Wakes { thread: std::thread::current(), source: Arc::downgrade(&source) };
        let Concurrency { most, window, .. } = *concurrency;
        Some(Self {
            concurrency: Concurrency { window: window.max(most), ..*concurrency },
            waker: Waker::from(Arc::new(wakes)),
            _source: source,
            spare: Vec::new(),
            hasher: ahash::RandomState::new(),
            noted: Instant::now(),
            shuffle: concurrency.shuffle.map(|seed| Rc::new(Random::new(seed | 1))),
        })
    }

    /// The lane of a message. Two keys may share one, which costs some concurrency and no order.
    /// With a `table` it is the entry's that a key names, however its bytes spell it.
    fn lane(&self, message: &Message, table: bool) -> Option<u64> {
        match self.concurrency.ordering {
            Ordering::None => None,
            Ordering::Partition => Some(0),
            Ordering::Key if table => {
                message.key_bytes().map(|key| self.hasher.hash_one(&*key_text(key).0))
            }
            Ordering::Key => message.key_bytes().map(|key| self.hasher.hash_one(key)),
        }
    }
}

/// Decides whether a partition has so much in hand that the rest of it waits at the broker: it may
/// fill what nobody else needs, but not take the others' room. Of `(messages, bytes)`.
fn crowds(own: (usize, usize), all: (usize, usize), window: usize, partitions: usize) -> bool {
    let share = |bound: usize| if partitions > 1 { bound * 3 / (2 * partitions) } else { bound };
    let much = |own: usize, all: usize, bound: usize| own > share(bound) && all > bound / 2;
    partitions > 1 && (much(own.0, all.0, window) || much(own.1, all.1, BYTES))
}

/// Decides whether a partition that waits at the broker goes on.
fn has_room(own: (usize, usize), all: (usize, usize), window: usize, partitions: usize) -> bool {
    let share = |bound: usize| bound / partitions.max(1) / 2;
    let little = |own: usize, all: usize, bound: usize| own <= share(bound) || all < bound / 4;
    little(own.0, all.0, window) && little(own.1, all.1, BYTES)
}

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// One turn where several messages are in the function at once.
    pub(super) fn turn_abreast(&mut self) -> Result<(), LoopError> {
        self.fetch_abreast();
        self.admit();
        self.begin_ready()?;
        self.poll_calls()?;
        self.gather()?;
        self.expire()?;
        self.note_calls();
        if self.is_due() {
            self.submit();
        }
        Ok(())
    }

    fn window(&self) -> usize {
        self.abreast.as_ref().map_or(1, |abreast| abreast.concurrency.window)
    }

    fn has_place(&self) -> bool {
        let most = self.abreast.as_ref().map_or(1, |abreast| abreast.concurrency.most);
        self.hand.lanes.running() < most
    }

    /// Says whether more messages may be taken in.
    fn has_window(&self) -> bool {
        let lanes = &self.hand.lanes;
        lanes.total() < self.window() && lanes.total_weight() < BYTES
    }

    /// Fetches what there is room for, and waits where there is nothing to do: for messages, for a
    /// function, or for the commit thread.
    fn fetch_abreast(&mut self) {
        let wait = self.wait_abreast();
        if self.hand.inbox.is_empty() && self.has_window() {
            self.fetch(wait);
        } else if !wait.is_zero() {
            self.park(wait);
        }
    }

    /// Waits for a function, not for messages. The commit thread does not end this wait.
    fn park(&self, wait: Duration) {
        let most = if self.hand.flight.is_some() { Duration::from_millis(5) } else { wait };
        std::thread::park_timeout(wait.min(most));
    }

    fn wait_abreast(&self) -> Duration {
        let begins = self.has_place() && self.hand.lanes.has_ready();
        if begins || (!self.hand.inbox.is_empty() && self.has_window()) {
            return Duration::ZERO;
        }
        let young = self.hand.next_due().map(due_in).map(|due| due.max(Duration::from_millis(1)));
        let due = self.can_submit().then(|| self.patience().saturating_sub(self.age()));
        [young, due].into_iter().flatten().fold(LOOK_AROUND, Duration::min)
    }

    /// How old a batch becomes while functions run: a transaction for each message that comes back
    /// would cost more than the message.
    fn patience(&self) -> Duration {
        let busy = self.hand.lanes.running() > 0;
        if busy { self.settings.bounds.age / 5 } else { Duration::ZERO }
    }

    fn is_due(&self) -> bool {
        self.can_submit() && (self.age() >= self.patience() || self.bounds().full(self.filling()))
    }

    /// Takes messages from the inbox into the lanes, as far as the window goes.
    fn admit(&mut self) {
        if self.settings.waits_for_age() && !self.hand.inbox.is_empty() {
            while self.hold_young(self.hand.inbox.len()) {}
        }
        let (window, partitions) = (self.window(), self.hand.ours().len());
        let table = self.bench.table.is_some();
        while self.has_window() {
            let Some(message) = self.hand.inbox.pop_front() else { break };
            let (at, offset) = message.place();
            let lanes = &self.hand.lanes;
            let own = (lanes.count(at), lanes.weight(at));
            let all = (lanes.total(), lanes.total_weight());
            if crowds(own, all, window, partitions) {
                self.hand.hold_full(at, offset);
                continue;
            }
            let lane = self.abreast.as_ref().and_then(|abreast| abreast.lane(&message, table));
            let weight = message.size();
            let call = Call {
                message: Some(message),
                part: None,
                stage: Stage::Waits,
                attempts: 0,
                since: Instant::now(),
                failed: None,
            };
            self.hand.lanes.admit(at, lane, weight, call);
        }
        self.hand.resume_full(|own, all| has_room(own, all, window, partitions));
    }

    /// Polls what was woken, until nothing is or the group is to be served.
    fn poll_calls(&mut self) -> Result<(), LoopError> {
        let Some(waker) = self.abreast.as_ref().map(|abreast| abreast.waker.clone()) else {
            return Ok(());
        };
        let mut context = Context::from_waker(&waker);
        let mut index = 0;
        loop {
            let Some((at, calls)) = self.hand.lanes.rests().nth(index) else { return Ok(()) };
            match Pin::new(&mut calls.running).poll_next(&mut context) {
                Poll::Ready(Some((ticket, ended))) => self.ended(at, ticket, ended)?,
                Poll::Ready(None) | Poll::Pending => index += 1,
            }
            if self.served.elapsed() >= SERVE {
                waker.wake_by_ref();
                return Ok(());
            }
        }
    }

    /// Tells liveness which call is the oldest, but for those that wait on purpose.
    fn note_calls(&mut self) {
        let Some(abreast) = &mut self.abreast else { return };
        let idle = self.hand.lanes.running() == 0;
        if !idle && abreast.noted.elapsed() < NOTE {
            return;
        }
        abreast.noted = Instant::now();
        self.observer.rested();
        let in_function = || {
            let running = self.hand.lanes.in_function();
            running.filter(|call| call.stage == Stage::Function)
        };
        if let Some(oldest) =
            in_function().filter(|call| call.rests().is_none()).map(|call| call.since).min()
        {
            self.observer.working_since(oldest);
        }
        if let Some(until) = in_function().filter_map(Call::rests).max() {
            self.observer.waits(until.saturating_duration_since(Instant::now()));
        }
    }
}

impl Call {
    /// Until when its function waits on purpose, if it does.
    fn rests(&self) -> Option<Instant> {
        self.part.as_ref().and_then(|part| part.slate.resting())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_may_fill_what_nobody_needs_and_no_more() {
        let window = 1_000;
        assert!(!crowds((999, 0), (999, 0), window, 1), "alone it has everything");
        assert!(!crowds((500, 0), (500, 0), window, 4), "half of it is there for the others");
        assert!(crowds((501, 0), (501, 0), window, 4));
        assert!(!crowds((300, 0), (900, 0), window, 4));
        assert!(crowds((1, BYTES), (2, BYTES), window, 4), "by bytes too");
        assert!(
            has_room((125, 0), (900, 0), window, 4) && !has_room((126, 0), (900, 0), window, 4)
        );
        assert!(has_room((249, 0), (249, 0), window, 4), "nobody needs the rest");
    }
}
