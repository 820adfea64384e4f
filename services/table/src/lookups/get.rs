//! `GET /table/{key}`: one entry, from the instance that owns it.

use std::time::Duration;

use axum::extract::{Path, RawQuery, State as FromState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nubium_core::table::{PartitionState, Phase, Role};

use super::answer::{self, EntryDocument};
use super::query::{Query, escape};
use super::state::State;

/// How soon a client shall ask again when the owner is about to change.
const SOON: Duration = Duration::from_secs(1);
/// How soon it shall ask again while a store recovers and nobody can say how long.
const LATER: Duration = Duration::from_secs(5);

/// Says what is done about a key. Decided without asking anyone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The entry is here, or nowhere.
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
        None if redirected => Decision::Wait("the key's partition has just moved", SOON),
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

async fn find(state: &State, key: &str, query: Option<&str>) -> Result<Response, String> {
    let query = Query::parse(query, &["stale", "redirected"])?;
    let (stale, redirected) = (query.flag("stale")?, query.flag("redirected")?);
    let here = state.view.partitions();
    let partition = state.view.partition_of(key);
    let decision = decide(partition, &here, stale, redirected);
    let entry = match state.view.get(key) {
        Ok(entry) => entry,
        Err(error) => return Ok(answer::store_failed(&error)),
    };
    // Whoever chose the partition may have done it in another way; what is owned here is right.
    let owned = |partition: i32| decide(Some(partition), &here, stale, true) == Decision::Answer;
    if let Some(entry) = entry.filter(|entry| owned(entry.partition)) {
        return Ok(answer::document(&EntryDocument::from(entry)));
    }
    Ok(match decision {
        Decision::Answer => answer::error(StatusCode::NOT_FOUND, "there is no entry of this key"),
        Decision::Wait(text, wait) => answer::later(text, wait),
        Decision::Elsewhere(partition) => match state.directory.owner(partition).await {
            Some(owner) => redirect(&owner, key, stale),
            None => {
                let text = format!("no instance says that it owns partition {partition}");
                answer::later(&text, SOON)
            }
        },
    })
}

/// Sends the client to the owner, once: there it is answered or told to wait.
fn redirect(owner: &str, key: &str, stale: bool) -> Response {
    let stale = if stale { "&stale=true" } else { "" };
    let location = format!("{owner}/table/{}?redirected=true{stale}", escape(key));
    let Ok(location) = HeaderValue::try_from(location) else {
        return answer::error(StatusCode::BAD_GATEWAY, "the owner's address is no address");
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}
