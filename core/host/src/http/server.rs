use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::Request;
use axum::response::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::{Layer, Service};

use super::connection;
use super::limits::Limits;
use crate::stop::Stop;

/// Pause after a failed accept, which mostly means that file descriptors ran out: trying again at
/// once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client gets when every connection is taken.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Serves until `stop`, then lets connections finish within [`Limits::drain`] and returns.
///
/// Takes an axum `Router` or any other tower service with the same types. The caller binds the
/// listener, so a port that is taken is its error and a test can use port 0. Axum's own limit for
/// bodies is replaced by [`Limits::body_bytes`].
pub async fn serve<S>(listener: TcpListener, service: S, limits: Limits, stop: Stop)
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let plain = |stream| std::future::ready(Ok::<TcpStream, io::Error>(stream));
    serve_with(listener, plain, service, limits, stop).await;
}

/// Serves as [`serve`] does, on what `handshake` makes of each connection: TLS, say.
///
/// A handshake has [`Limits::header_read`] for itself and holds up no other connection. One that
/// fails ends its connection without a word.
pub async fn serve_with<H, F, T, S>(
    listener: TcpListener,
    handshake: H,
    service: S,
    limits: Limits,
    stop: Stop,
) where
    H: Fn(TcpStream) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<T>> + Send,
    T: AsyncRead + AsyncWrite + Unpin + Send,
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let service = DefaultBodyLimit::max(limits.body_bytes).layer(service);
    let limits = Arc::new(limits);
    let free = Arc::new(Semaphore::new(limits.connections));
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.wait() => break,
            Some(_) = open.join_next(), if !open.is_empty() => {}
            accepted = listener.accept() => match accept(accepted, &free).await {
                Some((stream, permit)) => {
                    let (service, limits, stop) = (service.clone(), limits.clone(), stop.clone());
                    let handshake = handshake.clone();
                    open.spawn(async move {
                        let shaken = tokio::select! {
                            biased;
                            shaken = timeout(limits.header_read, handshake(stream)) => shaken,
                            () = stop.wait() => return,
                        };
                        match shaken {
                            Ok(Ok(io)) => connection::run(io, service, &limits, &stop).await,
                            Ok(Err(error)) => tracing::debug!(%error, "A handshake failed."),
                            Err(_) => tracing::debug!("A handshake took too long."),
                        }
                        drop(permit);
                    });
                }
                None => continue,
            },
        }
    }
    drop(listener);
    // Each connection sees the stop and has the drain time for itself, so this ends.
    while open.join_next().await.is_some() {}
}

/// Takes a connection if one is free; refuses it politely if not.
async fn accept(
    accepted: io::Result<(TcpStream, std::net::SocketAddr)>,
    free: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let stream = match accepted {
        Ok((stream, _)) => stream,
        Err(error) if is_of_the_client(&error) => return None,
        Err(error) => {
            tracing::warn!(%error, "Could not accept a connection; trying again.");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            return None;
        }
    };
    match Arc::clone(free).try_acquire_owned() {
        Ok(permit) => {
            // Responses are small and whole: waiting for more of them only delays probes.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(_) => {
            // A new socket has room for this; whether the client reads it is its own affair.
            let _ = stream.try_write(FULL);
            None
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
