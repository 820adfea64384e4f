//! The commit thread: owns the producer, turns one batch into one Kafka transaction, and says what
//! became of it.

use crate::kafka::{Class, Sent, Sink, SinkError, Waker};
use crate::transaction::Batch;
use nubium_host::mutant;
use nubium_table_store::{Applier, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A new producer is ready.
    Initialized,
    /// Records and offsets are committed.
    Committed,
    /// It was aborted: rewind and replay.
    Aborted {
        /// Why.
        error: SinkError,
        /// The failure came from the commit call itself. Whether that call had taken effect is for
        /// the group's committed offsets to say; before it, nothing can have been committed.
        committing: bool,
        /// The record that the broker refused for what it is, if that was the reason; for certain
        /// only in a careful batch.
        refused: Option<usize>,
    },
    /// Its fate is for the broker to tell: make a new producer, which settles it, and ask for the
    /// committed offsets.
    Unknown {
        /// What happened.
        error: SinkError,
        /// The transaction outlived its time-out (the process was stopped, say), which explains a
        /// fencing.
        overdue: bool,
    },
}

/// A finished piece of work.
#[derive(Debug)]
pub(crate) struct Done {
    /// What became of it.
    pub outcome: Outcome,
    /// The batch, for its memory.
    pub batch: Batch,
    /// How long it took.
    pub took: Duration,
    /// The transaction has committed, and the table's store could not take it in.
    pub store_failed: Option<StoreError>,
}

/// What the commit thread is asked to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Make a new producer.
    Init,
    /// Commit a batch.
    Commit(Batch),
}

/// Carries work out one after the other; the engine submits only when nothing is under way.
pub(crate) trait Committer {
    fn submit(&mut self, work: Work);
    /// Says cheaply whether work has finished.
    fn finished(&self) -> bool;
    /// Waits up to `limit` for work to finish.
    fn wait(&mut self, limit: Duration) -> Option<Done>;
}

enum Failure {
    Abort(SinkError),
    Unknown(SinkError),
}

/// Takes the steps of a transaction on a sink.
pub(crate) struct Steps<S> {
    sink: S,
    /// The longest one phase may be repeated: the transaction time-out.
    limit: Duration,
    /// A commit or abort was asked again. As with a connection that broke ([`Sink::broke`]), a late
    /// request could still reach the broker and end the next transaction, or take its offsets back
    /// (librdkafka has no KIP-890), so a new producer with a new epoch comes first.
    doubtful: bool,
    applier: Option<Applier>,
}

impl<S: Sink> Steps<S> {
    pub(crate) fn new(sink: S, limit: Duration) -> Self {
        Self { sink, limit, doubtful: false, applier: None }
    }

    /// Brings table writes into the stores once they have committed.
    pub(crate) fn with_table(mut self, applier: Option<Applier>) -> Self {
        self.applier = applier;
        self
    }

    /// Does one piece of work to its end.
    pub(crate) fn carry_out(&mut self, work: Work) -> Done {
        let started = Instant::now();
        let mut store_failed = None;
        let (outcome, batch) = match work {
            Work::Init => (self.init(), Batch::default()),
            Work::Commit(mut batch) => {
                if let Some(applier) = &mut self.applier {
                    applier.before(batch.last);
                    let early = batch.table.as_ref().filter(|_| mutant!("store-before-commit"));
                    early.and_then(|writes| applier.after(writes).err());
                }
                let outcome = self.commit(&mut batch);
                if let (Outcome::Committed, Some(applier), Some(writes)) =
                    (&outcome, &mut self.applier, &batch.table)
                {
                    store_failed = applier.after(writes).err();
                }
                (outcome, batch)
            }
        };
        Done { outcome, batch, took: started.elapsed(), store_failed }
    }

    fn init(&mut self) -> Outcome {
        let started = Instant::now();
        loop {
            match self.sink.init() {
                Ok(()) => {
                    self.doubtful = false;
                    return Outcome::Initialized;
                }
                Err(error) if error.class == Class::Retriable && started.elapsed() < self.limit => {
                    tracing::warn!(%error, "No producer id yet, asking again.");
                }
                Err(error) => return Outcome::Unknown { error, overdue: false },
            }
        }
    }

    fn commit(&mut self, batch: &mut Batch) -> Outcome {
        if (self.doubtful || self.sink.broke()) && !mutant!("doubtful-is-kept") {
            match self.init() {
                Outcome::Initialized => {}
                failed => return failed,
            }
        }
        let began = Instant::now();
        let unknown = |error| Outcome::Unknown { error, overdue: began.elapsed() >= self.limit };
        // 1. Begin: local to the client, so any failure means that this producer is of no more use.
        if let Err(error) = self.sink.begin() {
            return unknown(error);
        }
        // 2. to 4. Offsets, records, commit.
        if mutant!("records-before-offsets") {
            let offsets = std::mem::take(&mut batch.next);
            let sent = self.fill(batch).is_ok() && self.sink.commit().is_ok();
            let _ = sent && self.sink.begin().is_ok();
            batch.next = offsets;
            batch.records.clear();
        }
        let filled = self.fill(batch);
        let committing = filled.is_ok();
        let failure = match filled.and_then(|()| self.end(began)) {
            Ok(()) => return Outcome::Committed,
            Err(_) if mutant!("failure-is-committed") => return Outcome::Committed,
            Err(failure) => failure,
        };
        // 5. Abort what can be aborted.
        match failure {
            Failure::Abort(error) => {
                let refused = self.sink.refused();
                match self.abort(Instant::now()) {
                    Ok(()) => Outcome::Aborted { error, committing, refused },
                    Err(abort) => {
                        let overdue = began.elapsed() >= self.limit;
                        let text = format!("{error}; and the abort failed: {abort}");
                        Outcome::Unknown { error: SinkError { class: abort.class, text }, overdue }
                    }
                }
            }
            Failure::Unknown(error) => {
                Outcome::Unknown { error, overdue: began.elapsed() >= self.limit }
            }
        }
    }

