//! Words for the tests of the whole program: servers as processes, and requests byte by byte.

#![allow(dead_code, reason = "each test binary uses its share")]

pub(crate) mod browser;
pub(crate) mod certificate;
pub(crate) mod dns;
pub(crate) mod install;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A bound for a broken build, not a measurement.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server process; killed when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) child: Child,
    log: Arc<Mutex<String>>,
}

/// Starts the cache on a free port.
pub(crate) fn cache(flags: &[&str]) -> Server {
    cache_at("127.0.0.1:0", flags)
}

/// Starts the cache on this address.
pub(crate) fn cache_at(address: &str, flags: &[&str]) -> Server {
    let mut child = Command::new(env!("CARGO_BIN_EXE_metrics-cache"))
        .arg(format!("--web.listen-address={address}"))
        .args(flags)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the cache starts");
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    let address = loop {
        line.clear();
        let read = log.read_line(&mut line).expect("a log");
        assert!(read > 0, "the cache ended before it listened");
        if let Some((_, address)) = line.split_once("Listening. address=") {
            break address.trim().parse().expect("an address");
        }
    };
    let kept = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&kept);
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            *keep.lock().expect("no panic") += &(line + "\n");
        }
    });
    Server { address, child, log: kept }
}

/// Starts Debian's Pushgateway, or the one that `PUSHGATEWAY` names, without a file.
pub(crate) fn pushgateway(flags: &[&str]) -> Server {
    pushgateway_with(&[flags, &["--persistence.file="]].concat())
}

/// Starts it with these flags. Debian's build has a file by default.
pub(crate) fn pushgateway_with(flags: &[&str]) -> Server {
    let program = std::env::var_os("PUSHGATEWAY")
        .map(PathBuf::from)
        .unwrap_or_else(|| install::program("prometheus-pushgateway", "prometheus-pushgateway"));
    run_pushgateway(&program, flags)
}

/// Starts the Pushgateway at this place, without a file.
pub(crate) fn pushgateway_of(program: &Path, flags: &[&str]) -> Server {
    run_pushgateway(program, &[flags, &["--persistence.file="]].concat())
}

fn run_pushgateway(program: &Path, flags: &[&str]) -> Server {
    let address = free_address();
    let listen = format!("--web.listen-address={address}");
    start(program, address, &[&[listen.as_str()], flags].concat())
}

/// Returns an address that is free at this moment.
pub(crate) fn free_address() -> SocketAddr {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    port.expect("a free port")
}

/// Starts a program and waits until it listens on the address.
pub(crate) fn start(
    program: &Path,
    address: SocketAddr,
    arguments: &[impl AsRef<OsStr>],
) -> Server {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
    let server = Server { address, child, log: Arc::default() };
    let what = format!("{} answers", program.display());
    eventually(&what, || TcpStream::connect(address).is_ok());
    server
}

impl Server {
    /// Sends one request and returns what comes back.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n", body.len());
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        let mut stream = self.connect();
        // A server that refuses may close before it has read all.
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        let mut chunk = [0; 64 * 1024];
        // Not every server closes when it is asked to.
        while !is_whole(&answer) {
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(length) => answer.extend_from_slice(&chunk[..length]),
            }
        }
        Answer::read(&answer)
    }

    pub(crate) fn put(&self, path: &str, body: &str) -> Answer {
        self.send("PUT", path, &[], body.as_bytes())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn metrics(&self) -> String {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// Returns what was pushed, comparable: sorted lines, times as zero or not, without the server's
    /// own metrics.
    pub(crate) fn pushed(&self) -> Vec<String> {
        // A delete is done later by the Pushgateway; a push waits for it.
        self.put("/metrics/job/barrier", "");
        let text = self.metrics();
        let lines = text.lines().filter(|line| {
            let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
            !["go_", "process_", "pushgateway_", "promhttp_", "metrics_cache_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        let is_time = |series: &str| {
            let name = series.split('{').next().unwrap_or_default();
            name.starts_with("push_") || name.ends_with("_created")
        };
        let mut lines: Vec<_> = lines
            .map(|line| match line.rsplit_once(' ') {
                Some((series, value)) if is_time(series) && value != "0" => {
                    format!("{series} a time")
                }
                _ => line.to_owned(),
            })
            .collect();
        lines.sort();
        lines
    }

    /// Returns the value of one series of the scrape.
    pub(crate) fn value(&self, series: &str) -> Option<String> {
        let text = self.metrics();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        lines.find(|(name, _)| *name == series).map(|(_, value)| value.to_owned())
    }

    /// Sends bytes and returns all that comes until the server closes.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // A server that refuses may close before it has read all.
        let _ = stream.write_all(bytes);
        let mut out = Vec::new();
        let _ = stream.read_to_end(&mut out);
        out
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream
    }

    /// Returns what was logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Returns the resident memory in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).expect("readable");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Asks the process to stop and returns its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
        self.child.wait().expect("ended").code()
    }

    /// Kills the process.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
        let headers: Vec<_> = lines.filter_map(field).collect();
        let chunked = headers.iter().any(|(name, value)| {
            name == "transfer-encoding" && value.eq_ignore_ascii_case("chunked")
        });
        let rest = &bytes[end + 4..];
        let body = if chunked { unchunk(rest) } else { rest.to_vec() };
        Self { status: status.parse().expect("a number"), headers, body }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a line of a head: the name in small letters, and the value.
fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_lowercase(), value.trim().to_owned()))
}

/// Tells whether an answer has all the bytes that its head declares.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let length = head.lines().filter_map(field).find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + 4 + length)
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let line = rest.iter().position(|byte| *byte == b'\n').expect("a chunk size");
        let size = String::from_utf8_lossy(&rest[..line]).trim().to_owned();
        let size = usize::from_str_radix(&size, 16).expect("a number");
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&rest[line + 1..line + 1 + size]);
        rest = &rest[line + 1 + size + 2..];
    }
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
