//! Who may call from a browser.

use anyhow::Context as _;
use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::settings::Cors;

/// Request headers that need no mention in the settings.
const USUAL: [&str; 5] =
    ["content-type", "authorization", "x-api-key", "idempotency-key", "x-request-id"];

/// Makes the layer that answers preflights and marks answers.
pub(super) fn layer(cors: &Cors) -> anyhow::Result<CorsLayer> {
    let origins = match cors.origins.iter().any(|origin| origin == "*") {
        true => AllowOrigin::any(),
        false => {
            let origins = cors.origins.iter().map(|origin| origin.parse::<HeaderValue>());
            AllowOrigin::list(origins.collect::<Result<Vec<_>, _>>().context("CORS origins")?)
        }
    };
    let headers = USUAL.into_iter().chain(cors.headers.iter().map(String::as_str));
    let headers = headers.map(|name| name.to_ascii_lowercase().parse::<HeaderName>());
    let headers = headers.collect::<Result<Vec<_>, _>>().context("CORS headers")?;
    Ok(CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers)
        .expose_headers([header::RETRY_AFTER])
        .max_age(cors.max_age))
}
