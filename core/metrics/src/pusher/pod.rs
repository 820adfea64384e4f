//! What is known of one pod from push to push.

use super::target::{Job, PushError};
use std::collections::BTreeSet;

/// Remembers whether something works, so that only changes are logged.
#[derive(Debug, Default)]
pub(super) struct Health {
    failing: bool,
}

/// What to tell about a new outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// As before.
    Same,
    /// It fails from now on.
    Fails,
    /// It works again.
    Recovered,
}

impl Health {
    /// Notes an outcome and says what is new about it.
    pub(super) fn note(&mut self, works: bool) -> Change {
        let was_failing = std::mem::replace(&mut self.failing, !works);
        match (was_failing, works) {
            (false, false) => Change::Fails,
            (true, true) => Change::Recovered,
            _ => Change::Same,
        }
    }
}

/// One address of the service.
#[derive(Debug, Default)]
pub(super) struct Pod {
    pub(super) client: Option<reqwest::Client>,
    /// The port that answered last.
    pub(super) port: Option<u16>,
    pub(super) health: Health,
    busy: bool,
    next: Option<Job>,
    /// The round of the newest job it was given.
    round: u64,
}

impl Pod {
    /// Offers a job, and returns it if it is to be sent now. While a push is under way, one of a
    /// later round is left out, unless it is the last; a job is never taken twice.
    pub(super) fn offer(&mut self, job: &Job) -> Option<Job> {
        if self.round >= job.round {
            return None;
        }
        match (self.busy, job.last) {
            (true, false) => None,
            (true, true) => {
                (self.round, self.next) = (job.round, Some(job.clone()));
                None
            }
            (false, _) => {
                (self.round, self.busy) = (job.round, true);
                Some(job.clone())
            }
        }
    }

    /// Ends a push, and returns the job that waited for that.
    pub(super) fn done(&mut self, answer: &Result<u16, PushError>) -> Option<Job> {
        if let Ok(port) = answer {
            self.port = Some(*port);
        }
        self.busy = false;
        let next = self.next.take();
        self.busy = next.is_some();
        next
    }

    /// Says where to push, in order: what answered last first. A service with a cluster IP has one
    /// address and its own port; several addresses are pods.
    pub(super) fn ports(&self, pod_port: u16, service_port: u16, alone: bool) -> Vec<u16> {
        if !alone {
            return vec![pod_port];
        }
        let first = self.port.into_iter();
        let mut seen = BTreeSet::new();
        first.chain([pod_port, service_port]).filter(|port| seen.insert(*port)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(round: u64, last: bool) -> Job {
        Job { round, method: reqwest::Method::PUT, body: "".into(), last }
    }

    #[test]
    fn only_changes_are_told() {
        let mut health = Health::default();
        let outcomes = [true, false, false, true, true, false];
        let told: Vec<_> = outcomes.map(|works| health.note(works)).to_vec();
        let expected = [
            Change::Same,
            Change::Fails,
            Change::Same,
            Change::Recovered,
            Change::Same,
            Change::Fails,
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_busy_pod_misses_rounds_but_never_the_last() {
        let mut pod = Pod::default();
        assert!(pod.offer(&job(1, false)).is_some());
        assert!(pod.offer(&job(2, false)).is_none(), "busy with round 1");
        assert!(pod.done(&Ok(9091)).is_none());
        assert!(pod.offer(&job(3, false)).is_some());
        assert!(pod.offer(&job(4, true)).is_none(), "waits for round 3");
        assert!(pod.offer(&job(4, true)).is_none(), "has it already");
        let last = pod.done(&Err(PushError::NoAnswer("late".into())));
        assert_eq!(last.map(|job| job.round), Some(4));
        assert!(pod.done(&Ok(9091)).is_none());
        assert!(pod.offer(&job(4, true)).is_none(), "never twice");
    }

    #[test]
    fn a_single_address_may_be_a_service_with_its_own_port() {
        let mut pod = Pod::default();
        assert_eq!(pod.ports(9091, 8080, false), [9091]);
        assert_eq!(pod.ports(9091, 8080, true), [9091, 8080]);
        assert_eq!(pod.ports(8080, 8080, true), [8080]);
        pod.done(&Ok(8080));
        assert_eq!(pod.ports(9091, 8080, true), [8080, 9091], "what answered last comes first");
        assert_eq!(pod.ports(9091, 8080, false), [9091], "several addresses are pods");
    }
}
