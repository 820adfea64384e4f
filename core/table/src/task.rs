//! One partition on its way to be up to date.

use super::changelog::Change;
use super::error::StoreError;
use super::loader::Loader;
use super::now_millis;
use super::place::Place;
use super::reader::{Phase, Role};
use super::source::Bounds;
use super::store::{Identity, Store};
use nubium_topic::TopicPartition;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far a partition has come.
pub(super) enum Stage {
    /// Its store is to be opened.
    Closed { tries: u32, due: Instant },
    /// It is open; where its log ends is to be asked.
    Opened { store: Arc<Store> },
    /// It is read.
    Open {
        store: Arc<Store>,
        loader: Loader,
        /// What is read next.
        next: i64,
        /// Where it is up to date; `None`: to be asked.
        end: Option<i64>,
        /// When it went into the store.
        flushed: Instant,
        /// The position in the store.
        saved: i64,
    },
}

/// A partition that a keeper works on.
pub(super) struct Task {
    pub(super) at: TopicPartition,
    pub(super) role: Role,
    pub(super) ticket: u64,
    pub(super) place: Place,
    pub(super) identity: Identity,
    pub(super) stage: Stage,
    /// It was said that it is up to date.
    pub(super) told: bool,
    rows: u64,
    uncounted: u64,
    from: i64,
    began: Instant,
}

impl Task {
    pub(super) fn new(
        at: TopicPartition,
        role: Role,
        ticket: u64,
        place: Place,
        identity: Identity,
    ) -> Self {
        let began = Instant::now();
        let stage = Stage::Closed { tries: 0, due: began };
        let (told, rows, uncounted, from) = (false, 0, 0, 0);
        Self { at, role, ticket, place, identity, stage, told, rows, uncounted, from, began }
    }

    /// What was followed is ours now: it is up to date at the end that its log has now.
    pub(super) fn promote(&mut self, ticket: u64) {
        (self.role, self.ticket, self.told) = (Role::Active, ticket, false);
        (self.rows, self.began) = (0, Instant::now());
        if let Stage::Open { end, next, .. } = &mut self.stage {
            (*end, self.from) = (None, *next);
        }
    }

    /// When its store is to be tried again.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        match self.stage {
            Stage::Closed { due, .. } => Some(due.saturating_duration_since(now)),
            Stage::Opened { .. } => Some(Duration::ZERO),
            Stage::Open { .. } => None,
        }
    }

    pub(super) fn asks_for_end(&self) -> bool {
        matches!(self.stage, Stage::Opened { .. } | Stage::Open { end: None, .. })
    }

    pub(super) fn open(&mut self, store: Arc<Store>, from: i64, end: i64) {
        let saved = store.position();
        let (loader, flushed) = (Loader::default(), Instant::now());
        self.stage = Stage::Open { store, loader, next: from, end: Some(end), flushed, saved };
        (self.from, self.rows, self.began) = (from, 0, flushed);
    }

    pub(super) fn store(&self) -> Option<&Arc<Store>> {
        match &self.stage {
            Stage::Closed { .. } => None,
            Stage::Opened { store } | Stage::Open { store, .. } => Some(store),
        }
    }

    /// What is to be read next.
    pub(super) fn position(&self) -> Option<i64> {
        match self.stage {
            Stage::Open { next, .. } => Some(next),
            _ => None,
        }
    }

    pub(super) fn end(&self) -> i64 {
        match self.stage {
            Stage::Open { next, end, .. } => end.unwrap_or(next).max(next),
            _ => 0,
        }
    }

    /// Takes a record. One that was read before is passed over: a new start of the reader may
    /// repeat some.
    pub(super) fn take(&mut self, change: &Change<'_>, offset: i64, timestamp: i64, key_id: u32) {
        if let Stage::Open { loader, next, .. } = &mut self.stage
            && offset >= *next
        {
            loader.push(change, timestamp, key_id);
            *next = offset + 1;
            self.rows += 1;
            self.uncounted += 1;
        }
    }

    /// Everything before this offset is read.
    pub(super) fn reached(&mut self, position: i64) {
        if let Stage::Open { next, .. } = &mut self.stage {
            *next = position.max(*next);
        }
    }

    /// What is to be read next is not in the log any more: the store is judged anew.
    pub(super) fn start_over(&mut self) {
        if let Stage::Open { store, .. } = &self.stage {
            self.stage = Stage::Opened { store: Arc::clone(store) };
            self.told = false;
        }
    }

    /// How many records came since the last call.
    pub(super) fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted)
    }

    /// Everything up to the end is read.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Open { next, end: Some(end), .. } if next >= end)
    }

    pub(super) fn is_due(&self, limit: usize, age: Duration) -> bool {
        let Stage::Open { loader, flushed, next, saved, .. } = &self.stage else { return false };
        let old = self.told && next > saved && flushed.elapsed() >= age;
        loader.bytes() >= limit || old
    }

    /// Brings what was read into the store.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        if let Stage::Open { store, loader, next, flushed, saved, .. } = &mut self.stage {
            if loader.bytes() > 0 || next > saved {
                loader.flush(store, *next)?;
            }
            (*flushed, *saved) = (Instant::now(), *next);
        }
        Ok(())
    }

    /// Gives the store away with all that was read; what cannot be written is read again.
    pub(super) fn into_flushed(mut self) -> Option<Arc<Store>> {
        if let Err(error) = self.flush() {
            tracing::warn!(%error, at = %self.at, "The last of the changelog is read again later.");
        }
        self.store().cloned()
    }

    pub(super) fn phase(&self) -> Phase {
        let Stage::Open { next, end, .. } = self.stage else {
            return match self.stage {
                Stage::Closed { .. } => Phase::Waiting,
                _ => Phase::Recovering { rows: 0, rate: 0.0, left: None },
            };
        };
        if self.told {
            return Phase::Ready;
        }
        let took = self.began.elapsed().as_secs_f64().max(0.001);
        let rate = self.rows as f64 / took;
        let offsets = (next - self.from) as f64 / took;
        let left = end.map(|end| (end - next).max(0) as f64 / offsets);
        let left = left.filter(|seconds| seconds.is_finite() && *seconds < 1e6);
        Phase::Recovering { rows: self.rows, rate, left: left.map(Duration::from_secs_f64) }
    }

    pub(super) fn log_done(&self) {
        let took = self.began.elapsed();
        let rate = (self.rows as f64 / took.as_secs_f64().max(0.001)).round();
        tracing::info!(at = %self.at, role = ?self.role, rows = self.rows, ?took, rate,
            "The store is up to date.");
    }
}

