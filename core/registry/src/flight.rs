//! Lets many callers wait for one fetch of a schema.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::Inner;
use super::Schema;
use super::registry::{Registry, RegistryError};
use super::wire::SchemaId;

type Outcome = Option<Result<&'static Schema, RegistryError>>;

/// Holds the fetches under way. None is kept when it is over, so an outage is never remembered.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<SchemaId, watch::Receiver<Outcome>>>);

impl Flights {
    fn kept(&self) -> MutexGuard<'_, HashMap<SchemaId, watch::Receiver<Outcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.kept().is_empty()
    }
}

/// Waits for the fetch of a schema, which it starts unless it is under way.
pub(super) async fn fetch(
    codec: &Arc<Inner>,
    registry: &Arc<Registry>,
    id: SchemaId,
) -> Result<&'static Schema, RegistryError> {
    let mut waiting = join(codec, registry, id);
    let outcome = waiting.wait_for(Option::is_some).await.map_err(|_| RegistryError::Stopped)?;
    outcome.clone().unwrap_or(Err(RegistryError::Stopped))
}

fn join(codec: &Arc<Inner>, registry: &Arc<Registry>, id: SchemaId) -> watch::Receiver<Outcome> {
    let mut flights = codec.flights.kept();
    if let Some(schema) = codec.cached(id) {
        return watch::channel(Some(Ok(schema))).1;
    }
    match flights.get(&id) {
        // A fetch whose runtime ended is closed without an outcome.
        Some(waiting) if waiting.has_changed().is_ok() => waiting.clone(),
        _ => {
            let (done, waiting) = watch::channel(None);
            flights.insert(id, waiting.clone());
            let (codec, registry) = (Arc::clone(codec), Arc::clone(registry));
            registry.runtime().clone().spawn(fly(codec, registry, id, done));
            waiting
        }
    }
}

/// Fetches until there is an outcome, or nobody waits for it any longer.
async fn fly(
    codec: Arc<Inner>,
    registry: Arc<Registry>,
    id: SchemaId,
    done: watch::Sender<Outcome>,
) {
    loop {
        // One receiver is the list's own.
        let outcome = registry.fetch(id, || done.receiver_count() > 1).await;
        let mut flights = codec.flights.kept();
        if matches!(outcome, Err(RegistryError::Stopped)) && done.receiver_count() > 1 {
            continue; // Somebody came back just now.
        }
        match &outcome {
            Ok(schema) => codec.insert(id, schema),
            Err(error) => codec.unusable.note(id, error, Instant::now()),
        }
        flights.remove(&id);
        done.send_replace(Some(outcome));
        return;
    }
}
