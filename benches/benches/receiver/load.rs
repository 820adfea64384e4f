//! A bounded load over the loopback interface: connections that stay open, one request each at a
//! time.

use std::fmt::Write as _;
use std::net::TcpStream as Blocking;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What one run gave.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) failed: usize,
}

/// Waits until something listens.
pub(crate) fn wait_for(port: u16) {
    let begun = Instant::now();
    while Blocking::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing listens on {port}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Posts for some time, after a second of warming up.
pub(crate) fn run(port: u16, size: usize, connections: usize, time: Duration) -> Measured {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("runtime");
    let stop = Arc::new(AtomicBool::new(false));
    let counting = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..connections)
        .map(|n| runtime.spawn(post(port, n, size, stop.clone(), counting.clone())))
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    counting.store(true, Ordering::Release);
    let begun = Instant::now();
    std::thread::sleep(time);
    stop.store(true, Ordering::Release);
    let passed = begun.elapsed().as_secs_f64();
    let (mut took, mut failed) = (Vec::new(), 0);
    for task in tasks {
        let (own, own_failed) = runtime.block_on(task).expect("no panic");
        took.extend(own);
        failed += own_failed;
    }
    took.sort_unstable();
    let at = |share: f64| {
        let index = ((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1));
        took.get(index).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    };
    let per_second = (took.len() * size) as f64 / passed;
    Measured { per_second, p50: at(0.5), p99: at(0.99), failed }
}

async fn post(
    port: u16,
    connection: usize,
    size: usize,
    stop: Arc<AtomicBool>,
    counting: Arc<AtomicBool>,
) -> (Vec<Duration>, usize) {
    let requests: Vec<String> = (0..16).map(|n| request(connection * 16 + n, size)).collect();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    stream.set_nodelay(true).expect("set");
    let (mut took, mut failed, mut buffer) = (Vec::new(), 0, vec![0; 64 * 1024]);
    for request in requests.iter().cycle() {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("sent");
        let status = answer(&mut stream, &mut buffer).await;
        if counting.load(Ordering::Acquire) {
            match status {
                200 => took.push(begun.elapsed()),
                _ => failed += 1,
            }
        }
    }
    (took, failed)
}

/// Reads one answer and gives its status.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> u16 {
    let mut read = 0;
    loop {
        let count = stream.read(&mut buffer[read..]).await.expect("an answer");
        assert!(count > 0, "the connection was closed");
        read += count;
        let Some(end) = buffer[..read].windows(4).position(|part| part == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end]).expect("text").to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).expect("a length");
        let length: usize = length.split("\r\n").next().unwrap_or("").parse().expect("a number");
        while read < end + 4 + length {
            read += stream.read(&mut buffer[read..]).await.expect("the rest");
        }
        return head[9..12].parse().expect("a status");
    }
}

fn request(seed: usize, size: usize) -> String {
    let item = |n: usize| {
        format!(
            "{{\"id\":\"contact-{n:08}\",\"email\":\"person.{n}@example.org\",\"name\":\"Person \
             Number {n}\",\"score\":{}.5,\"clicks\":{n},\"active\":true,\"comment\":\"A comment \
             of usual length, as people write them into forms.\"}}",
            n % 100
        )
    };
    let body = match size {
        1 => item(seed),
        _ => {
            let items: Vec<_> = (0..size).map(|n| item(seed * size + n)).collect();
            format!("[{}]", items.join(","))
        }
    };
    let mut request = String::from("POST /forms HTTP/1.1\r\nhost: localhost\r\n");
    let _ = write!(
        request,
        "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    request
}
