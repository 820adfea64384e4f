use std::time::Duration;

use super::pulse::{Group, PulseSnapshot};

/// Beyond the transaction time-out the broker has aborted on its own; this much later the call
/// should have said so.
const COMMIT_MARGIN: Duration = Duration::from_secs(30);

/// A loop turns every few hundred milliseconds; a minute is a machine in deep trouble or a wedge.
const TURN: Duration = Duration::from_secs(60);

/// Brokers restart within a minute or two. Longer, and a new process may find others by DNS.
const BROKER_GONE: Duration = Duration::from_secs(300);

/// A join waits for the slowest member, up to its max.poll.interval; this comes on top of that.
const GROUP_MARGIN: Duration = Duration::from_secs(180);

/// Says how long is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Between two turns of a loop, outside the app function.
    pub turn: Duration,
    /// In one call of the app function: `max.poll.interval.ms`, after which the group goes on
    /// without this consumer.
    pub app: Duration,
    /// In one transaction.
    pub commit: Duration,
    /// Without any broker.
    pub broker_gone: Duration,
    /// Outside the group while input waits.
    pub out_of_group: Duration,
    /// In the group, with input waiting, and no message handled.
    pub stalled: Duration,
}

impl Limits {
    /// Derives the limits from the two time-outs that Kafka enforces.
    #[must_use]
    pub(crate) fn new(max_poll_interval: Duration, transaction_timeout: Duration) -> Self {
        let out_of_group = max_poll_interval + GROUP_MARGIN;
        Self {
            turn: TURN,
            app: max_poll_interval,
            commit: transaction_timeout + COMMIT_MARGIN,
            broker_gone: BROKER_GONE,
            out_of_group,
            stalled: out_of_group,
        }
    }
}

/// Answers one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Green or red.
    pub ok: bool,
    /// Why it is red; one sentence for each loop and cause.
    pub reasons: Vec<String>,
}

impl From<Verdict> for nubium_host::http::Report {
    fn from(verdict: Verdict) -> Self {
        Self { ok: verdict.ok, reasons: verdict.reasons }
    }
}

/// Holds both verdicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    /// Red when a restart is needed.
    pub live: Verdict,
    /// Red when the app does not work now, for whatever reason.
    pub ready: Verdict,
}

/// Judges all loops of a process. One red loop makes the process red.
///
/// No loops at all means that the process is still starting: live, not ready.
#[must_use]
pub(crate) fn judge(pulses: &[PulseSnapshot], now: u64, limits: &Limits) -> Health {
    let (mut dead, mut waiting) = (Vec::new(), Vec::new());
    for (number, pulse) in pulses.iter().enumerate() {
        let view = View { pulse, now, limits };
        dead.extend(view.causes_of_death().into_iter().map(|why| format!("Loop {number} {why}")));
        waiting.extend(view.not_ready().map(|why| format!("Loop {number} {why}")));
    }
    if pulses.is_empty() {
        waiting.push("The app is starting.".into());
    }
    let live = Verdict { ok: dead.is_empty(), reasons: dead.clone() };
    let reasons: Vec<String> = dead.into_iter().chain(waiting).collect();
    Health { live, ready: Verdict { ok: reasons.is_empty(), reasons } }
}

/// One pulse as seen now.
struct View<'a> {
    pulse: &'a PulseSnapshot,
    now: u64,
    limits: &'a Limits,
}

impl View<'_> {
    fn causes_of_death(&self) -> Vec<String> {
        if self.pulse.group == Group::Left {
            // A stop has a time-out of its own.
            return Vec::new();
        }
        [self.wedged(), self.app_too_long(), self.commit_too_long(), self.no_broker()]
            .into_iter()
            .chain([self.out_of_group(), self.stalled()])
            .flatten()
            .collect()
    }

    fn wedged(&self) -> Option<String> {
        let since = self.pulse.app_since.is_none().then_some(self.pulse.turn);
        self.over(since, self.limits.turn, "made no turn", ": it is wedged in a call")
    }

    fn app_too_long(&self) -> Option<String> {
        let why = ": past max.poll.interval.ms its partitions go to others";
        self.over(self.pulse.app_since, self.limits.app, "is in the app function", why)
    }

    fn commit_too_long(&self) -> Option<String> {
        let why = ": the brokers have given it up";
        self.over(self.pulse.commit_since, self.limits.commit, "is in one transaction", why)
    }

    fn no_broker(&self) -> Option<String> {
        let (since, limit) = (self.pulse.broker_gone_since, self.limits.broker_gone);
        self.over(since, limit, "reaches no broker", ": check the brokers and the network")
    }

    fn out_of_group(&self) -> Option<String> {
        let outside = matches!(self.pulse.group, Group::Starting | Group::Joining);
        if !outside || !self.could_work() {
            return None;
        }
        // Both must have lasted: input may have come long after the group was left.
        let since = self.pulse.input_since?.max(self.pulse.group_since).max(self.pulse.wait_until);
        let why = " while input waits";
        self.over(Some(since), self.limits.out_of_group, "is out of its group", why)
    }

    fn stalled(&self) -> Option<String> {
        let busy = self.pulse.app_since.is_some() || self.pulse.commit_since.is_some();
        if self.pulse.group != Group::Member || busy || !self.could_work() {
            return None;
        }
        let since = self.pulse.input_since?.max(self.pulse.group_since);
        let since = since.max(self.pulse.progress).max(self.pulse.wait_until);
        self.over(Some(since), self.limits.stalled, "handled no message", " while input waits")
    }

    /// Tells whether nothing outside holds the loop up: each of these has a rule or a wait of its
    /// own.
    fn could_work(&self) -> bool {
        self.pulse.broker_gone_since.is_none()
            && self.pulse.registry_gone_since.is_none()
            && self.pulse.recovering_since.is_none()
    }

    fn not_ready(&self) -> impl Iterator<Item = String> {
        let pulse = self.pulse;
        let too_long = self.limits.out_of_group.as_millis();
        let group = match pulse.group {
            Group::Starting => Some("is starting: not a member of its group yet.".to_owned()),
            Group::Left => Some("has left its group: it is stopping.".to_owned()),
            // A rebalance is part of normal work until it takes too long.
            Group::Joining if u128::from(self.age(pulse.group_since)) > too_long => {
                Some(format!("is joining its group for {}.", self.seconds(pulse.group_since)))
            }
            Group::Joining | Group::Member => None,
        };
        let gone = (pulse.input_gone_until > self.now)
            .then(|| "misses an input topic, or a part of one: its log names it.".to_owned());
        let waits = |since: Option<u64>, what: &str| {
            since.map(|since| format!("{what} for {}.", self.seconds(since)))
        };
        [
            group,
            gone,
            waits(pulse.broker_gone_since, "reaches no broker"),
            waits(pulse.registry_gone_since, "waits for the schema registry"),
            waits(pulse.recovering_since, "is recovering"),
        ]
        .into_iter()
        .flatten()
    }

    /// Returns the sentence when something has lasted longer than its limit.
    fn over(&self, since: Option<u64>, limit: Duration, what: &str, why: &str) -> Option<String> {
        let since = since?;
        let over = u128::from(self.age(since)) > limit.as_millis();
        let (seconds, limit) = (self.seconds(since), limit.as_secs());
        over.then(|| format!("{what} for {seconds} (limit {limit} s){why}."))
    }

    fn age(&self, since: u64) -> u64 {
        self.now.saturating_sub(since)
    }

    fn seconds(&self, since: u64) -> String {
        format!("{} s", self.age(since) / 1000)
    }
}
