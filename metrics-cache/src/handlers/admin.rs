//! `/-/ready`, `/-/quit` and the wipe.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::server::{Shared, text};

/// 200 once the groups of the file and of the peers are there, so that no scrape sees a hole.
pub(crate) fn ready(app: &Shared) -> Response {
    match app.ready.load(Ordering::Acquire) {
        true => text(StatusCode::OK, "OK"),
        false => text(StatusCode::SERVICE_UNAVAILABLE, "Fetching the groups of the peers.\n"),
    }
}

/// Stops the process, if that is switched on.
pub(crate) fn quit(app: &Shared) -> Response {
    if !app.lifecycle {
        return text(StatusCode::FORBIDDEN, "Lifecycle API is not enabled.");
    }
    app.stop.request("asked by HTTP");
    text(StatusCode::OK, "Requesting termination... Goodbye!")
}

/// Removes every group.
pub(crate) fn wipe(app: &Shared) -> Response {
    app.store.wipe();
    tracing::warn!("Removed every group, as the admin API was asked to.");
    StatusCode::ACCEPTED.into_response()
}
