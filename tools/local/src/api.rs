//! An HTTP API that answers as it is told: for tests of what sends requests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Longer requests are refused: nobody sends them here.
const LONGEST: u64 = 64 << 20;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads the first header of a name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What a request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A status with headers and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Nothing, while the connection stays open.
    Hang,
    /// The end of the connection.
    Close,
}

impl Answer {
    /// A status alone.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), String::new())
    }

    /// A status with a body.
    #[must_use]
    pub fn body(status: u16, body: impl Into<String>) -> Self {
        Self::Status(status, Vec::new(), body.into())
    }
}

type Script = Box<dyn FnMut(&Request, usize) -> Answer + Send>;

struct Shared {
    script: Mutex<Script>,
    requests: Mutex<Vec<Request>>,
    came: Condvar,
    over: AtomicBool,
}

/// A server on a free port of 127.0.0.1; it ends when dropped.
pub struct Api {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Api {
    /// Starts it. `script` is asked about each request and is told how many came before it.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start(script: impl FnMut(&Request, usize) -> Answer + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port for the API")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            requests: Mutex::default(),
            came: Condvar::new(),
            over: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("api".into()).spawn(move || {
            for stream in listener.incoming() {
                if for_thread.over.load(Ordering::Acquire) {
                    break;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&for_thread)) else { continue };
                let serve = move || {
                    // A client that goes away is no trouble here.
                    let _ = serve(&stream, &shared);
                    let _ = stream.shutdown(Shutdown::Both);
                };
                let _ = std::thread::Builder::new().name("api-connection".into()).spawn(serve);
            }
        })?;
        Ok(Self { address, shared })
    }

    /// The server's URL with this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers otherwise from now on.
    pub fn answer(&self, script: impl FnMut(&Request, usize) -> Answer + Send + 'static) {
        *lock(&self.shared.script) = Box::new(script);
    }

    /// Everything that came, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Waits until so many requests have come.
    ///
    /// # Errors
    /// There are fewer when the time is over.
    pub fn wait_for(&self, count: usize, limit: Duration) -> Result<Vec<Request>> {
        let end = Instant::now() + limit;
        let mut requests = lock(&self.shared.requests);
        while requests.len() < count {
            let left = end.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "{} requests of {count} after {limit:?}", requests.len());
            let waited = self.shared.came.wait_timeout(requests, left);
            requests = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(requests.clone())
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection until its end.
fn serve(stream: &TcpStream, shared: &Shared) -> Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        let before = {
            let mut requests = lock(&shared.requests);
            requests.push(request.clone());
            requests.len() - 1
        };
        shared.came.notify_all();
        let answer = (lock(&shared.script))(&request, before);
        let Answer::Status(status, headers, body) = answer else {
            if answer == Answer::Hang {
                // Until the client gives up.
                let _ = reader.read(&mut [0]);
            }
            return Ok(());
        };
        let mut text = format!("HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        (&*stream).write_all((text + "\r\n" + &body).as_bytes())?;
    }
    Ok(())
}

/// Reads one request; `None` at the end of the connection.
fn read(reader: &mut BufReader<&TcpStream>) -> Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { bail!("no HTTP: {line}") };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "the request ends within its head");
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(Ok(0), |(_, length)| length.parse::<u64>())?;
    ensure!(length <= LONGEST, "a body of {length} bytes");
    let mut body = vec![0; usize::try_from(length)?];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { method, path, headers, body }))
}
