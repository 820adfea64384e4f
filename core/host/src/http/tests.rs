use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};

use super::*;
use crate::stop::Stop;

/// A bound for a broken build. What is waited for comes after the limits of the test's server.
const PATIENCE: Duration = Duration::from_secs(30);
/// A limit that a test runs into on purpose; all others stay at their defaults.
const SHORT: Duration = Duration::from_millis(300);

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// A server on a free port, run as a program would run it, stopped and joined when dropped.
struct Server {
    address: SocketAddr,
    stop: Stop,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    fn start(router: Router, limits: Limits) -> Self {
        let listener = std::net::TcpListener::bind(LOCAL).expect("a free port");
        listener.set_nonblocking(true).expect("non-blocking");
        let (address, stop) = (listener.local_addr().expect("address"), Stop::new());
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("runtime").block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("listener");
                serve(listener, router, limits, stopped).await;
            });
        });
        Self { address, stop, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("time-out set");
        stream
    }

    /// Sends bytes and returns all that comes back until the server closes.
    fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may answer and close before it has read all of it.
        let _ = stream.write_all(request);
        read_all(&mut stream)
    }

    fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        self.exchange(request.as_bytes())
    }

    fn stop(&mut self) {
        self.stop.request("test");
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ends without a panic");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads until the server closes. A reset after the answer is an end too.
fn read_all(stream: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the server neither answered nor closed: {error}"),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

/// Waits for what the server does soon after an event it is not asked about.
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn probes() -> Router {
    Probes::new(Report::green, Report::green, || "up 1\n".into()).router()
}

#[test]
fn answers_probes_with_status_and_reasons() {
    let wedged = Arc::new(AtomicBool::new(false));
    let seen = wedged.clone();
    let live = move || match seen.load(Ordering::SeqCst) {
        true => Report::red("loop 0 made no turn for \"45 s\""),
        false => Report::green(),
    };
    let server = Server::start(
        Probes::new(live, || Report::red("starting"), || "up 1\n".into()).router(),
        Limits::probes(),
    );

    let answer = server.get("/livez");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
    assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
    assert!(answer.contains("x-content-type-options: nosniff\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"reasons":[],"status":"ok"}"#), "{answer}");

    wedged.store(true, Ordering::SeqCst);
    let answer = server.get("/livez");
    assert_eq!(status(&answer), "503");
    let body = r#"{"reasons":["loop 0 made no turn for \"45 s\""],"status":"failing"}"#;
    assert!(answer.ends_with(body), "{answer}");
    assert!(server.get("/readyz").ends_with(r#"{"reasons":["starting"],"status":"failing"}"#));

    let answer = server.get("/metrics");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(answer.ends_with("\r\n\r\nup 1\n"), "{answer}");
}

#[test]
fn refuses_what_it_does_not_know() {
    let server = Server::start(probes(), Limits::probes());
    for (request, want) in [
        ("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "404"),
        ("GET /livez/../etc HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "404"),
        ("GET /%00 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "404"),
        ("POST /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "405"),
        ("BREW /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "405"),
        ("GET /livez HTTP/1.1\r\nno colon\r\n\r\n", "400"),
        // The same length twice, or a length beside chunks: what a smuggled request is made of.
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "400"),
        // HTTP/2 in clear text, and what a TLS client says first.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "none"),
        ("\u{16}\u{3}\u{1}\r\n\r\n", "400"),
    ] {
        assert_eq!(status(&server.exchange(request.as_bytes())), want, "{request:?}");
    }
    assert_eq!(status(&server.get("/livez")), "200");
}

#[test]
fn refuses_too_many_and_too_large_headers() {
    let server = Server::start(probes(), Limits::probes());
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(1000));
    let large = format!("GET /livez HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(200_000));
    for (request, want) in [(many, "431"), (large, "431"), (long, "414")] {
        let answer = server.exchange(request.as_bytes());
        // The server closes with bytes unread, so the answer itself may be lost to a reset.
        assert!([want, "431", "none"].contains(&status(&answer)), "{answer}");
    }
    assert_eq!(status(&server.get("/livez")), "200");
}

#[test]
fn closes_silent_and_slow_connections_while_probes_are_answered() {
    let server = Server::start(probes(), Limits { header_read: SHORT, ..Limits::probes() });
    let mut silent: Vec<_> = (0..200).map(|_| server.connect()).collect();
    let mut slow = server.connect();
    slow.write_all(b"GET /livez HTTP/1.1\r\nx: ").expect("sent");
    eventually("a probe beside 201 open connections", || status(&server.get("/livez")) == "200");
    // All end because the server closes; PATIENCE would make read_all panic.
    silent.iter_mut().for_each(|stream| assert_eq!(read_all(stream), ""));
    read_all(&mut slow);
}

#[test]
fn refuses_connections_above_the_cap_and_recovers() {
    let limits = Limits { connections: 4, ..Limits::probes() };
    let server = Server::start(probes(), limits);
    let taken: Vec<_> = (0..4).map(|_| held(&server)).collect();
    for _ in 0..100 {
        assert_eq!(read_all(&mut server.connect()), String::from_utf8_lossy(FULL_ANSWER));
    }
    drop(taken);
    eventually("a free place", || status(&server.get("/livez")) == "200");
}

const FULL_ANSWER: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A connection that has had an answer, so the server surely counts it, and is kept open.
fn held(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    let mut buffer = [0; 16];
    stream.read_exact(&mut buffer).expect("an answer");
    stream
}

#[test]
fn bounds_bodies_by_size() {
    let server = Server::start(echo(), Limits { body_bytes: 3_000_000, ..Limits::default() });

    // Above axum's own default of 2 MB and within ours.
    let head = format!("{POST}content-length: 2500000\r\n\r\n").into_bytes();
    let fits = [head, vec![b'x'; 2_500_000]].concat();
    assert!(server.exchange(&fits).ends_with("\r\n\r\n2500000"));

    // Declared too long: refused before a byte of it is read.
    let lying = format!("{POST}content-length: 99999999999\r\n\r\n");
    assert_eq!(status(&server.exchange(lying.as_bytes())), "413");

    // Too long without saying so.
    let chunk = [b"100000\r\n".to_vec(), vec![b'x'; 0x10_0000], b"\r\n".to_vec()].concat();
    let head = format!("{POST}transfer-encoding: chunked\r\n\r\n").into_bytes();
    let answer = server.exchange(&[head, chunk.repeat(4)].concat());
    assert!(["413", "none"].contains(&status(&answer)), "{answer}");
}

#[test]
fn bounds_bodies_by_time() {
    let server = Server::start(echo(), Limits { request: SHORT, ..Limits::default() });
    let stuck = format!("{POST}content-length: 10\r\n\r\nabc");
    assert_eq!(status(&server.exchange(stuck.as_bytes())), "408");
}

const POST: &str = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";

fn echo() -> Router {
    Router::new().route("/", post(async |body: Bytes| body.len().to_string()))
}

#[test]
fn drops_a_client_that_reads_nothing() {
    let large = get(async || "x".repeat(64 << 20));
    let router = probes().route("/", large);
    let limits = Limits { write_stall: SHORT, connections: 1, ..Limits::probes() };
    let server = Server::start(router, limits);
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
    stream.read_exact(&mut [0; 1]).expect("the answer starts");
    assert_eq!(status(&server.get("/livez")), "503", "the stalled client has the only place");
    eventually("the stalled client loses it", || status(&server.get("/livez")) == "200");
    assert!(read_all(&mut stream).len() < 64 << 20, "all of it was sent to a client that stalled");
}

#[test]
fn an_old_connection_is_closed_after_its_answer() {
    let server = Server::start(probes(), Limits { connection_age: SHORT, ..Limits::probes() });
    let mut stream = held(&server);
    assert!(read_all(&mut stream).ends_with(r#""status":"ok"}"#), "closed, as read_all returned");
}

#[test]
fn a_stop_finishes_the_answer_at_hand_and_refuses_new_connections() {
    let (entered, wait) = std::sync::mpsc::channel();
    let release = Stop::new();
    let released = release.clone();
    let slow = get(async move || {
        entered.send(()).expect("the test waits");
        released.wait().await;
        "done"
    });
    let limits = Limits { drain: PATIENCE, ..Limits::default() };
    let mut server = Server::start(Router::new().route("/", slow), limits);
    let mut idle = server.connect();
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    wait.recv_timeout(PATIENCE).expect("the request is being handled");
    server.stop.request("test");
    // The idle connection is closed by the stop, so the stop is at work before the release.
    assert_eq!(read_all(&mut idle), "");
    release.request("test");
    let answer = read_all(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
    server.stop();
    assert!(TcpStream::connect(server.address).is_err(), "the port is closed");
}

#[test]
fn the_probe_server_runs_by_itself_and_names_a_taken_port() {
    let probes = Probes::new(Report::green, Report::green, String::new);
    let server = ProbeServer::start(LOCAL.into(), &probes, Limits::probes()).expect("started");
    let address = server.address();
    let taken = ProbeServer::start(address, &probes, Limits::probes()).expect_err("taken");
    assert!(taken.to_string().contains(&address.to_string()), "{taken}");
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").expect("sent");
    stream.shutdown(Shutdown::Write).expect("half closed");
    drop(server);
    assert!(TcpStream::connect(address).is_err(), "dropping it stops it");
}

#[test]
fn a_refusal_arrives_though_the_body_is_still_on_its_way() {
    let limits = Limits { body_bytes: 10, ..Limits::default() };
    let router = Router::new().route("/", post(async |_: Bytes| ""));
    let server = Server::start(router, limits);
    let mut stream = server.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 100000\r\n\r\n")
        .expect("sent");
    let mut first = [0; 1];
    stream.read_exact(&mut first).expect("the answer begins");
    // Without a lingering close these bytes would reset the connection, and the rest be lost.
    stream.write_all(&[b'x'; 100_000]).expect("taken");
    stream.shutdown(Shutdown::Write).expect("closed");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("no reset");
    assert!(rest.starts_with("TTP/1.1 413 "), "{rest}");
}

#[test]
fn a_connection_is_used_again_only_after_the_end_of_a_body_that_nobody_read() {
    let refusing = post(async || axum::http::StatusCode::UNAUTHORIZED);
    let server = Server::start(probes().route("/", refusing), Limits::default());
    let head = |more: &str| format!("POST / HTTP/1.1\r\nhost: x\r\n{more}\r\n\r\n");
    let after = "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

    // A small one that is still on its way is waited for.
    let mut stream = server.connect();
    stream.write_all(head("content-length: 5").as_bytes()).expect("sent");
    thread::sleep(SHORT);
    stream.write_all(format!("bytes{after}").as_bytes()).expect("sent");
    let answers = read_all(&mut stream);
    assert_eq!(status(&answers), "401");
    assert!(answers.contains("HTTP/1.1 200 OK"), "the next request is answered: {answers}");

    // Else the client is told, so that it sends its next request elsewhere.
    for more in [
        "content-length: 200000",
        "content-length: 5\r\nexpect: 100-continue",
        "transfer-encoding: chunked",
        "content-length: 6",
    ] {
        let mut stream = server.connect();
        stream.write_all(head(more).as_bytes()).expect("sent");
        let answer = read_all(&mut stream);
        assert_eq!(status(&answer), "401", "not 100: {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{more}: {answer}");
    }
}
