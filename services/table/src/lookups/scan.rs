//! `GET /table`: entries by prefix or range, gathered from all instances, page by page.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{RawQuery, State as FromState};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use nubium_core::table::Entry;

use super::answer::{self, EntryDocument, PageDocument};
use super::query::{Query, escape};
use super::state::State;
use super::view::View;

/// How many entries a page has, when nothing is said.
pub(super) const USUAL: usize = 100;
/// How many entries a page has at most.
pub(super) const MOST: usize = 1_000;
const PARAMETERS: [&str; 7] = ["prefix", "from", "to", "limit", "page_token", "local", "partial"];

/// Says which entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) prefix: String,
    /// The first key.
    pub(super) from: Option<String>,
    /// The key behind the last.
    pub(super) to: Option<String>,
    /// The last key of the page before.
    pub(super) after: Option<String>,
    pub(super) limit: usize,
}

impl Range {
    pub(super) fn of(query: &Query) -> Result<Self, String> {
        let text = |name| query.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self {
            prefix: text("prefix").unwrap_or_default(),
            from: text("from"),
            to: text("to"),
            after: text("page_token"),
            limit: query.number("limit", USUAL, MOST)?,
        })
    }

    /// Gives the parameters that ask for the page behind `after`.
    pub(super) fn parameters(&self, after: Option<&str>) -> String {
        let mut text = format!("limit={}", self.limit);
        let prefix = Some(self.prefix.as_str()).filter(|prefix| !prefix.is_empty());
        for (name, value) in [
            ("prefix", prefix),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("page_token", after),
        ] {
            if let Some(value) = value {
                text.push_str(&format!("&{name}={}", escape(value)));
            }
        }
        text
    }
}

/// Entries by key, and whether there are more behind them.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<EntryDocument>,
    pub(super) more: bool,
}

/// Lists entries of the partitions in `served`.
pub(super) fn here(
    view: &dyn View,
    served: &BTreeSet<i32>,
    range: &Range,
) -> anyhow::Result<Found> {
    let inside = |entry: &Entry| range.to.as_ref().is_none_or(|to| entry.key < *to);
    let mut found = Found::default();
    let mut after = range.after.clone();
    if let Some(from) =
        range.from.as_ref().filter(|from| after.as_ref().is_none_or(|after| after < *from))
    {
        let first = match from.starts_with(&range.prefix) {
            true => view.get(from)?.filter(|entry| served.contains(&entry.partition)),
            false => None,
        };
        found.entries.extend(first.filter(inside).map(EntryDocument::from));
        after = Some(from.clone());
    }
    loop {
        // One more than wanted tells whether there are more.
        let scanned = view.scan(&range.prefix, after.as_deref(), range.limit + 1)?;
        let last = scanned.len() <= range.limit;
        after = scanned.last().map(|entry| entry.key.clone());
        for entry in scanned {
            if !inside(&entry) {
                return Ok(cut(found, range.limit));
            }
            // A standby's entries come from their owner.
            if served.contains(&entry.partition) {
                found.entries.push(entry.into());
            }
        }
        if last || found.entries.len() > range.limit {
            return Ok(cut(found, range.limit));
        }
    }
}

/// Keeps one page of what was found.
fn cut(mut found: Found, limit: usize) -> Found {
    found.more |= found.entries.len() > limit;
    found.entries.truncate(limit);
    found
}

/// Puts what several instances found in one order. A partition that moves may be in two.
pub(super) fn merge(all: Vec<Found>, limit: usize) -> Found {
    let mut merged = Found { more: all.iter().any(|found| found.more), entries: Vec::new() };
    merged.entries.extend(all.into_iter().flat_map(|found| found.entries));
    merged.entries.sort_by(|a, b| a.key.cmp(&b.key).then(b.timestamp.cmp(&a.timestamp)));
    merged.entries.dedup_by(|later, kept| later.key == kept.key);
    cut(merged, limit)
}

pub(super) async fn scan(
    FromState(state): FromState<State>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = state.door.check(&headers) {
        return refused;
    }
    let wanted = Query::parse(query.as_deref(), &PARAMETERS)
        .and_then(|query| Ok((Range::of(&query)?, query.flag("local")?, query.flag("partial")?)));
    let (range, local, partial) = match wanted {
        Ok(wanted) => wanted,
        Err(wrong) => return answer::error(StatusCode::BAD_REQUEST, &wrong),
    };
    let page = match gather(&state, &range, local).await {
        Ok(page) => page,
        Err(error) => return answer::store_failed(&error),
    };
    if page.missing_partitions.is_empty() || partial || local {
        return answer::document(&page);
    }
    let text = format!(
        "the entries of partitions {:?} are not to be had now: ask again, or add partial=true",
        page.missing_partitions
    );
    answer::later(&text, Duration::from_secs(1))
}

/// Gathers a page: of this instance alone, or of all.
pub(super) async fn gather(
    state: &State,
    range: &Range,
    local: bool,
) -> anyhow::Result<PageDocument> {
    let mut covered = state.served();
    let mut all = vec![here(&*state.view, &covered, range)?];
    if !local {
        for (partitions, found) in ask_others(state, range).await {
            covered.extend(partitions);
            all.push(found);
        }
    }
    let found = merge(all, range.limit);
    let last = found.entries.last().map(|entry| entry.key.clone());
    let next_page_token = last.filter(|_| found.more);
    let next =
        next_page_token.as_deref().map(|token| format!("/table?{}", range.parameters(Some(token))));
    // Before the app has started it is not known how many there are.
    let missing = match state.view.partition_count() {
        0 => vec![0],
        count => (0..count).filter(|partition| !covered.contains(partition)).collect(),
    };
    Ok(PageDocument { entries: found.entries, next_page_token, next, missing_partitions: missing })
}

/// Asks the other instances, all at once; gives what each serves and found.
async fn ask_others(state: &State, range: &Range) -> Vec<(BTreeSet<i32>, Found)> {
    let known = state.directory.snapshot().await;
    let path = format!("/table?{}&local=true", range.parameters(range.after.as_deref()));
    let count = state.view.partition_count();
    let mut asked = tokio::task::JoinSet::new();
    for url in known.instances.keys() {
        let (directory, url, path) = (state.directory.clone(), url.clone(), path.clone());
        asked.spawn(async move {
            let page: anyhow::Result<PageDocument> = directory.ask(&url, &path).await;
            (url, page)
        });
    }
    let mut found = Vec::new();
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((_, Ok(page))) => {
                let missing = |partition: &i32| page.missing_partitions.contains(partition);
                let served = (0..count).filter(|partition| !missing(partition)).collect();
                let more = page.next_page_token.is_some();
                found.push((served, Found { entries: page.entries, more }));
            }
            Ok((url, Err(error))) => {
                tracing::warn!(url, "Another instance gave no entries: {error:#}.");
            }
            Err(error) => tracing::warn!(%error, "A question to another instance was lost."),
        }
    }
    found
}
