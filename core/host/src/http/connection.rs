use std::convert::Infallible;
use std::pin::pin;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt};

use super::limits::Limits;
use super::stall::StallLimit;
use crate::stop::Stop;

/// Serves one connection until the client leaves, a limit is passed or a stop is asked for.
///
/// http1 directly, not hyper-util's detection of the protocol: that reads the first bytes with no
/// time-out at all (hyperium/hyper issue 3756).
pub(crate) async fn run<T, S>(stream: T, service: S, limits: &Limits, stop: &Stop)
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let io = TokioIo::new(StallLimit::new(stream, limits.write_stall));
    let handler = service_fn(move |request| answer(service.clone(), request, limits));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes)
        .serve_connection(io, handler);
    let mut connection = pin!(connection);

    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.wait() => None,
        () = sleep(limits.connection_age) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            match timeout(limits.drain, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("Cut a connection that did not drain."),
            }
        }
    };
    if let Err(error) = ended {
        // Every scan of a port ends here, so this is nobody's concern above DEBUG.
        tracing::debug!(%error, "A connection failed.");
    }
}

/// Answers one request within the limits for its time and its body.
async fn answer<S>(
    service: S,
    request: Request<Incoming>,
    limits: &Limits,
) -> Result<Response, Infallible>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
{
    if declared_length(&request) > limits.body_bytes as u64 {
        return Ok(refuse(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let request = request.map(|body| Body::new(Limited::new(body, limits.body_bytes)));
    let answered = timeout(limits.request, service.oneshot(request)).await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Err(_) => return Ok(refuse(StatusCode::REQUEST_TIMEOUT)),
    };
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    Ok(response)
}

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

fn declared_length(request: &Request<Incoming>) -> u64 {
    let value = request.headers().get(header::CONTENT_LENGTH);
    value.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// Answers with the status alone and closes the connection, so that the rest is never read.
fn refuse(status: StatusCode) -> Response {
    (status, [(header::CONNECTION, "close")]).into_response()
}
