//! The state and what may be done to it. Pure: times come in, nothing goes out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::compile::Compiled;
use super::deletions::Deletions;
use super::saved::Restored;
use crate::family::{Family, Kind};
use crate::limits::{Bound, PushError, PushLimits, refused};
use crate::path::GroupKey;

/// What the maps and pointers around one family or group take, roughly.
const FAMILY_OVERHEAD: usize = 160;
const GROUP_OVERHEAD: usize = 400;
/// An entry of the index of series.
const SERIES_OVERHEAD: usize = 24;

/// The names and types of the cache's own metrics.
pub(crate) type OwnNames = BTreeMap<&'static str, Kind>;

/// What a push does to the families that its group has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// PUT: all of them go.
    Replace,
    /// POST: those of the same name go.
    Merge,
}

/// All metrics of one grouping key.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) key: Arc<GroupKey>,
    pub(crate) families: BTreeMap<Arc<str>, Arc<Family>>,
    /// When the last push succeeded, in nanoseconds since 1970; 0 is never.
    pub(crate) pushed: u64,
    /// When the last push failed.
    pub(crate) failed: u64,
    /// How long it may stay without a push; zero is for ever, `None` leaves it to the flag.
    pub(crate) expire_after: Option<Duration>,
    pub(super) id: u32,
    series: usize,
    bytes: usize,
}

impl Group {
    /// Returns when anything was last heard of this group.
    pub(crate) fn heard(&self) -> u64 {
        self.pushed.max(self.failed)
    }

    /// Returns the number of its series.
    pub(crate) fn series(&self) -> usize {
        self.series
    }

    fn is_stale(&self, now: u64, default: Duration) -> bool {
        let limit = self.expire_after.unwrap_or(default);
        let age = now.saturating_sub(self.heard());
        !limit.is_zero() && u128::from(age) > limit.as_nanos()
    }
}

/// The families of one name, by the joined labels of their groups.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) kind: Kind,
    pub(crate) members: BTreeMap<Arc<str>, Arc<Family>>,
}

/// Everything that is held, with the indexes that make a push cost its own size alone.
pub(crate) struct State {
    pub(super) own: OwnNames,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    pub(super) names: BTreeMap<Arc<str>, Named>,
    /// Hash of a series' name and labels to the id of its group.
    pub(super) series: HashMap<u64, u32, ahash::RandomState>,
    pub(super) hashes: ahash::RandomState,
    next_id: u32,
    bytes: usize,
    deletions: Deletions,
}

/// All that was held at one moment, in the order of a scrape.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) names: Vec<(Arc<str>, Kind, Vec<Arc<Family>>)>,
    /// The joined labels of every group, and when its pushes last succeeded and failed.
    pub(crate) times: Vec<(Arc<GroupKey>, u64, u64)>,
}

impl State {
    pub(super) fn new(own: OwnNames) -> Self {
        Self {
            own,
            groups: BTreeMap::new(),
            names: BTreeMap::new(),
            series: HashMap::default(),
            hashes: ahash::RandomState::new(),
            next_id: 0,
            bytes: 0,
            deletions: Deletions::default(),
        }
    }

    /// Checks a push and applies it, or changes nothing.
    pub(super) fn push(
        &mut self,
        key: &GroupKey,
        families: Compiled,
        mode: Mode,
        now: u64,
        expire_after: Option<Duration>,
        limits: &PushLimits,
    ) -> Result<(), PushError> {
        self.check(key, &families, mode)?;
        self.check_size(key, &families, mode, limits)?;
        self.apply(key, families, mode);
        if let Some(group) = self.groups.get_mut(key.series()) {
            group.pushed = now;
            group.expire_after = expire_after;
        }
        Ok(())
    }

    /// Notes a failed push. Makes the group if there is room for it.
    pub(super) fn fail(&mut self, key: &GroupKey, now: u64, limits: &PushLimits) {
        let known = self.groups.contains_key(key.series());
        let fits = self.groups.len() < limits.groups && self.bytes < limits.memory;
        if self.is_of_another_key(key) || !(known || fits) {
            return;
        }
        self.group(key).failed = now;
    }

