//! Topics and partitions as small values.

use std::collections::HashSet;
use std::fmt;
use std::sync::Mutex;

static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// The name of a topic, one copy a process, so that it can be handed around without counting
/// references.
///
/// The copy is never freed: a process meets few topics, and they come from its settings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(&'static str);

impl Topic {
    /// Finds or keeps the name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut names = NAMES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let names = names.get_or_insert_default();
        if let Some(known) = names.get(name) {
            return Self(known);
        }
        let kept: &'static str = Box::leak(name.into());
        names.insert(kept);
        Self(kept)
    }

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One partition of one topic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Topic,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition.
    #[must_use]
    pub fn new(topic: &str, partition: i32) -> Self {
        Self { topic: Topic::named(topic), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An offset for each partition, few enough that a list beats a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offsets(Vec<(TopicPartition, i64)>);

impl Offsets {
    /// Sets a partition's offset.
    pub fn set(&mut self, at: TopicPartition, offset: i64) {
        match self.0.iter_mut().find(|(known, _)| *known == at) {
            Some((_, known)) => *known = offset,
            None => self.0.push((at, offset)),
        }
    }

    /// Lowers a partition's offset, or sets it where there is none.
    pub fn lower(&mut self, at: TopicPartition, offset: i64) {
        match self.get(at) {
            Some(known) if known <= offset => {}
            _ => self.set(at, offset),
        }
    }

    /// Reads a partition's offset.
    #[must_use]
    pub fn get(&self, at: TopicPartition) -> Option<i64> {
        self.0.iter().find(|(known, _)| *known == at).map(|(_, offset)| *offset)
    }

    /// Goes through them.
    pub fn iter(&self) -> impl Iterator<Item = (TopicPartition, i64)> + '_ {
        self.0.iter().copied()
    }

    /// Keeps those a test holds for.
    pub fn retain(&mut self, mut keep: impl FnMut(TopicPartition) -> bool) {
        self.0.retain(|(at, _)| keep(*at));
    }

    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets them, keeping the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl FromIterator<(TopicPartition, i64)> for Offsets {
    fn from_iter<I: IntoIterator<Item = (TopicPartition, i64)>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (at, offset)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{at}@{offset}")?;
        }
        Ok(())
    }
}

/// Texts that lie beside committed offsets, which Kafka calls their metadata.
pub type Notes = Vec<(TopicPartition, String)>;

/// Names the changelog of an app's table, as nubium-utils does.
#[must_use]
pub fn changelog_of(app: &str) -> String {
    format!("{app}__changelog")
}