    /// Adds offsets, then records. The offsets go first because only that call finds out with a
    /// short wait that the previous transaction's markers are still being written; a record that
    /// comes first waits 20 ms.
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        self.sink.send_offsets(&batch.next, &batch.notes).map_err(not_resumable)?;
        if mutant!("offsets-before-records") && self.sink.commit().is_ok() {
            let _ = self.sink.begin();
        }
        let started = Instant::now();
        for index in 0..batch.records.len() {
            while let Sent::Full = self.sink.send(batch, index).map_err(not_resumable)? {
                if started.elapsed() > self.limit {
                    let text = "the producer's queue stayed full: the broker does not take records";
                    return Err(Failure::Abort(SinkError {
                        class: Class::Abortable,
                        text: text.into(),
                    }));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            if batch.careful {
                self.sink.settle().map_err(not_resumable)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, began: Instant) -> Result<(), Failure> {
        loop {
            match self.sink.commit() {
                Ok(()) => return Ok(()),
                Err(error) => match error.class {
                    Class::Abortable => return Err(Failure::Abort(error)),
                    Class::Retriable if mutant!("unanswered-is-committed") => return Ok(()),
                    Class::Retriable if mutant!("unanswered-is-aborted") => {
                        return Err(Failure::Abort(error));
                    }
                    Class::Retriable => {
                        self.doubtful = true;
                        if began.elapsed() >= self.limit * 2 {
                            return Err(Failure::Unknown(error));
                        }
                        tracing::warn!(%error, "Commit not confirmed yet, asking again.");
                    }
                    Class::Fenced | Class::Fatal => return Err(Failure::Unknown(error)),
                },
            }
        }
    }

    fn abort(&mut self, started: Instant) -> Result<(), SinkError> {
        loop {
            match self.sink.abort() {
                Ok(()) => return Ok(()),
                Err(error) if error.class == Class::Retriable && started.elapsed() < self.limit => {
                    self.doubtful = true;
                    tracing::warn!(%error, "Abort not confirmed yet, asking again.");
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Offsets and records cannot be offered twice: short of a dead producer the transaction is
/// aborted.
fn not_resumable(error: SinkError) -> Failure {
    match error.class {
        Class::Retriable | Class::Abortable => Failure::Abort(error),
        Class::Fenced | Class::Fatal => Failure::Unknown(error),
    }
}

/// The real thing: a thread that works while the app thread fills the next batch.
pub(crate) struct CommitThread {
    work: Option<mpsc::SyncSender<Work>>,
    done: mpsc::Receiver<Done>,
    finished: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl CommitThread {
    /// Starts it; `waker` ends the app thread's wait when work has finished.
    pub(crate) fn start<S: Sink + Send + 'static>(
        name: &str,
        mut steps: Steps<S>,
        waker: Waker,
    ) -> std::io::Result<Self> {
        let (work, jobs) = mpsc::sync_channel::<Work>(1);
        let (answers, done) = mpsc::sync_channel(1);
        let finished = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&finished);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            for job in jobs {
                let answer = steps.carry_out(job);
                // Before the send: set after it, it could outlive the answer it announces.
                flag.store(true, Ordering::Release);
                if answers.send(answer).is_err() {
                    return;
                }
                waker();
            }
        })?;
        Ok(Self { work: Some(work), done, finished, thread: Some(thread) })
    }
}

impl Committer for CommitThread {
    fn submit(&mut self, work: Work) {
        if let Some(sender) = &self.work {
            // The thread ends only by a panic; then the wait below reports it.
            let _ = sender.send(work);
        }
    }

    fn finished(&self) -> bool {
        // A thread that panicked is an answer too.
        self.finished.load(Ordering::Acquire)
            || self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    fn wait(&mut self, limit: Duration) -> Option<Done> {
        match self.done.recv_timeout(limit) {
            Ok(done) => {
                self.finished.store(false, Ordering::Release);
                Some(done)
            }
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => Some(Done {
                outcome: Outcome::Unknown {
                    error: SinkError {
                        class: Class::Fatal,
                        text: "the commit thread ended; see the panic above".into(),
                    },
                    overdue: false,
                },
                batch: Batch::default(),
                took: Duration::ZERO,
                store_failed: None,
            }),
        }
    }
}

impl Drop for CommitThread {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Works at once on the caller's thread, for the in-memory test driver.
pub(crate) struct InlineCommitter<S> {
    steps: Steps<S>,
    done: Option<Done>,
}

impl<S: Sink> InlineCommitter<S> {
    pub(crate) fn new(steps: Steps<S>) -> Self {
        Self { steps, done: None }
    }
}

impl<S: Sink> Committer for InlineCommitter<S> {
    fn submit(&mut self, work: Work) {
        self.done = Some(self.steps.carry_out(work));
    }

    fn finished(&self) -> bool {
        self.done.is_some()
    }

    fn wait(&mut self, _: Duration) -> Option<Done> {
        self.done.take()
    }
}
