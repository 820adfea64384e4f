//! Words for the tests of the whole program: servers as processes, and requests byte by byte.

#![allow(dead_code, reason = "each test binary uses its share")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
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
    let mut child = Command::new(env!("CARGO_BIN_EXE_metrics-cache"))
        .arg("--web.listen-address=127.0.0.1:0")
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
    let program = std::env::var("PUSHGATEWAY").unwrap_or("prometheus-pushgateway".into());
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = port.expect("a free port");
    let child = Command::new(&program)
        .arg(format!("--web.listen-address={address}"))
        .args(flags)
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "cannot start `{program}`: {error}. This test compares with the real Pushgateway: \
                 install Debian's package prometheus-pushgateway, or set PUSHGATEWAY to a binary."
            )
        });
    let server = Server { address, child, log: Arc::default() };
    eventually("the Pushgateway answers", || TcpStream::connect(address).is_ok());
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
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n", body.len());
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        Answer::read(&self.exchange(&bytes))
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
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
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
