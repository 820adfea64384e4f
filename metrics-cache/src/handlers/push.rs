//! `PUT` and `POST /metrics/job/…`.

use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;

use crate::limits::{Bound, PushError, refused};
use crate::path::{self, GroupKey};
use crate::server::{App, Shared, text};
use crate::store::Mode;
use crate::{cli, proto, text as text_format};

/// A body larger than this is read on a thread for blocking work: it takes a millisecond or more.
const LARGE: usize = 128 * 1024;

/// Takes a push: 200, or 202 when nothing was checked, or 4xx with the reason.
pub(crate) async fn push(app: &Shared, group: &str, mode: Mode, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let key = match path::parse(group, app.store.limits().names) {
        Some(Ok(key)) => key,
        Some(Err(why)) => return text(StatusCode::BAD_REQUEST, why + "\n"),
        None => return text(StatusCode::NOT_FOUND, "404 page not found\n"),
    };
    let mut size = 0;
    let result = take(app, &key, mode, &parts.headers, body, &mut size).await;
    let response = answer(app, &key, result);
    app.telemetry.push(mode == Mode::Replace, size, started.elapsed());
    response
}

async fn take(
    app: &Shared,
    key: &GroupKey,
    mode: Mode,
    headers: &HeaderMap,
    body: Body,
    size: &mut usize,
) -> Result<(), PushError> {
    let expire_after = expire_after(headers).map_err(PushError::Malformed)?;
    let form = Form::of(headers);
    let most = app.store.limits().body_bytes;
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    if let Some(declared) = declared.filter(|declared| *declared > most) {
        return Err(refused(Bound::BodyBytes, "bytes of the body", declared, most));
    }
    let (bytes, budget) = read(body, most, Budget { app: app.clone(), taken: 0 }).await?;
    *size = bytes.len();
    if bytes.len() <= LARGE && form.encoding == Encoding::Identity {
        return parse_and_store(app, key, &bytes, &form, mode, expire_after, budget);
    }
    // Never closed.
    let _turn = app.large.acquire().await;
    let (app, key) = (app.clone(), key.clone());
    let work = tokio::task::spawn_blocking(move || {
        parse_and_store(&app, &key, &bytes, &form, mode, expire_after, budget)
    });
    let failed = |error| PushError::Malformed(format!("cannot read the body: {error}"));
    work.await.map_err(failed)?
}

fn parse_and_store(
    app: &App,
    key: &GroupKey,
    bytes: &[u8],
    form: &Form,
    mode: Mode,
    expire_after: Option<Duration>,
    mut budget: Budget,
) -> Result<(), PushError> {
    let limits = app.store.limits();
    let unpacked;
    let plain = match form.encoding {
        Encoding::Identity => bytes,
        Encoding::Gzip => {
            unpacked = unpack(flate2::read::MultiGzDecoder::new(bytes), "gzip", app, &mut budget)?;
            &unpacked
        }
        Encoding::Snappy => {
            unpacked = unpack(snap::read::FrameDecoder::new(bytes), "snappy", app, &mut budget)?;
            &unpacked
        }
    };
    let body = match form.protobuf {
        true => proto::parse(plain, limits),
        false => text_format::parse(plain, limits),
    };
    match body {
        Ok(body) => app.store.push(key, body, mode, expire_after),
        Err(error) => {
            if matches!(error, PushError::Inconsistent(_)) {
                app.store.fail(key);
            }
            Err(error)
        }
    }
}

fn answer(app: &App, key: &GroupKey, result: Result<(), PushError>) -> Response {
    match result {
        Ok(()) if app.unchecked => StatusCode::ACCEPTED.into_response(),
        Ok(()) => StatusCode::OK.into_response(),
        Err(PushError::Malformed(why)) => {
            tracing::debug!(group = key.series(), why, "Malformed push.");
            text(StatusCode::BAD_REQUEST, why + "\n")
        }
        Err(PushError::Inconsistent(why)) => {
            tracing::warn!(group = key.series(), why, "Inconsistent push.");
            if app.unchecked {
                return StatusCode::ACCEPTED.into_response();
            }
            let why = format!(
                "pushed metrics are invalid or inconsistent with existing metrics: {why}\n"
            );
            text(StatusCode::BAD_REQUEST, why)
        }
        Err(PushError::Refused(bound, why)) => {
            app.telemetry.refused(bound);
            tracing::warn!(group = key.series(), why, "Refused a push.");
            refuse(bound, why)
        }
    }
}

