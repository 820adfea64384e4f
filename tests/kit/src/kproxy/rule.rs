//! Rules: which frame, and what happens at it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::frame::{ApiKey, Frame, Side};
use crate::process::{Signal, signal_pid};

/// What becomes of a frame.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It goes on.
    Forward,
    /// It goes on, and once it is written the process gets the signal.
    ForwardThen(Target, Signal),
    /// These bytes go on in its place.
    Replace(Vec<u8>),
    /// It goes on after a while; what follows on the connection waits behind it.
    Later(Duration),
    /// A request goes on twice, as if it had been sent again; one of the answers vanishes.
    Twice,
    /// A request does not reach the broker, and is answered with these bytes.
    Answer(Vec<u8>),
    /// It vanishes; the connection stays.
    Drop,
    /// It vanishes and the connection is closed.
    Close,
    /// The client's connection is cut at once; the frame goes on when the gate opens, as if it
    /// had been on its way all the time.
    Orphan(Gate),
}

impl Verdict {
    /// Does what is to follow a frame that went on.
    pub(super) fn follow(self) {
        if let Self::ForwardThen(target, signal) = self {
            target.signal(signal);
        }
    }
}

type Matches = Box<dyn Fn(&Frame) -> bool + Send>;
type Act = Box<dyn FnMut(&Frame) -> Verdict + Send>;

/// Says what happens at the n-th frame of a kind.
pub struct Rule {
    api: Option<ApiKey>,
    side: Side,
    client: Option<String>,
    matches: Option<Matches>,
    nth: usize,
    every: bool,
    seen: usize,
    hits: Arc<AtomicUsize>,
    act: Arc<Mutex<Act>>,
}

impl Rule {
    /// Acts at the first frame of this kind.
    pub fn on(
        api: ApiKey,
        side: Side,
        act: impl FnMut(&Frame) -> Verdict + Send + 'static,
    ) -> Self {
        Self { api: Some(api), ..Self::on_any(side, act) }
    }

    /// Acts at the first frame of any kind.
    pub fn on_any(side: Side, act: impl FnMut(&Frame) -> Verdict + Send + 'static) -> Self {
        let act: Act = Box::new(act);
        Self {
            api: None,
            side,
            client: None,
            matches: None,
            nth: 1,
            every: false,
            seen: 0,
            hits: Arc::default(),
            act: Arc::new(Mutex::new(act)),
        }
    }

    /// Acts at the n-th frame (from 1) instead of the first.
    #[must_use]
    pub fn nth(mut self, nth: usize) -> Self {
        self.nth = nth;
        self
    }

    /// Acts at every frame from the n-th on.
    #[must_use]
    pub fn and_later(mut self) -> Self {
        self.every = true;
        self
    }

    /// Counts only frames of clients whose `client.id` starts with this.
    #[must_use]
    pub fn client(mut self, prefix: &str) -> Self {
        self.client = Some(prefix.to_owned());
        self
    }

    /// Counts here how often the rule has acted, for rules of tests that share a proxy.
    #[must_use]
    pub fn counting(mut self, hits: &Arc<AtomicUsize>) -> Self {
        self.hits = Arc::clone(hits);
        self
    }

    /// Counts only frames for which this holds.
    #[must_use]
    pub fn when(mut self, holds: impl Fn(&Frame) -> bool + Send + 'static) -> Self {
        self.matches = Some(Box::new(holds));
        self
    }

    /// Counts the frame, and returns what to do if it is the rule's.
    pub(super) fn hit(&mut self, frame: &Frame) -> Option<Arc<Mutex<Act>>> {
        let is_mine = self.api.is_none_or(|api| api == frame.api)
            && self.side == frame.side
            && self.client.as_ref().is_none_or(|prefix| frame.client.starts_with(prefix))
            && self.matches.as_ref().is_none_or(|matches| matches(frame));
        if !is_mine {
            return None;
        }
        self.seen += 1;
        let hit = self.seen == self.nth || self.every && self.seen > self.nth;
        if hit {
            self.hits.fetch_add(1, Ordering::AcqRel);
        }
        hit.then(|| Arc::clone(&self.act))
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { api, side, client, nth, seen, .. } = self;
        write!(f, "Rule({api:?} {side:?} {client:?} nth {nth} seen {seen})")
    }
}

