//! `GET /`: a page to browse the table with. It needs no JavaScript.

use std::fmt::Write as _;

use axum::extract::{RawQuery, State as FromState};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::{self, PageDocument, PartitionDocument};
use super::query::{Query, escape};
use super::scan::{self, Range};
use super::state::State;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;\
color:#1c2430;background:#fff}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;\
border-bottom:1px solid #d8dee6;vertical-align:top}th{font-weight:600;color:#5a6675}\
td.n{text-align:right;font-variant-numeric:tabular-nums}\
code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}\
input{font:inherit;padding:.3rem .5rem}button{font:inherit;padding:.3rem .9rem}\
.warn{background:#fff4d6;padding:.6rem .8rem;border-left:4px solid #d99a00}\
@media(prefers-color-scheme:dark){body{color:#dfe5ec;background:#12161c}\
th,td{border-color:#2c3540}th{color:#93a0ae}.warn{background:#3a2f10}a{color:#8ab8ff}}";
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

pub(super) async fn page(
    FromState(state): FromState<State>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = state.door.check(&headers) {
        return refused;
    }
    let known = ["prefix", "from", "to", "limit", "page_token"];
    let range = Query::parse(query.as_deref(), &known).and_then(|query| Range::of(&query));
    let range = match range {
        Ok(range) => range,
        Err(wrong) => return answer::error(StatusCode::BAD_REQUEST, &wrong),
    };
    let found = match scan::gather(&state, &range, false).await {
        Ok(found) => found,
        Err(error) => return answer::store_failed(&error),
    };
    let others = state.directory.snapshot().await;
    let mut rows = String::new();
    let here = state.here();
    partition_rows(&mut rows, &here.instance, &here.partitions);
    for instance in others.instances.values() {
        partition_rows(&mut rows, &instance.instance, &instance.partitions);
    }
    let silent = others.silent.iter().map(|(url, why)| {
        format!("<p class=warn>{} does not answer: {}</p>", html(url), html(why))
    });
    let body = render(&state.app, &range, &found, &rows, &silent.collect::<String>());
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, body).into_response()
}

/// `GET /style.css`: how the page looks; open to everyone, as it says nothing.
pub(super) async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, STYLE).into_response()
}

fn render(
    app: &str,
    range: &Range,
    found: &PageDocument,
    partitions: &str,
    silent: &str,
) -> String {
    let mut entries = String::new();
    for entry in &found.entries {
        let time = time(entry.timestamp);
        let value = entry.value.to_string();
        let (link, key, value) = (escape(&entry.key), html(&entry.key), html(&value));
        // Writing to a String cannot fail.
        let _ = write!(
            entries,
            "<tr><td><a href=\"/table/{link}\"><code>{key}</code></a><td><code>{value}</code>\
             <td>{time}<td class=n>{}",
            entry.partition
        );
    }
    if found.entries.is_empty() {
        entries.push_str("<tr><td colspan=4>No entry.");
    }
    let next = found.next_page_token.as_deref().map_or_else(String::new, |token| {
        let parameters = html(&range.parameters(Some(token)));
        format!("<p><a href=\"/?{parameters}\">Next page</a></p>")
    });
    let missing = match found.missing_partitions.as_slice() {
        [] => String::new(),
        missing => format!(
            "<p class=warn>Without the entries of partitions {missing:?}: they recover, or \
             their owner does not answer.</p>"
        ),
    };
    let (app, prefix) = (html(app), html(&range.prefix));
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>{app}: table</title>\
         <link rel=stylesheet href=\"/style.css\"><h1>Table of {app}</h1>\
         <form><label>Keys that begin with <input name=prefix value=\"{prefix}\"></label> \
         <input type=hidden name=limit value={}> <button>Show</button></form>{missing}{silent}\
         <h2>Entries</h2><table><tr><th>Key<th>Value<th>Written<th>Partition{entries}</table>{next}\
         <h2>Partitions</h2><table><tr><th>Partition<th>Instance<th>Role<th>State<th>Rows\
         <th>Position<th>End of changelog{partitions}</table></html>",
        range.limit
    )
}

fn partition_rows(rows: &mut String, instance: &str, partitions: &[PartitionDocument]) {
    for held in partitions {
        let left = held.seconds_left.map_or_else(String::new, |left| format!(", {left} s left"));
        let _ = write!(
            rows,
            "<tr><td class=n>{}<td>{}<td>{}<td>{}{left}<td class=n>{}<td class=n>{}<td class=n>{}",
            held.partition,
            html(instance),
            html(&held.role),
            html(&held.state),
            held.rows,
            held.position,
            held.end
        );
    }
}

fn time(milliseconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(milliseconds);
    time.map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string())
}

/// Makes text harmless within a page.
fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
