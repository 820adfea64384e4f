//! One request: find its route, run its handler, count it.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nubium_host::Stop;
use percent_encoding::percent_decode_str;
use serde_json::Value as Json;
use tokio::sync::Semaphore;

use crate::handlers::{admin, api, delete, metrics, push, status};
use crate::route::{Paths, Route, clean};
use crate::store::{Mode, Store};
use crate::telemetry::Telemetry;
use crate::web::Web;

/// What all handlers share.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) telemetry: Telemetry,
    pub(crate) paths: Paths,
    /// The prefix of links on the page.
    pub(crate) external_prefix: String,
    pub(crate) lifecycle: bool,
    pub(crate) unchecked: bool,
    pub(crate) expire_after: Duration,
    /// Whether the file is read and the peers were asked.
    pub(crate) ready: AtomicBool,
    /// Whether there are peers, which hold the same groups.
    pub(crate) replicated: bool,
    /// Tells this process from its peers.
    pub(crate) instance: String,
    pub(crate) in_flight: AtomicUsize,
    pub(crate) in_flight_limit: usize,
    /// The flags, for the API and the page.
    pub(crate) flags: Json,
    pub(crate) started: u64,
    pub(crate) stop: Stop,
    /// Held while the file is written: there is one temporary file.
    pub(crate) saving: Mutex<()>,
    /// How many large bodies are read at a time: each may take several times its size.
    pub(crate) large: Semaphore,
    /// TLS, users and headers, if a file configures them.
    pub(crate) web: Option<Web>,
}

/// Shared by every request.
pub(crate) type Shared = Arc<App>;

/// Returns the service of all routes.
pub(crate) fn router(app: Shared) -> Router {
    Router::new().fallback(handle).with_state(app)
}

/// The header by which a replica knows itself among the addresses of the headless service.
pub(crate) const INSTANCE_HEADER: &str = "metrics-cache-instance";

async fn handle(State(app): State<Shared>, request: Request) -> Response {
    let Some(web) = &app.web else { return route(&app, request).await };
    let mut response = match web.authorize(request.headers()).await {
        Ok(()) => route(&app, request).await,
        Err(status) => unauthorized(status),
    };
    for (name, value) in &web.current().headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

fn unauthorized(status: StatusCode) -> Response {
    let mut response = text(status, "Unauthorized\n");
    let headers = response.headers_mut();
    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    // The body is never read.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn route(app: &Shared, request: Request) -> Response {
    let method = request.method().clone();
    let path = match percent_decode_str(request.uri().path()).decode_utf8() {
        Ok(path) => path.into_owned(),
        Err(_) => return text(StatusCode::BAD_REQUEST, "the path is not UTF-8\n"),
    };
    let route = app.paths.route(method.as_str(), &path);
    let (handler, mut response) = answer(app, route, &path, request).await;
    if path.starts_with("/api/") {
        api::allow_cross_origin(response.headers_mut());
    }
    if let Some(handler) = handler {
        app.telemetry.request(response.status().as_u16(), handler, name(method.as_str()));
    }
    response
}

/// Returns the name that counts the request, if any, and the response.
async fn answer(
    app: &Shared,
    route: Route<'_>,
    path: &str,
    request: Request,
) -> (Option<&'static str>, Response) {
    let (name, response) = match route {
        Route::Put(group) => ("push", push::push(app, group, Mode::Replace, request).await),
        Route::Post(group) => ("push", push::push(app, group, Mode::Merge, request).await),
        Route::Delete(group) => ("delete", delete::delete(app, group)),
        Route::Scrape => return (None, metrics::scrape(app, request.headers())),
        Route::Own => return (None, metrics::own(app, request.headers())),
        Route::Aggregated => {
            return (None, metrics::aggregated(app, request.uri(), request.headers()));
        }
        Route::Healthy => ("healthy", text(StatusCode::OK, "OK")),
        Route::Ready => ("ready", admin::ready(app)),
        Route::Quit => ("quit", admin::quit(app)),
        Route::ApiStatus => ("api/v1/status", api::status(app)),
        Route::ApiMetrics => ("api/v1/metrics", api::metrics(app)),
        Route::ApiGroups => ("api/v1/groups", api::groups(app)),
        Route::ApiOptions => ("api/v1/options", StatusCode::OK.into_response()),
        Route::Wipe => ("wipe", admin::wipe(app)),
        Route::Page => ("status", status::page(app, request.uri())),
        Route::PageDelete => ("status", status::question(app, request.uri())),
        Route::PageDeleted => ("status", status::delete(app, request).await),
        Route::Style => ("static", status::style()),
        Route::Moved => return (None, moved(&clean(path))),
        Route::Options(allowed) => return (None, options(allowed)),
        Route::Method(allowed) => return (None, method_not_allowed(path, allowed)),
        Route::NotFound => return (None, text(StatusCode::NOT_FOUND, "404 page not found\n")),
    };
    (Some(name), response)
}

/// Answers with plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response {
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, plain, text.into()).into_response()
}

fn moved(to: &str) -> Response {
    let to = percent_encoding::utf8_percent_encode(to, PATH).to_string();
    match HeaderValue::from_str(&to) {
        Ok(to) => (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to)]).into_response(),
        Err(_) => text(StatusCode::BAD_REQUEST, "the path is not clean\n"),
    }
}

/// What a path keeps as it is: all but controls, blanks and what begins a query or an escape.
const PATH: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#').add(b'"');

fn method_not_allowed(path: &str, allowed: &'static str) -> Response {
    let said = match path.ends_with("/-/quit") {
        true => "Only POST or PUT requests allowed.",
        false => "Method Not Allowed\n",
    };
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, said);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

fn options(allowed: &'static str) -> Response {
    ([(header::ALLOW, HeaderValue::from_static(allowed))], StatusCode::OK).into_response()
}

/// Methods come from clients, and a label's values must be few.
fn name(method: &str) -> &'static str {
    match method {
        "GET" => "get",
        "PUT" => "put",
        "POST" => "post",
        "DELETE" => "delete",
        "OPTIONS" => "options",
        _ => "unknown",
    }
}
