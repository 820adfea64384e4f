//! Reads a request's body within its bounds: bytes, time, and the bytes of all bodies together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refusal;

/// Bounds bodies.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Bytes of one body.
    pub bytes: usize,
    /// How long it may take to arrive.
    pub time: Duration,
    /// A permit for each byte of all bodies that are being handled.
    pub in_flight: Arc<Semaphore>,
}

/// A body, and its share of what may be in flight, which it gives back on drop.
#[derive(Debug)]
pub struct Held {
    /// Bytes.
    pub bytes: Bytes,
    _share: Share,
}

impl Held {
    pub(super) fn new(bytes: Vec<u8>, share: Share) -> Self {
        Self { bytes: bytes.into(), _share: share }
    }
}

/// What one body has of the bytes that may be in flight.
#[derive(Debug)]
pub(super) struct Share(OwnedSemaphorePermit);

impl Share {
    pub(super) fn new(bounds: &Bounds) -> Result<Self, Refusal> {
        take(&bounds.in_flight, 0).map(Self)
    }

    pub(super) fn grow(&mut self, bounds: &Bounds, bytes: usize) -> Result<(), Refusal> {
        self.0.merge(take(&bounds.in_flight, bytes)?);
        Ok(())
    }
}

/// Reads a whole body. What is too large is refused before it is read, if it says how large it is.
///
/// # Errors
/// 400, 408, 413 or 503; the connection is then closed.
pub async fn read(headers: &HeaderMap, body: Body, bounds: &Bounds) -> Result<Held, Refusal> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared = declared.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if declared > bounds.bytes as u64 {
        return Err(too_large(bounds));
    }
    let read = tokio::time::timeout(bounds.time, collect(body, declared as usize, bounds)).await;
    read.unwrap_or_else(|_| {
        let detail = format!("the body did not arrive within {:?}", bounds.time);
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, detail).closing())
    })
}

async fn collect(mut body: Body, declared: usize, bounds: &Bounds) -> Result<Held, Refusal> {
    let mut share = Share::new(bounds)?;
    let mut bytes = Vec::with_capacity(declared.min(64 * 1024));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let detail = format!("the body broke off: {error}");
            Refusal::new(StatusCode::BAD_REQUEST, detail).closing()
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > bounds.bytes {
            return Err(too_large(bounds));
        }
        share.grow(bounds, data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(Held::new(bytes, share))
}

fn take(in_flight: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
    let count = u32::try_from(bytes).unwrap_or(u32::MAX);
    Arc::clone(in_flight).try_acquire_many_owned(count).map_err(|_| {
        let detail = "too much is being received at the moment; try again";
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        refusal.retry_after(Duration::from_secs(1)).closing()
    })
}

pub(super) fn too_large(bounds: &Bounds) -> Refusal {
    let detail = format!("the body is larger than {} bytes", bounds.bytes);
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail).closing()
}
