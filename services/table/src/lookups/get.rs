//! `GET /table/{key}`: one entry, from the instance that owns it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State as FromState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nubium_core::table::{PartitionState, Phase, Role};
use tokio::task::JoinSet;

use super::answer::{self, EntryDocument, LocalDocument};
use super::query::{Query, escape};
use super::state::State;

/// How soon a client shall ask again when the owner is about to change.
const SOON: Duration = Duration::from_secs(1);
/// How soon it shall ask again while a store recovers and nobody can say how long.
const LATER: Duration = Duration::from_secs(5);

/// Says what is done about a key. Decided without asking anyone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is settled here: the entry is here, or the others are asked for it.
    Answer,
    /// It is not to be had for so long.
    Wait(&'static str, Duration),
    /// Another instance has the partition.
    Elsewhere(i32),
}

/// Decides by the key's partition and what is here of it.
pub(super) fn decide(
    partition: Option<i32>,
    here: &[PartitionState],
    stale: bool,
    redirected: bool,
) -> Decision {
    let Some(partition) = partition else {
        return Decision::Wait("the table is starting", SOON);
    };
    let held = |role| here.iter().find(|held| held.partition == partition && held.role == role);
    match held(Role::Active) {
        Some(PartitionState { phase: Phase::Ready, .. }) => Decision::Answer,
        Some(PartitionState { phase: Phase::Recovering { left, .. }, .. }) => {
            Decision::Wait("the key's partition is recovering", left.unwrap_or(LATER))
        }
        Some(_) => Decision::Wait("the store of the key's partition is waited for", LATER),
        None if stale && held(Role::Standby).is_some() => Decision::Answer,
        // Whoever sent the client here guessed otherwise, or the partition has just moved.
        None if redirected => Decision::Answer,
        None => Decision::Elsewhere(partition),
    }
}

pub(super) async fn get(
    FromState(state): FromState<State>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = state.door.check(&headers) {
        return refused;
    }
    match find(&state, &key, query.as_deref()).await {
        Ok(response) => response,
        Err(wrong) => answer::error(StatusCode::BAD_REQUEST, &wrong),
    }
}

/// How a key is asked for.
struct Ask<'a> {
    key: &'a str,
    /// A follower's entry is good enough.
    stale: bool,
    /// Another instance has sent the client here.
    redirected: bool,
}

async fn find(state: &State, key: &str, query: Option<&str>) -> Result<Response, String> {
    let query = Query::parse(query, &["stale", "redirected", "local"])?;
    let (stale, redirected) = (query.flag("stale")?, query.flag("redirected")?);
    let ask = Ask { key, stale, redirected };
    let local = query.flag("local")?;
    let here = state.view.partitions();
    let entry = match state.view.get(key) {
        Ok(entry) => entry,
        Err(error) => return Ok(answer::store_failed(&error)),
    };
    // Whoever wrote the message may choose partitions in another way, or frame the key with another
    // schema id, so where a key should be is a guess; where it is, is not.
    let answers = |held: &PartitionState| match held.role {
        Role::Active => held.phase == Phase::Ready,
        Role::Standby => stale,
        Role::Lookup => false,
    };
    let answered = |at| here.iter().any(|held| held.partition == at && answers(held));
    let entry = entry.filter(|entry| answered(entry.partition)).map(EntryDocument::from);
    if local {
        return Ok(answer::document(&LocalDocument { entry, served: state.served() }));
    }
    if let Some(entry) = entry {
        return Ok(answer::document(&entry));
    }
    Ok(match decide(state.view.partition_of(key), &here, stale, redirected) {
        Decision::Answer => ask_others(state, &ask).await,
        Decision::Wait(text, wait) => answer::later(text, wait),
        Decision::Elsewhere(partition) => match state.directory.owner(partition).await {
            Some(owner) => redirect(&owner, &ask),
            None => {
                let text = format!("no instance says that it owns partition {partition}");
                answer::later(&text, SOON)
            }
        },
    })
}

/// Looks for a key that should be here and is not. It is nowhere when every partition was asked.
async fn ask_others(state: &State, ask: &Ask<'_>) -> Response {
    let mut covered = state.served();
    let count = state.view.partition_count();
    let missing = |covered: &BTreeSet<i32>| -> Vec<i32> {
        (0..count).filter(|partition| !covered.contains(partition)).collect()
    };
    if missing(&covered).is_empty() {
        return nowhere();
    }
    let known = state.directory.snapshot().await;
    let path = format!("/table/{}?local=true", escape(ask.key));
    let mut asked = JoinSet::new();
    // All of them: what they serve may be more than they said a moment ago.
    for url in known.instances.keys() {
        let (directory, url, path) = (Arc::clone(&state.directory), url.clone(), path.clone());
        asked.spawn(async move {
            let answer = directory.ask::<LocalDocument>(&url, &path).await;
            (url, answer)
        });
    }
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((url, Ok(there))) => match there.entry {
                Some(entry) if ask.redirected => return answer::document(&entry),
                Some(_) => return redirect(&url, ask),
                None => covered.extend(there.served),
            },
            Ok((url, Err(error))) => {
                tracing::warn!(url, "Another instance said nothing of a key: {error:#}.");
            }
            Err(error) => tracing::warn!(%error, "A question to another instance was lost."),
        }
    }
    match missing(&covered).as_slice() {
        [] => nowhere(),
        missing => {
            let text = format!("the entries of partitions {missing:?} are not to be had now");
            answer::later(&text, SOON)
        }
    }
}

fn nowhere() -> Response {
    answer::error(StatusCode::NOT_FOUND, "there is no entry of this key")
}

/// Sends the client to the owner, once: there it is answered or told to wait.
fn redirect(owner: &str, ask: &Ask<'_>) -> Response {
    let stale = if ask.stale { "&stale=true" } else { "" };
    let location = format!("{owner}/table/{}?redirected=true{stale}", escape(ask.key));
    let Ok(location) = HeaderValue::try_from(location) else {
        return answer::error(StatusCode::BAD_GATEWAY, "the owner's address is no address");
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}
