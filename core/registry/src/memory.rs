//! Hands out schema ids without a registry, for tests in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Schema;
use super::registry::RegistryError;
use super::wire::SchemaId;

/// Stands in for a registry: same text, same id, whatever the subject. Refuses nothing.
#[derive(Debug, Default)]
pub(super) struct MemoryRegistry(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    ids: HashMap<String, SchemaId>,
    subjects: BTreeMap<String, Vec<(SchemaId, &'static Schema)>>,
}

impl MemoryRegistry {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self, subject: &str, schema: &'static Schema) -> SchemaId {
        let mut kept = self.kept();
        let next = SchemaId(u32::try_from(kept.ids.len()).unwrap_or(u32::MAX - 1) + 1);
        let id = *kept.ids.entry(schema.text().into()).or_insert(next);
        let versions = kept.subjects.entry(subject.into()).or_default();
        if !versions.iter().any(|(known, _)| *known == id) {
            versions.push((id, schema));
        }
        id
    }

    pub(super) fn lookup(
        &self,
        subject: &str,
        schema: &'static Schema,
    ) -> Result<SchemaId, RegistryError> {
        let kept = self.kept();
        let versions = kept.subjects.get(subject).into_iter().flatten();
        let mut found = versions.filter(|(_, known)| std::ptr::eq(*known, schema));
        found.next().map(|(id, _)| *id).ok_or_else(|| RegistryError::NotRegistered {
            subject: subject.into(),
            message: "no such schema in memory".into(),
        })
    }

    pub(super) fn latest(
        &self,
        subject: &str,
    ) -> Result<(SchemaId, &'static Schema), RegistryError> {
        let kept = self.kept();
        let newest = kept.subjects.get(subject).and_then(|versions| versions.last()).copied();
        newest.ok_or_else(|| RegistryError::NotRegistered {
            subject: subject.into(),
            message: "no such subject in memory".into(),
        })
    }
}
