//! `/api/v1`: what is held, as JSON, and the groups for a peer that starts.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as JsonValue, json};

use super::metrics::stream;
use crate::family::{Family, Kind, Value};
use crate::server::{INSTANCE_HEADER, Shared};
use crate::store::{FAILURE_TIME, Group, PUSH_TIME, saved, seconds};
use crate::{labels, number, scrape, time};

/// Lets pages of other origins read the API, as the Pushgateway does.
pub(crate) fn allow_cross_origin(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn success(data: JsonValue) -> Response {
    Json(json!({ "status": "success", "data": data })).into_response()
}

/// Answers with flags, version and start time.
pub(crate) fn status(app: &Shared) -> Response {
    success(json!({
        "flags": app.flags,
        "start_time": time::rfc3339(app.started),
        "build_information": { "version": env!("CARGO_PKG_VERSION") },
    }))
}

/// Answers with every group and its metrics. Numbers are strings, since JSON has no NaN.
pub(crate) fn metrics(app: &Shared) -> Response {
    let groups: Vec<Group> = app.store.read().groups().cloned().collect();
    let groups = groups.into_iter().map(|group| serde_json::to_vec(&one(&group)));
    // One group after the other, so that the whole is never in memory twice.
    let mut first = true;
    let items = groups.filter_map(Result::ok).map(move |mut item| {
        if !std::mem::take(&mut first) {
            item.insert(0, b',');
        }
        item
    });
    let start = std::iter::once(b"{\"status\":\"success\",\"data\":[".to_vec());
    let mut response = stream(start.chain(items).chain(std::iter::once(b"]}".to_vec())));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Answers with every group as the persistence file has it.
pub(crate) fn groups(app: &Shared) -> Response {
    let groups = app.store.read().groups().cloned().collect();
    let mut response = stream(saved::chunks(groups));
    if let Ok(instance) = HeaderValue::from_str(&app.instance) {
        response.headers_mut().insert(INSTANCE_HEADER, instance);
    }
    response
}

fn one(group: &Group) -> JsonValue {
    let mut out = Map::new();
    let labels = labels::borrowed(group.key.labels()).into_iter().collect::<Labels<'_>>();
    out.insert("labels".into(), json!(labels));
    out.insert("last_push_successful".into(), json!(group.failed <= group.pushed));
    for (name, at, help) in [
        (PUSH_TIME, group.pushed, scrape::PUSH_HELP),
        (FAILURE_TIME, group.failed, scrape::FAILURE_HELP),
    ] {
        let sample = json!({
            "labels": pairs(group.key.series()),
            "value": number::text(seconds(at)),
        });
        // A time that is zero was put there with the first push.
        let stamp = time::rfc3339(if at == 0 { group.heard() } else { at });
        let family = json!({ "time_stamp": stamp, "type": "GAUGE", "help": help,
            "metrics": [sample] });
        out.insert(name.into(), family);
    }
    for (name, held) in &group.families {
        out.insert(name.to_string(), family(held));
    }
    out.into()
}

type Labels<'a> = std::collections::BTreeMap<&'a str, &'a str>;

fn pairs(joined: &str) -> JsonValue {
    let pairs = labels::pairs(joined);
    pairs
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect::<Map<_, _>>()
        .into()
}

fn family(family: &Family) -> JsonValue {
    let metrics: Vec<_> = family.series().map(|(labels, value)| metric(labels, value)).collect();
    let kind: Kind = family.kind;
    let mut out = Map::new();
    out.insert("time_stamp".into(), time::rfc3339(family.pushed).into());
    out.insert("type".into(), kind.upper().into());
    if let Some(help) = family.help.as_deref().filter(|help| !help.is_empty()) {
        out.insert("help".into(), help.into());
    }
    out.insert("metrics".into(), metrics.into());
    out.into()
}

fn metric(labels: &str, value: &Value) -> JsonValue {
    let labels = pairs(labels);
    match value {
        Value::Number(value) => json!({ "labels": labels, "value": number::text(*value) }),
        Value::Summary(summary) => json!({
            "labels": labels,
            "quantiles": bounds(&summary.quantiles, number::text),
            "count": summary.count.to_string(),
            "sum": number::text(summary.sum),
        }),
        Value::Histogram(histogram) => json!({
            "labels": labels,
            "buckets": bounds(&histogram.buckets, count),
            "count": count(histogram.count),
            "sum": number::text(histogram.sum),
        }),
    }
}

fn bounds(pairs: &[(f64, f64)], text: impl Fn(f64) -> String) -> JsonValue {
    let pairs = pairs.iter().map(|(bound, value)| (number::text(*bound), text(*value).into()));
    pairs.collect::<Map<_, _>>().into()
}

/// Whole counts are written as integers.
fn count(value: f64) -> String {
    match value.fract() == 0.0 && value.abs() < 9e15 {
        true => format!("{value:.0}"),
        false => number::text(value),
    }
}