/// The process a rule acts on; named once it is started, which is after the rule was added.
#[derive(Debug, Clone, Default)]
pub struct Target(Arc<OnceLock<u32>>);

impl Target {
    /// Makes a target that is not named yet; a frame that hits it waits until it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the process; a second name is ignored.
    pub fn set(&self, pid: u32) {
        let _ = self.0.set(pid);
    }

    fn signal(&self, signal: Signal) {
        // A process that is already gone cannot be hit; the test sees how it ended.
        let _ = signal_pid(*self.0.wait(), signal);
    }
}

/// Kills the process and withholds the frame.
pub fn kill(target: &Target) -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    let target = target.clone();
    move |_| {
        target.signal(Signal::KILL);
        Verdict::Drop
    }
}

/// Lets the frame go on, and kills the process as soon as it is written.
pub fn kill_after(target: &Target) -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    let target = target.clone();
    move |_| Verdict::ForwardThen(target.clone(), Signal::KILL)
}

/// Stops the process (SIGSTOP) and lets the frame go on.
pub fn stop(target: &Target) -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    let target = target.clone();
    move |_| {
        target.signal(Signal::STOP);
        Verdict::Forward
    }
}

/// Lets every frame that it meets wait so long.
pub fn delay(by: Duration) -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    move |_| Verdict::Later(by)
}

/// Withholds the frame; the connection stays.
pub fn lose() -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    |_| Verdict::Drop
}

/// Withholds the frame and closes its connection.
pub fn close() -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    |_| Verdict::Close
}

/// Cuts the client's connection, and lets the request go on when the gate opens.
pub fn orphan(gate: &Gate) -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    let gate = gate.clone();
    move |_| Verdict::Orphan(gate.clone())
}

/// Sends the request twice.
pub fn duplicate() -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    |_| Verdict::Twice
}

/// Answers with an error code although the broker did what it was asked.
///
/// For answers that begin with a throttle time and one error code, as those of AddOffsetsToTxn
/// and EndTxn before their flexible versions.
pub fn answer_error(code: i16) -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    const AT: std::ops::Range<usize> = 8..10;
    move |frame| {
        let mut bytes = frame.bytes.clone();
        match bytes.get_mut(AT) {
            Some(place) => place.copy_from_slice(&code.to_be_bytes()),
            None => return Verdict::Close,
        }
        Verdict::Replace(bytes)
    }
}

/// Holds a frame, and with it what follows on its connection, until the gate is opened.
pub fn hold(gate: &Gate) -> impl FnMut(&Frame) -> Verdict + Send + 'static {
    let gate = gate.clone();
    move |_| gate.pass()
}

/// Where frames wait; see [`hold`].
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    waiting: usize,
    open: Option<Verdict>,
}

impl Gate {
    /// Makes a closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everything that waits, or comes later, go on, vanish, or close its connection.
    pub fn open(&self, verdict: Verdict) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).open = Some(verdict);
        self.0.1.notify_all();
    }

    /// Waits until a frame has come to the gate.
    ///
    /// # Errors
    /// None has when the deadline passes.
    pub fn reached(&self, deadline: Duration) -> Result<()> {
        let until = Instant::now() + deadline;
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while state.waiting == 0 {
            let left = until.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "no frame came to the gate in {} s", deadline.as_secs());
            let waited = self.0.1.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Says whether a frame has come to the gate.
    pub fn is_reached(&self) -> bool {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).waiting > 0
    }

    /// Says whether it has been opened.
    pub fn is_open(&self) -> bool {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).open.is_some()
    }

    pub(super) fn pass(&self) -> Verdict {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting += 1;
        self.0.1.notify_all();
        loop {
            if let Some(verdict) = state.open.clone() {
                return verdict;
            }
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
