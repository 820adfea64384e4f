//! What is left of a request's body once it was answered.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How much of a body that nobody asked for is read, and for how long, to keep its connection.
const REST_BYTES: u64 = 64 * 1024;
const REST_TIME: Duration = Duration::from_secs(1);

/// A body that comes back to its connection when the service lets go of it before its end.
pub(super) struct Returning<B: Body> {
    body: Option<B>,
    back: Option<oneshot::Sender<B>>,
}

/// Where a body comes back to.
pub(super) struct Rest<B>(oneshot::Receiver<B>);

/// Splits a body into what the service reads and what its connection learns of the rest.
pub(super) fn returning<B: Body>(body: B) -> (Returning<B>, Rest<B>) {
    let (back, rest) = oneshot::channel();
    (Returning { body: Some(body), back: Some(back) }, Rest(rest))
}

impl<B: Body + Unpin> Rest<B> {
    /// Reads a small rest away. Answers whether the body ended: only then may its connection take
    /// another request (RFC 9112, section 9.3), and a client must be told if it may not, or the
    /// request that it sends next is lost in the closing.
    pub(super) async fn finish(mut self, headers: &HeaderMap) -> bool {
        let mut body = match self.0.try_recv() {
            Ok(body) => body,
            Err(oneshot::error::TryRecvError::Closed) => return true,
            Err(oneshot::error::TryRecvError::Empty) => return false,
        };
        // Reading would make hyper ask for a body that the client holds back until it is asked.
        let held_back = headers.contains_key(header::EXPECT);
        if held_back || body.size_hint().upper().is_none_or(|most| most > REST_BYTES) {
            return false;
        }
        let read = async { while let Some(Ok(_)) = body.frame().await {} };
        timeout(REST_TIME, read).await.is_ok() && body.is_end_stream()
    }
}

impl<B: Body + Unpin> Body for Returning<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl<B: Body> Drop for Returning<B> {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // The connection may be gone, and then nobody needs the rest.
            let _ = back.send(body);
        }
    }
}
