//! One request: find its route, know the caller, read the body, produce, answer, count.

pub mod answer;
pub mod body;
mod cors;
mod receive;
mod unpack;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use nubium_host::Stop;

use self::answer::Refusal;
use self::body::Bounds;
use crate::deliver::Delivery;
use crate::gate::Gate;
use crate::rate::Bucket;
use crate::route::Route;
use crate::settings::{Cors, Credential};
use crate::telemetry::Telemetry;
use crate::{auth, items, page};

/// What all requests share.
pub struct App {
    /// What is taken.
    pub routes: Vec<Route>,
    /// Who may call, with the rate of each.
    pub callers: Vec<(Credential, Option<Bucket>)>,
    /// Bounds of bodies.
    pub bounds: Bounds,
    /// Items of one request.
    pub most_items: usize,
    /// Bytes of one record.
    pub largest_record: usize,
    /// The header `last_updated_by`.
    pub last_updated_by: String,
    /// The producer.
    pub delivery: Delivery,
    /// Whether a broker can be reached.
    pub brokers: Arc<Gate>,
    /// Counters.
    pub telemetry: Telemetry,
    /// The request to stop: from then on clients are told to open no more requests here.
    pub stop: Stop,
    /// The description of the interface, as JSON.
    pub openapi: String,
    /// The page to try it, if it is served.
    pub page: Option<String>,
}

/// Returns the service of all routes.
pub fn router(app: Arc<App>, cors: Option<&Cors>) -> anyhow::Result<Router> {
    let router = Router::new().fallback(handle).with_state(app);
    Ok(match cors {
        Some(cors) => router.layer(self::cors::layer(cors)?),
        None => router,
    })
}

/// Answers, and counts every failure, also one that nobody thought of.
async fn handle(State(app): State<Arc<App>>, request: Request) -> Response {
    let started = Instant::now();
    let found = app.routes.iter().position(|r| r.settings.path == request.uri().path());
    let label = found.map_or("(other)", |index| app.routes[index].settings.path.as_str());
    let answered = AssertUnwindSafe(answer(&app, found, request)).catch_unwind().await;
    let response = answered.unwrap_or_else(|_| Err(unforeseen()));
    let mut response = response.unwrap_or_else(|refusal| {
        app.telemetry.failed(refusal.exception());
        let status = refusal.status().as_u16();
        tracing::debug!(path = label, status, detail = refusal.detail(), "Refused a request.");
        refusal.into_response()
    });
    app.telemetry.answered(label, response.status().as_u16(), started.elapsed());
    if app.stop.requested() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn answer(
    app: &Arc<App>,
    found: Option<usize>,
    request: Request,
) -> Result<Response, Refusal> {
    match (request.method(), request.uri().path(), found) {
        (&Method::POST, _, Some(index)) => post(app, index, request).await,
        (&Method::GET | &Method::HEAD, path, _) if page::is_served(app, path) => {
            page::answer(app, path)
        }
        (_, _, Some(_)) => {
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only POST is taken here");
            Err(refusal.with_header(header::ALLOW, "POST"))
        }
        (_, path, None) => {
            let detail = format!("there is no route {path:?}; /openapi.json has those there are");
            Err(Refusal::new(StatusCode::NOT_FOUND, detail))
        }
    }
}

async fn post(app: &Arc<App>, index: usize, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let (headers, route) = (parts.headers, &app.routes[index]);
    let (known, kind) = early_checks(app, route, &headers)?;
    let body = body::read(&headers, body, &app.bounds).await?;
    if !known {
        identify(app, route, &headers, &body.bytes)?;
    }
    // A task of its own: a client that goes away now ends neither the delivery nor its counting,
    // and its body counts as in flight for as long as it takes memory.
    let app = Arc::clone(app);
    let received = tokio::spawn(async move {
        let route = &app.routes[index];
        receive::receive(&app, route, &headers, kind, body).await
    });
    received.await.unwrap_or_else(|_| Err(unforeseen()))
}

/// What a panic is answered with; its own words are in the log.
fn unforeseen() -> Refusal {
    let detail = "an error that nobody thought of; see the receiver's log";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}

/// Everything that needs no body. Answers whether the caller is known already.
fn early_checks(app: &App, route: &Route, headers: &HeaderMap) -> Result<(bool, Kind), Refusal> {
    let callers = || route.settings.auth.iter().map(|index| &app.callers[*index].0);
    let later = callers().any(auth::needs_body);
    if !route.settings.auth.is_empty() && !later {
        identify(app, route, headers, &[])?;
    }
    if let Some(bucket) = &route.bucket {
        allow(bucket, "this route")?;
    }
    let kind = kind(headers)?;
    if !app.brokers.admits(Instant::now()) {
        return Err(unavailable("Kafka cannot be reached at the moment"));
    }
    if !route.gate.admits(Instant::now()) {
        return Err(unavailable("Kafka acknowledges no records of this route at the moment"));
    }
    Ok((!later, kind))
}

/// How a body is written, and how it is packed.
type Kind = (items::Format, items::Coding);

fn kind(headers: &HeaderMap) -> Result<Kind, Refusal> {
    let unsupported = |detail| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    let coding = items::coding(headers).map_err(|detail| {
        // RFC 9110, section 15.5.16.
        unsupported(detail).with_header(header::ACCEPT_ENCODING, items::CODINGS)
    })?;
    Ok((items::format(headers).map_err(unsupported)?, coding))
}

/// Finds out who is calling, and whether they may call that often.
fn identify(app: &App, route: &Route, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let mut why = String::new();
    for index in &route.settings.auth {
        let (credential, bucket) = &app.callers[*index];
        match auth::verify(credential, headers, body, SystemTime::now()) {
            Ok(()) => return bucket.as_ref().map_or(Ok(()), |bucket| allow(bucket, "this caller")),
            Err(reason) => why = reason,
        }
    }
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, why);
    Err(refusal.with_header(header::WWW_AUTHENTICATE, "Bearer"))
}

fn allow(bucket: &Bucket, of: &str) -> Result<(), Refusal> {
    bucket.take(Instant::now()).map_err(|wait| {
        let detail = format!("too many requests for {of}; try again later");
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(wait)
    })
}

fn unavailable(detail: impl Into<String>) -> Refusal {
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail);
    refusal.retry_after(Duration::from_secs(1))
}

fn now_millis() -> i64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
}
