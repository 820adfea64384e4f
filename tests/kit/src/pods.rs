//! Pods of a metrics cache that behave as the test says, and remember what they got.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait::{Look, eventually};

/// Ends a hopeless wait.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a pod does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It takes it: 200.
    Accept,
    /// It answers this status.
    Status(u16),
    /// It reads the request and never answers.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// One pod; it stops to listen when it is dropped.
#[derive(Debug)]
pub struct Pod {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<Request>>,
    stop: AtomicBool,
}

impl Pod {
    /// Starts a pod that accepts.
    ///
    /// # Errors
    /// The address is taken.
    pub fn start(address: SocketAddr) -> Result<Self> {
        Self::serve(TcpListener::bind(address).with_context(|| format!("a pod on {address}"))?)
    }

    /// Starts a pod on each of these addresses, with one port that is free on all of them.
    ///
    /// # Errors
    /// There is none.
    pub fn on_one_port(addresses: &[&str]) -> Result<(u16, Vec<Self>)> {
        for _ in 0..100 {
            let mut pods = Vec::new();
            for address in addresses {
                let ip: IpAddr = address.parse().context("an IP address")?;
                let port = pods.first().map_or(0, |pod: &Self| pod.address.port());
                pods.extend(Self::start(SocketAddr::new(ip, port)));
            }
            if pods.len() == addresses.len() {
                return Ok((pods[0].address.port(), pods));
            }
        }
        bail!("no port is free on all of {addresses:?}")
    }

    fn serve(listener: TcpListener) -> Result<Self> {
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Behaviour::Accept),
            requests: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let address = listener.local_addr()?;
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if of_thread.stop.load(Ordering::Acquire) {
                    return;
                }
                let shared = Arc::clone(&of_thread);
                std::thread::spawn(move || answer(stream, &shared));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says what it does from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    /// Everything it got so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Waits until it has got so many requests, and returns the newest.
    ///
    /// # Errors
    /// It does not get them in time.
    pub fn got(&self, count: usize) -> Result<Request> {
        let what = format!("{count} requests at {}", self.address);
        self.eventually(&what, |requests| requests.len() >= count)
    }

    /// Waits until a condition on its requests holds, and returns the newest.
    ///
    /// # Errors
    /// It does not hold in time.
    pub fn eventually(&self, what: &str, holds: impl Fn(&[Request]) -> bool) -> Result<Request> {
        eventually(what, DEADLINE, || {
            let requests = self.requests();
            match requests.last() {
                Some(newest) if holds(&requests) => Look::Ready(newest.clone()),
                newest => Look::NotYet(format!("{} requests, {newest:?}", requests.len())),
            }
        })
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(mut stream: TcpStream, shared: &Shared) {
    let Ok(request) = read(&mut stream) else { return };
    lock(&shared.requests).push(request);
    let behaviour = *lock(&shared.behaviour);
    let status = match behaviour {
        Behaviour::Accept => 200,
        Behaviour::Status(status) => status,
        Behaviour::Hang => {
            // Until the other side gives up.
            let _ = stream.read(&mut [0]);
            return;
        }
    };
    let text = format!("told to answer {status}\n");
    let length = text.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    );
}

fn read(stream: &mut TcpStream) -> Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let mut word = || words.next().map(str::to_owned).context("a request line");
    let (method, path) = (word()?, word()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(Ok(0), |text| text.parse())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Request { method, path, headers, body: String::from_utf8(body)? })
}
