//! Remembers schemas that the registry has and that no datum can be decoded with.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::registry::RegistryError;
use super::wire::SchemaId;

/// How long the registry is not asked again. A schema does not change, but a proxy may have sent
/// nonsense for one.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Holds them by id. There are no more than the registry has ids.
#[derive(Debug, Default)]
pub(super) struct Unusable(Mutex<HashMap<SchemaId, (Instant, RegistryError)>>);

impl Unusable {
    fn kept(&self) -> MutexGuard<'_, HashMap<SchemaId, (Instant, RegistryError)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers an error if it lies in the schema itself.
    pub(super) fn note(&self, id: SchemaId, error: &RegistryError, now: Instant) {
        if matches!(error, RegistryError::Unusable { .. }) {
            self.kept().insert(id, (now, error.clone()));
        }
    }

    /// Gives the error that the registry need not be asked for again yet.
    pub(super) fn fresh(&self, id: SchemaId, now: Instant) -> Option<RegistryError> {
        let kept = self.kept();
        let (since, error) = kept.get(&id)?;
        (now.saturating_duration_since(*since) < ASK_AGAIN).then(|| error.clone())
    }

    /// Gives the last error there was, however old.
    pub(super) fn last(&self, id: SchemaId) -> Option<RegistryError> {
        self.kept().get(&id).map(|(_, error)| error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_the_schema_is_remembered_for_a_while_and_nothing_else_is() {
        let (unusable, now, id) = (Unusable::default(), Instant::now(), SchemaId(7));
        unusable.note(id, &RegistryError::Stopped, now);
        assert_eq!(unusable.last(id), None);
        let error = RegistryError::Unusable { id, why: "no schema".into() };
        unusable.note(id, &error, now);
        assert_eq!(unusable.fresh(id, now), Some(error.clone()));
        assert_eq!(unusable.fresh(SchemaId(8), now), None);
        assert_eq!(unusable.fresh(id, now + ASK_AGAIN), None);
        assert_eq!(unusable.last(id), Some(error));
    }
}
