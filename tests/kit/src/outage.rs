//! A TCP proxy in front of the schema registry that can be down, or answer with an error.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::wait::until;

/// A running proxy; connections are cut on drop.
#[derive(Debug)]
pub struct Outage {
    url: String,
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    upstream: String,
    down: AtomicBool,
    closed: AtomicBool,
    errors_left: AtomicUsize,
    errors_given: AtomicUsize,
    refused: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
}

impl Outage {
    /// Listens in front of a registry, given by its URL.
    ///
    /// # Errors
    /// The URL has no host and port, or there is no free port.
    pub fn before(registry: &str) -> Result<Self> {
        let rest = registry.strip_prefix("http://").context("the registry is not http://")?;
        let (upstream, path) = rest.split_once('/').unwrap_or((rest, ""));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { upstream: upstream.to_owned(), ..Shared::default() });
        let accepting = Arc::clone(&shared);
        thread::Builder::new().name("outage".into()).spawn(move || accepting.accept(&listener))?;
        Ok(Self { url: format!("http://127.0.0.1:{port}/{path}"), port, shared })
    }

    /// The address for the app.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Cuts all connections and takes no new ones.
    pub fn begin(&self) {
        self.shared.down.store(true, Ordering::Release);
        self.shared.cut();
    }

    /// Takes connections again.
    pub fn end(&self) {
        self.shared.down.store(false, Ordering::Release);
    }

    /// Answers the next requests, so many, with status 500. Open connections are cut first, so
    /// that the next request comes on a new one.
    pub fn fail_next(&self, requests: usize) {
        self.shared.errors_left.store(requests, Ordering::Release);
        self.shared.cut();
    }

    /// How many requests were answered with status 500.
    pub fn errors_given(&self) -> usize {
        self.shared.errors_given.load(Ordering::Acquire)
    }

    /// Waits until so many more connections were refused: the app has noticed the outage.
    ///
    /// # Errors
    /// They were not when the deadline passes.
    pub fn noticed(&self, times: usize, deadline: Duration) -> Result<()> {
        let refused = || self.shared.refused.load(Ordering::Acquire);
        let before = refused();
        until("the app to miss the registry", deadline, || refused() >= before + times)
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.cut();
        // Wakes the thread that accepts, so that it sees the end.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn cut(&self) {
        for stream in self.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.closed.load(Ordering::Acquire) {
                return;
            }
            let shared = Arc::clone(self);
            // A connection that fails just ends: the client sees it closed.
            thread::spawn(move || client.and_then(|client| shared.serve(&client)));
        }
    }

    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        if self.down.load(Ordering::Acquire) {
            self.refused.fetch_add(1, Ordering::AcqRel);
            return client.shutdown(Shutdown::Both);
        }
        let take_one = |left: usize| left.checked_sub(1);
        let errors = &self.errors_left;
        if errors.fetch_update(Ordering::AcqRel, Ordering::Acquire, take_one).is_ok() {
            self.errors_given.fetch_add(1, Ordering::AcqRel);
            return answer_500(client);
        }
        let registry = TcpStream::connect(&self.upstream)?;
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.extend([client.try_clone()?, registry.try_clone()?]);
        drop(streams);
        let (mut back_from, mut back_to) = (registry.try_clone()?, client.try_clone()?);
        let back = thread::spawn(move || {
            let copied = io::copy(&mut back_from, &mut back_to);
            let _ = back_to.shutdown(Shutdown::Both);
            copied
        });
        let (mut from, mut to) = (client, &registry);
        let copied = io::copy(&mut from, &mut to);
        let _ = registry.shutdown(Shutdown::Both);
        let _ = back.join();
        copied.map(drop)
    }
}

fn answer_500(mut client: &TcpStream) -> io::Result<()> {
    // The request is read first: closing with unread bytes would reset the connection.
    let mut request = [0; 64 * 1024];
    let _ = client.read(&mut request)?;
    let body = r#"{"error_code":50001,"message":"planned"}"#;
    let length = body.len();
    let head = "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n";
    write!(client, "{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}")?;
    client.shutdown(Shutdown::Write)
}
