//! Accepts connections and puts the faults in front of the routes.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode, header::AUTHORIZATION};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::oneshot;

use super::fault::Fault;
use super::{Shared, routes};

/// Serves until `stop` fires or its sender is dropped. Connections end with the runtime.
pub(super) fn run(listener: TcpListener, shared: Arc<Shared>, stop: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "The local registry has no runtime."),
    };
    runtime.block_on(async {
        tokio::select! {
            outcome = accept(listener, shared) => {
                if let Err(error) = outcome {
                    tracing::error!(%error, "The local registry stopped.");
                }
            }
            _ = stop => {}
        }
    });
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = routes::router(Arc::clone(&shared));
    loop {
        let (stream, _) = listener.accept().await?;
        let (router, shared) = (router.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let service =
                service_fn(move |request| answer(router.clone(), Arc::clone(&shared), request));
            // An error here is a client that went away, or the fault `Close` at work.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    router: Router,
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (fault, delay, welcome) = {
        let mut faults = shared.faults();
        faults.seen.push(format!("{} {}", request.method(), request.uri().path()));
        let welcome = faults.login.as_ref().is_none_or(|login| logged_in(request.headers(), login));
        (faults.take(), faults.delay, welcome)
    };
    tokio::time::sleep(delay).await;
    match fault {
        Some(Fault::Close) => return Err(io::Error::other("fault: close")),
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::Answer { status, headers, body }) => return injected(status, &headers, body),
        None => {}
    }
    if !welcome {
        return injected(401, &[], r#"{"error_code":401,"message":"Unauthorized"}"#.into());
    }
    let answer: Result<_, Infallible> = TowerToHyperService::new(router).call(request).await;
    Ok(answer.unwrap_or_else(|never| match never {}))
}

fn injected(status: u16, headers: &[(String, String)], body: String) -> io::Result<Response<Body>> {
    let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).map_err(io::Error::other)
}

/// Compares the `Authorization` header with what RFC 7617 makes of the login.
fn logged_in(headers: &HeaderMap, (username, password): &(String, String)) -> bool {
    let expected = format!("Basic {}", base64(format!("{username}:{password}").as_bytes()));
    headers.get(AUTHORIZATION).is_some_and(|given| given.as_bytes() == expected.as_bytes())
}

/// Encodes by the standard alphabet with padding, RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place <= chunk.len() {
                text.push(char::from(ALPHABET[(group >> (18 - 6 * place) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}
