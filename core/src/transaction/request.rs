//! What a waiting app function asks of the loop, and the answer.

use super::Messages;
use nubium_topic::Notes;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What is asked for. A function that still waits asks again whenever it is polled, so that a
/// request dies with the future that made it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Request {
    /// Nothing.
    #[default]
    None,
    /// Commit everything up to and with this unit.
    Commit,
    /// That is done.
    Committed,
    /// Commit the notes on the slate, beside offsets before this unit.
    Note,
    /// That is done.
    Noted,
    /// Add messages to the unit until it has `count` in all, or until this moment.
    Consume {
        /// Messages in all.
        count: usize,
        /// When to stop waiting for them.
        until: Instant,
    },
}

/// The slate between an app function and the loop; both are on one thread.
#[derive(Debug, Default)]
pub(crate) struct Slate {
    request: Cell<Request>,
    /// Who waits for an answer; a future among several is polled only when it is woken.
    askers: RefCell<Vec<Waker>>,
    /// The unit gets no more messages.
    closed: Cell<bool>,
    /// How many waits on purpose there are now, and until when.
    rests: Cell<usize>,
    resting: Cell<Option<Instant>>,
    notes: RefCell<Notes>,
    /// How often the loop has looked for more messages.
    looks: Cell<u64>,
}

impl Slate {
    pub(crate) fn get(&self) -> Request {
        self.request.get()
    }

    /// Wipes it for another run of the function; with `closed` its unit cannot grow.
    pub(crate) fn wipe(&self, closed: bool) {
        self.request.set(Request::None);
        self.notes.borrow_mut().clear();
        self.closed.set(closed);
    }

    /// Answers the request.
    pub(crate) fn answer(&self, answer: Request) {
        self.request.set(answer);
        self.askers.borrow_mut().drain(..).for_each(Waker::wake);
    }

    /// Says that the loop looks for the messages that were asked for; who still wants some asks
    /// again.
    pub(crate) fn look(&self) {
        self.looks.set(self.looks.get() + 1);
        self.answer(Request::None);
    }

    /// Says that the unit gets no more messages, so that nobody waits for them.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// Until when the function waits on purpose, if it does now.
    pub(crate) fn resting(&self) -> Option<Instant> {
        self.resting.get()
    }

    fn ask(&self, request: Request, context: &Context<'_>) {
        self.request.set(request);
        let mut askers = self.askers.borrow_mut();
        if !askers.iter().any(|asker| asker.will_wake(context.waker())) {
            askers.push(context.waker().clone());
        }
    }

    /// Takes the notes that are to be committed.
    pub(crate) fn take_notes(&self) -> Notes {
        self.notes.take()
    }

    /// Asks for notes to be committed and waits until that is confirmed.
    pub(super) fn note(&self, notes: Notes) -> impl Future<Output = ()> {
        let mut notes = Some(notes);
        std::future::poll_fn(move |context| match (notes.take(), self.request.get()) {
            (None, Request::Noted) => {
                self.request.set(Request::None);
                Poll::Ready(())
            }
            (first, _) => {
                if let Some(first) = first {
                    self.notes.borrow_mut().extend(first);
                }
                self.ask(Request::Note, context);
                Poll::Pending
            }
        })
    }

    /// Asks for the commit and waits until it is confirmed.
    pub(super) fn commit(&self) -> impl Future<Output = ()> {
        let mut asked = false;
        std::future::poll_fn(move |context| match (asked, self.request.get()) {
            (true, Request::Committed) => Poll::Ready(()),
            _ => {
                asked = true;
                self.ask(Request::Commit, context);
                Poll::Pending
            }
        })
    }
}

/// Waits until a unit has `count` messages in all.
pub(super) struct Consume<'a> {
    slate: &'a Slate,
    messages: Messages<'a>,
    count: usize,
    until: Instant,
    /// How often the loop had looked when this was asked first.
    asked: Option<u64>,
}

impl<'a> Consume<'a> {
    pub(super) fn new(
        slate: &'a Slate,
        messages: Messages<'a>,
        count: usize,
        time: Duration,
    ) -> Self {
        let now = Instant::now();
        // A time without an end is a year.
        let until = now.checked_add(time).unwrap_or(now + Duration::from_secs(31_536_000));
        Self { slate, messages, count, until, asked: None }
    }
}

impl Future for Consume<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let slate = self.slate;
        let enough = self.messages.len() >= self.count || slate.closed.get();
        // What is there already is taken even without time to wait.
        let looked = self.asked.is_some_and(|before| slate.looks.get() > before);
        let late = looked && Instant::now() >= self.until;
        let request = match slate.get() {
            Request::Commit | Request::Committed | Request::Note | Request::Noted => {
                return Poll::Ready(());
            }
            _ if enough || late => return Poll::Ready(()),
            Request::Consume { count, until } => {
                Request::Consume { count: self.count.max(count), until: self.until.max(until) }
            }
            Request::None => Request::Consume { count: self.count, until: self.until },
        };
        self.asked.get_or_insert(slate.looks.get());
        slate.ask(request, context);
        Poll::Pending
    }
}

/// Waits on purpose, with a note of it on the slate.
pub(super) async fn rest(slate: &Slate, time: Duration) {
    struct Rest<'a>(&'a Slate);
    impl Drop for Rest<'_> {
        fn drop(&mut self) {
            self.0.rests.set(self.0.rests.get() - 1);
            if self.0.rests.get() == 0 {
                self.0.resting.set(None);
            }
        }
    }
    slate.rests.set(slate.rests.get() + 1);
    let rest = Rest(slate);
    slate.resting.set(slate.resting.get().max(Instant::now().checked_add(time)));
    tokio::time::sleep(time).await;
    drop(rest);
}
