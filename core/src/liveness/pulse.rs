use std::sync::atomic::{AtomicU64, Ordering};

/// Where a loop stands with its consumer group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// The loop has not been a member yet.
    Starting,
    /// A member with an assignment, which may be empty: there are more members than partitions.
    Member,
    /// Was a member and is joining again: a rebalance, or it was thrown out.
    Joining,
    /// Left on purpose: the loop has ended or is stopping.
    Left,
}

/// What one loop does now, noted by its threads and read by the probes. Every note is an atomic
/// store or two, so a loop may note as often as it likes.
#[derive(Debug)]
pub(crate) struct Pulse {
    turn: AtomicU64,
    app_since: AtomicU64,
    commit_since: AtomicU64,
    progress: AtomicU64,
    broker_gone_since: AtomicU64,
    registry_gone_since: AtomicU64,
    input_since: AtomicU64,
    wait_until: AtomicU64,
    recovering_since: AtomicU64,
    input_gone_until: AtomicU64,
    /// The group and since when, in one word, so that both are read together.
    group: AtomicU64,
}

/// "Not now" in a field that holds a time.
const NONE: u64 = u64::MAX;

/// Bits of `group` that hold the state; the rest is the time.
const GROUP_BITS: u32 = 2;

impl Pulse {
    /// Makes the pulse of a loop that starts now.
    #[must_use]
    pub(crate) fn new(now: u64) -> Self {
        let none = || AtomicU64::new(NONE);
        Self {
            turn: AtomicU64::new(now),
            app_since: none(),
            commit_since: none(),
            progress: AtomicU64::new(now),
            broker_gone_since: none(),
            registry_gone_since: none(),
            input_since: none(),
            wait_until: AtomicU64::new(0),
            recovering_since: none(),
            input_gone_until: AtomicU64::new(0),
            group: AtomicU64::new(pack(Group::Starting, now)),
        }
    }

    /// Notes a turn of the loop. A loop turns at least once per poll time-out, whatever it waits
    /// for: input, a commit, the registry, a rebalance.
    pub(crate) fn turn(&self, now: u64) {
        self.turn.store(now, Ordering::Relaxed);
    }

    /// Notes that the app function was entered.
    pub(crate) fn app_started(&self, now: u64) {
        self.app_since.store(now, Ordering::Release);
    }

    /// Notes that the app function returned, whatever it returned.
    pub(crate) fn app_finished(&self, now: u64) {
        // Before the end of the call, so that no reader sees a loop that is in neither.
        self.turn(now);
        self.progress.store(now, Ordering::Relaxed);
        self.app_since.store(NONE, Ordering::Release);
    }

    /// Notes that a transaction was begun, from the commit thread.
    pub(crate) fn commit_started(&self, now: u64) {
        self.commit_since.store(now, Ordering::Release);
    }

    /// Notes that the transaction ended. Only a commit is progress; an abort is not.
    pub(crate) fn commit_finished(&self, now: u64, committed: bool) {
        if committed {
            self.progress.store(now, Ordering::Relaxed);
        }
        self.commit_since.store(NONE, Ordering::Release);
    }

    /// Notes whether any broker can be reached.
    pub(crate) fn broker(&self, reachable: bool, now: u64) {
        note(&self.broker_gone_since, !reachable, now);
    }

    /// Notes whether the schema registry can be reached; while it cannot, the loop waits for it.
    pub(crate) fn registry(&self, reachable: bool, now: u64) {
        note(&self.registry_gone_since, !reachable, now);
    }

    /// Notes whether input waits that may be handled now. True when that is not known, as outside
    /// the group; false for an idle app.
    pub(crate) fn input_waiting(&self, waiting: bool, now: u64) {
        note(&self.input_since, waiting, now);
    }

    /// Notes a wait on purpose: a retry's back-off, or a message that is not old enough yet.
    pub(crate) fn wait_until(&self, time: u64) {
        self.wait_until.store(time, Ordering::Relaxed);
    }

    /// Notes whether state is being restored or a rewind replayed, before normal work goes on.
    pub(crate) fn recovering(&self, recovering: bool, now: u64) {
        note(&self.recovering_since, recovering, now);
    }

    /// Notes that an input topic is not there; it counts as being back at this time.
    pub(crate) fn input_gone_until(&self, time: u64) {
        self.input_gone_until.store(time, Ordering::Relaxed);
    }

    /// Notes where the loop stands with its group. Saying the same again changes nothing.
    pub(crate) fn group(&self, group: Group, now: u64) {
        if unpack(self.group.load(Ordering::Relaxed)).0 != group {
            self.group.store(pack(group, now), Ordering::Relaxed);
        }
    }

    /// Reads the pulse. Fields may be a moment apart, which limits of seconds do not notice.
    #[must_use]
    pub(crate) fn snapshot(&self) -> PulseSnapshot {
        let (group, group_since) = unpack(self.group.load(Ordering::Relaxed));
        PulseSnapshot {
            // Read before the turn, see `app_finished`.
            app_since: time(self.app_since.load(Ordering::Acquire)),
            turn: self.turn.load(Ordering::Relaxed),
            commit_since: time(self.commit_since.load(Ordering::Acquire)),
            progress: self.progress.load(Ordering::Relaxed),
            broker_gone_since: time(self.broker_gone_since.load(Ordering::Relaxed)),
            registry_gone_since: time(self.registry_gone_since.load(Ordering::Relaxed)),
            input_since: time(self.input_since.load(Ordering::Relaxed)),
            wait_until: self.wait_until.load(Ordering::Relaxed),
            recovering_since: time(self.recovering_since.load(Ordering::Relaxed)),
            input_gone_until: self.input_gone_until.load(Ordering::Relaxed),
            group,
            group_since,
        }
    }
}

/// What a pulse said at one moment. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PulseSnapshot {
    /// The last turn of the loop.
    pub turn: u64,
    /// In the app function since.
    pub app_since: Option<u64>,
    /// In a transaction since.
    pub commit_since: Option<u64>,
    /// When an app function last returned or a transaction last committed.
    pub progress: u64,
    /// No broker reachable since.
    pub broker_gone_since: Option<u64>,
    /// The schema registry not reachable since.
    pub registry_gone_since: Option<u64>,
    /// Input waits since.
    pub input_since: Option<u64>,
    /// Waits on purpose until; long past when it does not.
    pub wait_until: u64,
    /// Restores or replays since.
    pub recovering_since: Option<u64>,
    /// An input topic is missing until; long past when none is.
    pub input_gone_until: u64,
    /// Where it stands with its group.
    pub group: Group,
    /// And since when.
    pub group_since: u64,
}

/// Stores the start of a condition, keeps it while it lasts, and clears it.
fn note(since: &AtomicU64, holds: bool, now: u64) {
    let held = since.load(Ordering::Relaxed) != NONE;
    if held != holds {
        since.store(if holds { now } else { NONE }, Ordering::Relaxed);
    }
}

fn time(raw: u64) -> Option<u64> {
    (raw != NONE).then_some(raw)
}

const fn pack(group: Group, since: u64) -> u64 {
    (since << GROUP_BITS) | group as u64
}

const fn unpack(raw: u64) -> (Group, u64) {
    let group = match raw & ((1 << GROUP_BITS) - 1) {
        0 => Group::Starting,
        1 => Group::Member,
        2 => Group::Joining,
        _ => Group::Left,
    };
    (group, raw >> GROUP_BITS)
}
