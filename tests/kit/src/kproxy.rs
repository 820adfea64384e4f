//! A TCP proxy that understands enough of Kafka's protocol to act at an exact request.
//!
//! The broker advertises the proxy's port on a listener of its own, so every connection of a
//! client that bootstraps here goes through here. A [`Rule`] names a frame (`EndTxn`, request
//! side, second one of this client) and what happens at it: it is held, dropped, its connection
//! closed, or a process is killed or stopped at that very moment. The product needs no hooks.
//!
//! The frames of one connection stay in order: a frame that is held holds those behind it.

mod answer;
mod frame;
mod rule;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

pub use answer::{refuse, with_error};
pub use frame::{ApiKey, Frame, Side};
pub use rule::{
    Gate, Rule, Target, Verdict, answer_error, close, delay, duplicate, hold, kill, kill_after,
    lose, orphan, stop,
};

use frame::{RequestHeader, correlation, read_frame, write_frame};

use crate::wait::until;

/// A running proxy; connections are cut on drop.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    upstream: Mutex<Option<u16>>,
    rules: Mutex<Vec<Rule>>,
    counts: Mutex<HashMap<(ApiKey, Side), usize>>,
    streams: Mutex<Vec<TcpStream>>,
    acted: AtomicUsize,
    refusing: AtomicBool,
    closed: AtomicBool,
}

/// An answer that is due: what was asked, in which version, by whom, and how often.
#[derive(Debug, Clone)]
struct Due {
    api: ApiKey,
    version: i16,
    client: String,
    copies: usize,
}

/// What answers are due on a connection, by correlation id.
type Pending = Arc<Mutex<HashMap<i32, Due>>>;

/// Both ends of a connection. Answers may be made here while others come from the broker.
#[derive(Debug)]
struct Ends {
    client: Mutex<TcpStream>,
    broker: Mutex<TcpStream>,
    pending: Pending,
}

impl Ends {
    fn to(&self, side: Side) -> &Mutex<TcpStream> {
        match side {
            Side::Request => &self.broker,
            Side::Response => &self.client,
        }
    }

    fn write(&self, side: Side, bytes: &[u8]) -> io::Result<()> {
        write_frame(&*lock(self.to(side)), bytes)
    }

