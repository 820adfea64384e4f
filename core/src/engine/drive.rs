//! Waits for an app function without leaving the group: a function that is not ready at once is
//! polled again when it is woken, and meanwhile the loop serves the group, settles and hands over
//! what is complete.

use super::Engine;
use super::commit::Committer;
use crate::error::LoopError;
use crate::kafka::Source;
use crate::pattern::Pattern;
use crate::transaction::{Messages, Request};
use nubium_topic::Offsets;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How a wait ended.
pub(super) enum Driven<T> {
    /// With a result.
    Ready(T),
    /// What it worked on was lost or is replayed; the function is dropped.
    Cancelled,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Whose wait it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiter {
    /// The app function's. Liveness bounds it, unless the function says that it waits on purpose.
    Function,
    /// The loop's own, before or between calls of the function; a stop ends it.
    Loop,
}

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Runs a future to its end. The first poll is all that most app functions need; it costs no
    /// allocation.
    pub(super) fn drive<T>(
        &mut self,
        mut future: Pin<&mut impl Future<Output = T>>,
        unit: Messages<'_>,
        waiter: Waiter,
    ) -> Result<Driven<T>, LoopError> {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Ok(Driven::Ready(value));
        }
        // While a function waits for more messages, their schemas are waited for within that.
        let within = self.hand.waits();
        self.hand.wait_with(unit.iter());
        if waiter == Waiter::Loop {
            self.observer.rested();
        }
        let driven = self.wait_for(future, unit, waiter);
        if waiter == Waiter::Loop && !within {
            self.observer.working();
        }
        if !within {
            self.hand.done_waiting();
        }
        driven
    }

    fn wait_for<T>(
        &mut self,
        mut future: Pin<&mut impl Future<Output = T>>,
        unit: Messages<'_>,
        waiter: Waiter,
    ) -> Result<Driven<T>, LoopError> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let epoch = self.hand.epoch();
        let mut rests = waiter == Waiter::Loop;
        loop {
            let confirmed = match self.bench.slate.get() {
                Request::Commit => self.commit_now(unit)?,
                Request::Note => self.note_now(unit)?,
                _ => true,
            };
            if !confirmed {
                return Ok(Driven::Cancelled);
            }
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                if rests && waiter == Waiter::Function {
                    self.observer.working();
                }
                return Ok(Driven::Ready(value));
            }
            if matches!(self.bench.slate.get(), Request::Commit | Request::Note) {
                continue;
            }
            if waiter == Waiter::Function {
                rests = self.note_rest(rests);
            }
            self.pump()?;
            // A unit that is committed already is complete, whatever its function still waits for.
            let on_purpose = waiter == Waiter::Loop || self.bench.slate.resting().is_some();
            if self.hand.epoch() != epoch || (on_purpose && self.stopping()) {
                return Ok(Driven::Cancelled);
            }
            if self.can_submit() {
                self.submit();
            }
            if let (Waiter::Function, Request::Consume { count, until }) =
                (waiter, self.bench.slate.get())
            {
                self.bench.slate.look();
                if let Driven::Cancelled = self.grow(unit, count, until)? {
                    return Ok(Driven::Cancelled);
                }
                continue;
            }
            let wait = if self.hand.flight.is_some() { 5 } else { 100 };
            std::thread::park_timeout(Duration::from_millis(wait));
        }
    }

    /// Tells liveness when the function begins or ends to wait on purpose or for messages: that
    /// may take longer than a call of it may.
    fn note_rest(&self, rests: bool) -> bool {
        let until = match self.bench.slate.get() {
            Request::Consume { until, .. } => Some(until),
            _ => self.bench.slate.resting(),
        };
        match until {
            Some(until) if !rests => {
                self.observer.rested();
                self.observer.waits(until.saturating_duration_since(Instant::now()));
            }
            None if rests => self.observer.working(),
            _ => {}
        }
        until.is_some()
    }

    /// Commits notes beside the offsets before the unit whose function asks for it.
    fn note_now(&mut self, unit: Messages<'_>) -> Result<bool, LoopError> {
        let notes = self.bench.slate.take_notes();
        if !self.await_outcome()? {
            return Ok(false);
        }
        let mut firsts = Offsets::default();
        unit.iter().for_each(|message| firsts.lower(message.topic_partition(), message.offset()));
        for (at, note) in notes {
            if let Some(offset) = firsts.get(at) {
                self.bench.outbox.borrow_mut().keep_note(at, offset, note);
            }
        }
        if !self.flush()? {
            return Ok(false);
        }
        self.bench.slate.answer(Request::Noted);
        Ok(true)
    }

    /// Commits up to and with the unit whose function asks for it.
    fn commit_now(&mut self, unit: Messages<'_>) -> Result<bool, LoopError> {
        if !self.await_outcome()? {
            return Ok(false);
        }
        self.bench.outbox.borrow_mut().keep_copying(unit);
        self.hand.done_waiting();
        if !self.flush()? {
            return Ok(false);
        }
        self.bench.slate.answer(Request::Committed);
        Ok(true)
    }
}
