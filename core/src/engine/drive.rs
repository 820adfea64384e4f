//! Waits for an app function without leaving the group: a function that is not ready at once is
//! polled again when it is woken, and meanwhile the loop serves the group, settles and hands over
//! what is complete.

use super::commit::Committer;
use super::{Engine, rewind};
use crate::error::LoopError;
use crate::kafka::Source;
use crate::message::Message;
use crate::pattern::Pattern;
use crate::transaction::Request;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

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

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Runs a future to its end. The first poll is all that most app functions need; it costs no
    /// allocation.
    pub(super) fn drive<T>(
        &mut self,
        mut future: Pin<&mut impl Future<Output = T>>,
        unit: &[Message],
    ) -> Result<Driven<T>, LoopError> {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Ok(Driven::Ready(value));
        }
        rewind::lower_to(&mut self.current, unit);
        let driven = self.wait_for(future, unit);
        self.current.clear();
        driven
    }

    fn wait_for<T>(
        &mut self,
        mut future: Pin<&mut impl Future<Output = T>>,
        unit: &[Message],
    ) -> Result<Driven<T>, LoopError> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let epoch = self.epoch;
        loop {
            if self.bench.request.get() == Request::Commit && !self.commit_now(unit)? {
                return Ok(Driven::Cancelled);
            }
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return Ok(Driven::Ready(value));
            }
            if self.bench.request.get() == Request::Commit {
                continue;
            }
            self.observer.turn();
            self.serve()?;
            self.settle()?;
            if self.epoch != epoch {
                return Ok(Driven::Cancelled);
            }
            if self.can_submit() {
                self.submit();
            }
            let wait = if self.in_flight.is_some() { 5 } else { 100 };
            std::thread::park_timeout(Duration::from_millis(wait));
        }
    }

    /// Commits up to and with the unit whose function asks for it.
    fn commit_now(&mut self, unit: &[Message]) -> Result<bool, LoopError> {
        if !self.await_outcome()? {
            return Ok(false);
        }
        self.bench.outbox.borrow_mut().keep_copying(unit);
        self.current.clear();
        if !self.flush()? {
            return Ok(false);
        }
        self.bench.request.set(Request::Committed);
        Ok(true)
    }
}