    /// Carries out what is to become of a frame; answers whether the connection goes on.
    fn carry_out(&self, frame: &Frame, verdict: &Verdict) -> io::Result<bool> {
        match verdict {
            Verdict::Forward | Verdict::ForwardThen(..) => self.write(frame.side, &frame.bytes)?,
            Verdict::Replace(bytes) => self.write(frame.side, bytes)?,
            Verdict::Later(wait) => {
                thread::sleep(*wait);
                self.write(frame.side, &frame.bytes)?;
            }
            Verdict::Twice => {
                let mut pending = lock(&self.pending);
                let due = frame.correlation().and_then(|id| pending.get_mut(&id));
                due.into_iter().for_each(|due| due.copies += 1);
                drop(pending);
                self.write(frame.side, &frame.bytes)?;
                self.write(frame.side, &frame.bytes)?;
            }
            Verdict::Answer(bytes) => {
                if let Some(id) = frame.correlation() {
                    lock(&self.pending).remove(&id);
                }
                self.write(Side::Response, bytes)?;
            }
            Verdict::Drop => {}
            Verdict::Close => return Ok(false),
            Verdict::Orphan(gate) => {
                let _ = lock(&self.client).shutdown(Shutdown::Both);
                gate.pass();
                self.write(frame.side, &frame.bytes)?;
                // A connection that closes at once could take what is not read yet with it.
                thread::sleep(Duration::from_millis(300));
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Proxy {
    /// Listens on a free port. Until [`Proxy::forward_to`], connections are refused.
    ///
    /// # Errors
    /// There is no free port.
    pub fn listen() -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for a proxy")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::Builder::new().name("kproxy".into()).spawn(move || accepting.accept(&listener))?;
        Ok(Self { port, shared })
    }

    /// The port to advertise, and to bootstrap from.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address to bootstrap from.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Names the broker's own port.
    pub fn forward_to(&self, port: u16) {
        *lock(&self.shared.upstream) = Some(port);
    }

    /// Adds a rule. Of several that match a frame the one added first acts; all count it.
    pub fn add(&self, rule: Rule) {
        lock(&self.shared.rules).push(rule);
    }

    /// Removes every rule and forgets what they did. A frame that is held stays held until its
    /// gate opens.
    pub fn clear(&self) {
        lock(&self.shared.rules).clear();
        self.shared.acted.store(0, Ordering::Release);
    }

    /// How often a rule has acted.
    pub fn acted(&self) -> usize {
        self.shared.acted.load(Ordering::Acquire)
    }

    /// How many frames of this kind have come, also those that were dropped.
    pub fn count(&self, api: ApiKey, side: Side) -> usize {
        lock(&self.shared.counts).get(&(api, side)).copied().unwrap_or(0)
    }

    /// Waits until so many frames of this kind have come in all.
    ///
    /// # Errors
    /// They have not when the deadline passes.
    pub fn wait_for(&self, api: ApiKey, side: Side, at_least: usize, by: Duration) -> Result<()> {
        until(&format!("{at_least} of {api:?} {side:?}"), by, || self.count(api, side) >= at_least)
    }

    /// Cuts every connection, and refuses new ones until [`Proxy::mend`].
    pub fn sever(&self) {
        self.shared.refusing.store(true, Ordering::Release);
        self.cut();
    }

    /// Takes connections again.
    pub fn mend(&self) {
        self.shared.refusing.store(false, Ordering::Release);
    }

    /// Cuts every connection; clients may connect again at once.
    pub fn cut(&self) {
        for stream in lock(&self.shared.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.cut();
        // Wakes the thread that accepts, so that it sees the end.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.closed.load(Ordering::Acquire) {
                return;
            }
            // A client that is gone again, or a broker that is down: the connection just ends.
            let _ = client.and_then(|client| self.connect(client));
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let upstream = *lock(&self.upstream);
        let (Some(port), false) = (upstream, self.refusing.load(Ordering::Acquire)) else {
            return client.shutdown(Shutdown::Both);
        };
        let broker = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        lock(&self.streams).extend([client.try_clone()?, broker.try_clone()?]);
        let from = [(client.try_clone()?, Side::Request), (broker.try_clone()?, Side::Response)];
        let ends = Arc::new(Ends {
            client: Mutex::new(client),
            broker: Mutex::new(broker),
            pending: Pending::default(),
        });
        for (from, side) in from {
            let (shared, ends) = (Arc::clone(self), Arc::clone(&ends));
            thread::Builder::new().name("kproxy-pump".into()).spawn(move || {
                // An error ends the connection, as the end of the stream does.
                let _ = shared.pump(&from, side, &ends);
                for stream in [&ends.client, &ends.broker] {
                    let _ = lock(stream).shutdown(Shutdown::Both);
                }
            })?;
        }
        Ok(())
    }

    /// Moves frames until the stream ends or a rule closes it.
    fn pump(&self, mut from: &TcpStream, side: Side, ends: &Ends) -> io::Result<()> {
        while let Some(bytes) = read_frame(&mut from)? {
            let Some(frame) = identify(bytes, side, &ends.pending) else {
                return Err(io::Error::other("a frame that is no request or answer"));
            };
            let Some(frame) = frame else { continue };
            let verdict = self.judge(&frame);
            if !ends.carry_out(&frame, &verdict)? {
                return Ok(());
            }
            verdict.follow();
        }
        Ok(())
    }

    fn judge(&self, frame: &Frame) -> Verdict {
        *lock(&self.counts).entry((frame.api, frame.side)).or_default() += 1;
        let hits: Vec<_> =
            lock(&self.rules).iter_mut().filter_map(|rule| rule.hit(frame)).collect();
        // Outside the lock: an action may wait, and other connections go on meanwhile.
        let Some(act) = hits.first() else { return Verdict::Forward };
        self.acted.fetch_add(1, Ordering::AcqRel);
        lock(act)(frame)
    }
}

/// Says what a frame is. The inner `None`: an answer that the client is not to see, for it did not
/// ask twice. The outer: it is no request, and no answer to one.
#[expect(clippy::option_option, reason = "what is no frame ends the connection")]
fn identify(bytes: Vec<u8>, side: Side, pending: &Pending) -> Option<Option<Frame>> {
    let due = match side {
        Side::Request => {
            let RequestHeader { api, version, correlation, client } = RequestHeader::read(&bytes)?;
            let due = Due { api, version, client, copies: 1 };
            lock(pending).insert(correlation, due.clone());
            due
        }
        Side::Response => {
            let id = correlation(&bytes)?;
            let mut pending = lock(pending);
            let due = pending.get_mut(&id)?;
            due.copies -= 1;
            if due.copies > 0 {
                return Some(None);
            }
            pending.remove(&id)?
        }
    };
    let Due { api, version, client, .. } = due;
    Some(Some(Frame { api, version, side, client, bytes }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
