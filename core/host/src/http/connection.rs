use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt};

use super::limits::Limits;
use super::rest;
use super::stall::StallLimit;
use crate::stop::Stop;

/// How long a closed connection is still read from, and how much.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

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
    // Boxed, so that hyper can give the stream back whatever the service is.
    let service = Box::new(service);
    let handler = service_fn(move |request| Box::pin(answer(S::clone(&service), request, limits)));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes)
        .serve_connection(io, handler);

    let ended = tokio::select! {
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(ended),
        () = stop.wait() => None,
        () = sleep(limits.connection_age) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            let rest = poll_fn(|cx| connection.poll_without_shutdown(cx));
            match timeout(limits.drain, rest).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("Cut a connection that did not drain."),
            }
        }
    };
    if let Err(error) = ended {
        // Every scan of a port ends here, so this is nobody's concern above DEBUG.
        tracing::debug!(%error, "A connection failed.");
    }
    linger(connection.into_parts().io.into_inner()).await;
}

/// Closes a connection so that its last response arrives: when a socket is closed with bytes unread,
/// such as the body of a request that was refused, the kernel resets it, and the client may never
/// see why. So the end is announced, and what still comes is read for a moment.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let rest = async move {
        stream.shutdown().await?;
        let (mut part, mut left) = ([0; 4096], LINGER_BYTES);
        while left > 0 {
            match stream.read(&mut part).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        Ok::<(), std::io::Error>(())
    };
    // Whatever goes wrong, the connection is over.
    let _ = timeout(LINGER, rest).await;
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
    let (parts, body) = request.into_parts();
    let (body, rest) = rest::returning(body);
    let body = Body::new(Limited::new(body, limits.body_bytes));
    let headers = parts.headers.clone();
    let request = Request::from_parts(parts, body);
    let answered = timeout(limits.request, service.oneshot(request)).await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Err(_) => return Ok(refuse(StatusCode::REQUEST_TIMEOUT)),
    };
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if !rest.finish(&headers).await {
        response.headers_mut().insert(header::CONNECTION, CLOSE);
    }
    Ok(response)
}

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

fn declared_length(request: &Request<Incoming>) -> u64 {
    let value = request.headers().get(header::CONTENT_LENGTH);
    value.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// Answers with the status alone and closes the connection, so that the rest is never read.
fn refuse(status: StatusCode) -> Response {
    (status, [(header::CONNECTION, CLOSE)]).into_response()
}
