//! `DELETE /metrics/job/…`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::path;
use crate::server::{Shared, text};

/// Removes a group; 202 whether there was one or not.
pub(crate) fn delete(app: &Shared, group: &str) -> Response {
    match path::parse(group, app.store.limits().names) {
        Some(Ok(key)) => {
            app.store.delete(&key);
            StatusCode::ACCEPTED.into_response()
        }
        Some(Err(why)) => text(StatusCode::BAD_REQUEST, why + "\n"),
        None => text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}