    fn check_size(
        &self,
        key: &GroupKey,
        families: &Compiled,
        mode: Mode,
        limits: &PushLimits,
    ) -> Result<(), PushError> {
        let group = self.groups.get(key.series());
        let (mut series, mut bytes) = match group {
            Some(group) => (group.series, self.bytes),
            None => (0, self.bytes + group_bytes(key)),
        };
        for (name, family) in self.replaced(key, families, mode) {
            series -= family.len();
            bytes -= family_bytes(name, family);
        }
        series += families.iter().map(|(_, family)| family.len()).sum::<usize>();
        bytes += families.iter().map(|(name, family)| family_bytes(name, family)).sum::<usize>();
        if series > limits.series {
            return Err(refused(Bound::Series, "series of this group", series, limits.series));
        }
        if group.is_none() && self.groups.len() >= limits.groups {
            let groups = self.groups.len() + 1;
            return Err(refused(Bound::Groups, "groups", groups, limits.groups));
        }
        // What shrinks is welcome even when the limit was lowered below what is held.
        if bytes > limits.memory && bytes > self.bytes {
            return Err(refused(Bound::Memory, "bytes of all groups", bytes, limits.memory));
        }
        Ok(())
    }

    /// Lists the families of the group that a push will take away.
    pub(super) fn replaced<'a>(
        &'a self,
        key: &GroupKey,
        families: &'a Compiled,
        mode: Mode,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<Family>)> {
        let group = self.groups.get(key.series());
        let all = group.filter(|_| mode == Mode::Replace).into_iter();
        let same = group.filter(|_| mode == Mode::Merge).into_iter();
        let same = same.flat_map(|group| {
            families.iter().filter_map(|(name, _)| group.families.get_key_value(name))
        });
        all.flat_map(|group| group.families.iter()).chain(same)
    }

    fn apply(&mut self, key: &GroupKey, families: Compiled, mode: Mode) {
        let mut old = match mode {
            Mode::Replace => std::mem::take(&mut self.group(key).families),
            Mode::Merge => {
                let group = self.group(key);
                let taken = families.iter().filter_map(|(n, _)| group.families.remove_entry(n));
                taken.collect()
            }
        };
        let replaced: Vec<_> =
            families.into_iter().map(|(n, family)| (old.remove_entry(&n), n, family)).collect();
        for (name, family) in old {
            self.take_out(key, &name, &family);
        }
        for (before, name, family) in replaced {
            match before {
                // The usual push: other values of the same series. No index changes.
                Some((name, before)) if before.has_series_of(&family) => {
                    self.put_again(key, name, &before, family);
                }
                Some((_, before)) => {
                    self.take_out(key, &name, &before);
                    self.put_in(key, name, family);
                }
                None => self.put_in(key, name, family),
            }
        }
    }

    /// Returns the group of a key, which is made if there is none.
    fn group(&mut self, key: &GroupKey) -> &mut Group {
        if !self.groups.contains_key(key.series()) {
            let bytes = group_bytes(key);
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            self.bytes += bytes;
            let group = Group {
                key: Arc::new(key.clone()),
                families: BTreeMap::new(),
                pushed: 0,
                failed: 0,
                expire_after: None,
                id,
                series: 0,
                bytes,
            };
            self.groups.insert(Arc::from(key.series()), group);
        }
        self.groups.get_mut(key.series()).expect("it was inserted just now")
    }

    fn put_in(&mut self, key: &GroupKey, name: Arc<str>, family: Arc<Family>) {
        let bytes = family_bytes(&name, &family);
        self.bytes += bytes;
        let group = self.group(key);
        group.bytes += bytes;
        group.series += family.len();
        let id = group.id;
        let at = self.groups.get_key_value(key.series()).map(|(at, _)| Arc::clone(at));
        let (at, kind) = (at.unwrap_or_else(|| key.series().into()), family.kind);
        for (labels, _) in family.series() {
            self.series.insert(self.hashes.hash_one((&*name, labels)), id);
        }
        // One copy of each name for all groups.
        let name = self.names.get_key_value(&name).map_or(name, |(known, _)| Arc::clone(known));
        let named = self.names.entry(Arc::clone(&name));
        let named = named.or_insert_with(|| Named { kind, members: BTreeMap::new() });
        named.kind = kind;
        named.members.insert(at, Arc::clone(&family));
        self.group(key).families.insert(name, family);
    }

    fn put_again(&mut self, key: &GroupKey, name: Arc<str>, before: &Family, family: Arc<Family>) {
        let (more, less) = (family_bytes(&name, &family), family_bytes(&name, before));
        self.bytes = self.bytes + more - less;
        if let Some(named) = self.names.get_mut(&name) {
            named.kind = family.kind;
            if let Some(member) = named.members.get_mut(key.series()) {
                *member = Arc::clone(&family);
            }
        }
        let group = self.group(key);
        group.bytes = group.bytes + more - less;
        group.families.insert(name, family);
    }

    /// Takes a family out of the indexes; the caller took it out of its group.
    fn take_out(&mut self, key: &GroupKey, name: &Arc<str>, family: &Family) {
        for (labels, _) in family.series() {
            self.series.remove(&self.hashes.hash_one((&**name, labels)));
        }
        if let Some(named) = self.names.get_mut(name) {
            named.members.remove(key.series());
            if named.members.is_empty() {
                self.names.remove(name);
            }
        }
        let bytes = family_bytes(name, family);
        self.bytes -= bytes;
        if let Some(group) = self.groups.get_mut(key.series()) {
            group.bytes -= bytes;
            group.series -= family.len();
        }
    }

    /// Removes a group by the joined labels of its series, if it is of this very key.
    pub(super) fn delete(&mut self, series: &str, exactly: Option<&GroupKey>) {
        let Some(group) = self.groups.get(series) else { return };
        if exactly.is_some_and(|key| *key != *group.key) {
            return;
        }
        let (key, families) = (Arc::clone(&group.key), group.families.clone());
        for (name, family) in &families {
            self.take_out(&key, name, family);
        }
        if let Some(group) = self.groups.remove(series) {
            self.bytes -= group.bytes;
        }
    }

    /// Deletes a group because somebody asked for it: also one that is yet to be restored.
    pub(super) fn delete_for_good(&mut self, key: &GroupKey, now: u64) {
        if !self.is_of_another_key(key) {
            self.deletions.note(key.series(), now);
        }
        self.delete(key.series(), Some(key));
    }

    pub(super) fn wipe(&mut self, now: u64) {
        let mut deletions = std::mem::take(&mut self.deletions);
        deletions.note_all(now);
        *self = Self { deletions, ..Self::new(std::mem::take(&mut self.own)) };
    }

    /// Everything that was to be restored is here.
    pub(super) fn settle(&mut self) {
        self.deletions.close();
    }

    /// Lists groups that nobody pushed to for too long.
    pub(super) fn stale(&self, now: u64, default: Duration) -> Vec<Arc<str>> {
        let stale = self.groups.iter().filter(|(_, group)| group.is_stale(now, default));
        stale.map(|(key, _)| Arc::clone(key)).collect()
    }

    pub(super) fn delete_if_stale(&mut self, key: &str, now: u64, default: Duration) -> bool {
        let stale = self.groups.get(key).is_some_and(|group| group.is_stale(now, default));
        if stale {
            self.delete(key, None);
        }
        stale
    }

    /// Takes a saved group in, unless what is held is as new or it was deleted since.
    pub(super) fn adopt(
        &mut self,
        key: &GroupKey,
        saved: Restored,
        limits: &PushLimits,
    ) -> Result<bool, PushError> {
        let heard = self.groups.get(key.series()).map_or(0, Group::heard);
        let of_saved = saved.pushed.max(saved.failed);
        if heard >= of_saved || self.deletions.cover(key.series(), of_saved) {
            return Ok(false);
        }
        self.check(key, &saved.families, Mode::Replace)?;
        self.check_size(key, &saved.families, Mode::Replace, limits)?;
        self.apply(key, saved.families, Mode::Replace);
        let group = self.group(key);
        group.pushed = saved.pushed;
        group.failed = saved.failed;
        group.expire_after = saved.expire_after;
        Ok(true)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let members = |named: &Named| named.members.values().cloned().collect();
        let names = self.names.iter().map(|(n, named)| (n.clone(), named.kind, members(named)));
        let times =
            self.groups.values().map(|group| (group.key.clone(), group.pushed, group.failed));
        Snapshot { names: names.collect(), times: times.collect() }
    }

    /// Lists the groups, sorted by the joined labels of their series.
    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.values()
    }

    /// Finds a group by the joined labels of its series.
    pub(crate) fn group_of(&self, series: &str) -> Option<&Group> {
        self.groups.get(series)
    }

    /// Returns the number of series that were pushed.
    pub(crate) fn series(&self) -> usize {
        self.series.len()
    }

    /// Estimates the bytes that all groups take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn family_bytes(name: &str, family: &Family) -> usize {
    family.bytes() + name.len() + FAMILY_OVERHEAD + family.len() * SERIES_OVERHEAD
}

fn group_bytes(key: &GroupKey) -> usize {
    let labels: usize = key.labels().iter().map(|(n, v)| n.len() + v.len() + 48).sum();
    GROUP_OVERHEAD + 2 * key.series().len() + labels
}