/// Where a store goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Read from here.
    Replay(i64),
    /// Drop the rows and read from here, for this reason.
    Rebuild(i64, &'static str),
}

/// Decides where to read a store's changelog from.
pub(super) fn plan(
    store: &Store,
    bounds: &Bounds,
    delete_retention: Option<Duration>,
) -> Result<Plan, StoreError> {
    let saved = store.saved_at()?;
    let age = saved.map(|saved| now_millis().saturating_sub(saved));
    Ok(decide(store.position(), saved.is_some(), age, bounds, delete_retention))
}

fn decide(
    position: i64,
    has_rows: bool,
    age: Option<i64>,
    bounds: &Bounds,
    delete_retention: Option<Duration>,
) -> Plan {
    let Bounds { first, end, .. } = *bounds;
    if position > end && !nubium_host::mutant!("foreign-position-is-trusted") {
        return Plan::Rebuild(
            first,
            "its position is behind the changelog's end: that was created again",
        );
    }
    if has_rows && position < first && !nubium_host::mutant!("gap-is-ignored") {
        return Plan::Rebuild(first, "records it has not seen are not in the changelog any more");
    }
    let retention = delete_retention.map(|r| i64::try_from(r.as_millis()).unwrap_or(i64::MAX));
    let missed = age.zip(retention).is_some_and(|(age, retention)| age > retention);
    if position < end && missed {
        let why = "it is older than delete.retention.ms: deletes may be missed";
        return Plan::Rebuild(first, why);
    }
    Plan::Replay(position.max(first))
}

/// The wait before a store is tried again.
pub(super) fn backoff(tries: u32) -> Duration {
    Duration::from_millis(50 << tries.min(6)).min(Duration::from_secs(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_goes_on_where_it_was_unless_that_would_lie() {
        let bounds = |first, end| Bounds { at: TopicPartition::new("t", 0), first, end };
        let day = Some(Duration::from_secs(86_400));
        let old = Some(100_000_000);
        for (position, has_rows, age, bounds, expected) in [
            (0, false, None, bounds(0, 0), Some(0)),
            (0, false, None, bounds(50, 90), Some(50)),
            (7, true, Some(5), bounds(0, 90), Some(7)),
            (90, true, old, bounds(0, 90), Some(90)),
            (91, true, Some(5), bounds(0, 90), None),
            (7, true, Some(5), bounds(8, 90), None),
            (7, true, old, bounds(0, 90), None),
        ] {
            let planned = decide(position, has_rows, age, &bounds, day);
            match expected {
                Some(from) => assert_eq!(planned, Plan::Replay(from)),
                None => assert!(matches!(planned, Plan::Rebuild(..)), "{position} {planned:?}"),
            }
        }
    }

    #[test]
    fn a_store_that_is_held_is_tried_ever_more_seldom() {
        assert_eq!(backoff(1), Duration::from_millis(100));
        assert_eq!(backoff(50), Duration::from_secs(2));
    }
}
