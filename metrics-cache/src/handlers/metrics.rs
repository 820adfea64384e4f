//! `GET /metrics`: the scrape.

use std::convert::Infallible;
use std::io::Write;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::aggregate::aggregate;
use crate::labels;
use crate::scrape::{Own, Scrape, Wanted};
use crate::server::Shared;
use crate::store::Snapshot;

/// Answers with all that is held and the cache's own metrics.
pub(crate) fn scrape(app: &Shared, headers: &HeaderMap) -> Response {
    answer(app.store.snapshot(), app.telemetry.gather(&app.store), headers)
}

/// Answers with the cache's own metrics: of several replicas each has its own, while what was
/// pushed is the same in all.
pub(crate) fn own(app: &Shared, headers: &HeaderMap) -> Response {
    answer(Snapshot::default(), app.telemetry.gather(&app.store), headers)
}

/// Answers with sums over the labels of the query `without`, which is `instance` by default.
pub(crate) fn aggregated(app: &Shared, uri: &Uri, headers: &HeaderMap) -> Response {
    let query = super::status::fields(uri.query().unwrap_or_default());
    let given = query.iter().filter(|(name, _)| name == "without");
    let mut without: Vec<&str> = given.flat_map(|(_, names)| names.split(',')).collect();
    if without.is_empty() {
        without.push(labels::INSTANCE);
    }
    answer(aggregate(app.store.snapshot(), &without), Vec::new(), headers)
}

/// Answers in the format and encoding that the client likes best.
fn answer(snapshot: Snapshot, own: Vec<Own>, headers: &HeaderMap) -> Response {
    let accept = text_of(headers, header::ACCEPT);
    let wanted = Wanted::negotiate(&accept);
    let escaping = wanted.escaping.unwrap_or_default();
    let chunks = Scrape::new((wanted.format, escaping), snapshot, own);
    let mut response = match takes_gzip(&text_of(headers, header::ACCEPT_ENCODING)) {
        true => {
            let mut response = stream(Gzip::new(chunks));
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
            response
        }
        false => stream(chunks),
    };
    let headers = response.headers_mut();
    let kind = HeaderValue::try_from(wanted.content_type()).expect("a constant");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    response
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> String {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

/// Makes a body that is produced as the client takes it.
pub(crate) fn stream(chunks: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Response {
    let chunks = chunks.map(|chunk| Ok::<_, Infallible>(Bytes::from(chunk)));
    Body::from_stream(futures::stream::iter(chunks)).into_response()
}

fn takes_gzip(accept: &str) -> bool {
    accept.split(',').any(|clause| {
        let mut parts = clause.split(';').map(str::trim);
        let named = matches!(parts.next(), Some("gzip" | "x-gzip"));
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
            weight == Some(0.0)
        });
        named && !refused
    })
}

/// Compresses chunk by chunk.
struct Gzip<I> {
    chunks: I,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<I> Gzip<I> {
    fn new(chunks: I) -> Self {
        // The fastest: the lines are so alike that more work saves little.
        Self { chunks, encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())) }
    }
}

impl<I: Iterator<Item = Vec<u8>>> Iterator for Gzip<I> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let Some(chunk) = self.chunks.next() else {
                return self.encoder.take()?.finish().ok();
            };
            let encoder = self.encoder.as_mut()?;
            encoder.write_all(&chunk).ok()?;
            if !encoder.get_ref().is_empty() {
                return Some(std::mem::take(encoder.get_mut()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_who_takes_gzip() {
        for (accept, want) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(accept), want, "{accept}");
        }
    }
}