/// 413 when this push is too large, 429 when all together are, 400 for a label.
fn refuse(bound: Bound, why: String) -> Response {
    let status = match bound {
        Bound::BodyBytes | Bound::Series => StatusCode::PAYLOAD_TOO_LARGE,
        Bound::InFlight | Bound::Groups | Bound::Memory => StatusCode::TOO_MANY_REQUESTS,
        Bound::Labels | Bound::LabelName | Bound::LabelValue => StatusCode::BAD_REQUEST,
    };
    let mut response = text(status, why + "\n");
    if matches!(bound, Bound::BodyBytes | Bound::InFlight) {
        // The rest of the body is never read.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    }
    response
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Snappy,
}

/// How a body is written.
struct Form {
    encoding: Encoding,
    protobuf: bool,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let get = |name| {
            let value = headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
            value.unwrap_or_default().to_ascii_lowercase()
        };
        let encoding = match get(header::CONTENT_ENCODING).as_str() {
            "gzip" => Encoding::Gzip,
            "snappy" => Encoding::Snappy,
            _ => Encoding::Identity,
        };
        let kind = get(header::CONTENT_TYPE);
        let mut parts = kind.split(';').map(str::trim);
        let protobuf = parts.next() == Some("application/vnd.google.protobuf") && {
            let parameters: Vec<_> = parts.map(|part| part.replace('"', "")).collect();
            let has = |want: &str| parameters.iter().any(|part| part == want);
            has("encoding=delimited") && has("proto=io.prometheus.client.metricfamily")
        };
        // Anything else is taken for text, as the Pushgateway does.
        Self { encoding, protobuf }
    }
}

/// Reads the header by which a push says how long its group may stay without another.
fn expire_after(headers: &HeaderMap) -> Result<Option<Duration>, String> {
    let Some(value) = headers.get("metrics-cache-expire-after") else { return Ok(None) };
    let value = value.to_str().unwrap_or_default();
    cli::duration(value).map(Some).map_err(|why| format!("Metrics-Cache-Expire-After: {why}"))
}

/// Bytes of bodies that are held at this moment, over all pushes. Gives back what it took.
struct Budget {
    app: Shared,
    taken: usize,
}

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<(), PushError> {
        let (all, limit) = (&self.app.in_flight, self.app.in_flight_limit);
        let all = all.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.taken += bytes;
        match all > limit {
            true => Err(refused(Bound::InFlight, "bytes of bodies in flight", all, limit)),
            false => Ok(()),
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.app.in_flight.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

async fn read(
    mut body: Body,
    most: usize,
    mut budget: Budget,
) -> Result<(Vec<u8>, Budget), PushError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| PushError::Malformed(format!("cannot read the body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > most {
            return Err(refused(Bound::BodyBytes, "bytes of the body", length, most));
        }
        budget.take(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, budget))
}

/// Unpacks a body, as far as the limit allows: a small one may unpack to anything.
fn unpack(
    mut from: impl Read,
    what: &str,
    app: &App,
    budget: &mut Budget,
) -> Result<Vec<u8>, PushError> {
    let most = app.store.limits().body_bytes;
    let (mut out, mut chunk) = (Vec::new(), vec![0; 32 * 1024]);
    loop {
        let read = from
            .read(&mut chunk)
            .map_err(|error| PushError::Malformed(format!("{what}: {error}")))?;
        if read == 0 {
            return Ok(out);
        }
        budget.take(read)?;
        out.extend_from_slice(&chunk[..read]);
        if out.len() > most {
            return Err(refused(Bound::BodyBytes, "bytes of the body", out.len(), most));
        }
    }
}
