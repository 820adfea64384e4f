//! The cache and the real Pushgateway, one after the other, under the same load.
//!
//! `cargo bench -p nubium-metrics-cache` prints one table. A push has 50 series: ten counters, ten
//! gauges and two histograms with 15 lines each. `PUSHGATEWAY` names another binary than Debian's;
//! `BENCH_SECONDS` is how long pushes are counted for (10), `BENCH_GROUPS` the numbers of groups
//! (100,5000).
#![allow(clippy::print_stdout, reason = "a table is what this is for")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fmt::Write;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::Server;

const CONNECTIONS: usize = 4;
const SCRAPES: usize = 5;

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let seconds = std::env::var("BENCH_SECONDS").ok().and_then(|it| it.parse().ok()).unwrap_or(10);
    let groups = std::env::var("BENCH_GROUPS").unwrap_or("100,5000".into());
    println!(
        "| server | groups | pushes/s | p99 push ms | scrape ms | gzip scrape ms | scrape MB | \
         RSS MB filled | RSS MB at the end |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for groups in groups.split(',').map(|it| it.trim().parse().expect("BENCH_GROUPS")) {
        let directory = tempfile::tempdir().expect("directory");
        let file = format!("--persistence.file={}", directory.path().join("metrics").display());
        // Filled without checks: with them, the Pushgateway would need half an hour for it.
        let filler = common::pushgateway_with(&[&file, "--push.disable-consistency-check"]);
        fill(&filler, groups);
        assert_eq!(filler.terminate(), Some(0));
        let real = common::pushgateway_with(&[&file]);
        let real = measure("Pushgateway", real, groups, Duration::from_secs(seconds));
        let file = format!("--persistence.file={}", directory.path().join("ours").display());
        let cache = common::cache(&[&file]);
        fill(&cache, groups);
        let ours = measure("metrics-cache", cache, groups, Duration::from_secs(seconds));
        println!(
            "| ratio | {groups} | {:.1} × | | 1/{:.1} | 1/{:.1} | | 1/{:.1} | 1/{:.1} |",
            ours.pushes / real.pushes,
            real.scrape / ours.scrape,
            real.gzip_scrape / ours.gzip_scrape,
            real.filled_kib / ours.filled_kib,
            real.end_kib / ours.end_kib,
        );
    }
}

/// What was measured of one server.
struct Figures {
    pushes: f64,
    scrape: f64,
    gzip_scrape: f64,
    filled_kib: f64,
    end_kib: f64,
}

fn measure(name: &str, server: Server, groups: usize, time: Duration) -> Figures {
    let server = &server;
    let loaded = server.memory_kib();
    let (pushes, p99) = pushes(server, groups, time);
    let (plain, bytes) = scrape(server, "identity");
    let (zipped, _) = scrape(server, "gzip");
    let end = server.memory_kib();
    println!(
        "| {name} | {groups} | {pushes:.1} | {p99:.2} | {plain:.1} | {zipped:.1} | {:.1} | {} | \
         {} |",
        bytes as f64 / 1e6,
        loaded / 1024,
        end / 1024,
    );
    Figures {
        pushes,
        scrape: plain,
        gzip_scrape: zipped,
        filled_kib: loaded as f64,
        end_kib: end as f64,
    }
}

fn fill(server: &Server, groups: usize) {
    let mut client = Client::new(server);
    for group in 0..groups {
        let status = client.put(group, &body(0));
        assert!(matches!(status, 200 | 202), "{status}");
    }
}

/// Pushes from several connections for some time. Returns pushes per second and the 99th
/// percentile of one push in milliseconds.
fn pushes(server: &Server, groups: usize, time: Duration) -> (f64, f64) {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let bodies: Vec<String> = (0..16).map(body).collect();
    let start = Instant::now();
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let work = || {
            let (mut client, mut took) = (Client::new(server), Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let n = next.fetch_add(1, Ordering::Relaxed) as usize;
                let begun = Instant::now();
                assert_eq!(client.put(n % groups, &bodies[n % bodies.len()]), 200);
                took.push(begun.elapsed());
            }
            took
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let per_second = took.len() as f64 / start.elapsed().as_secs_f64();
    took.sort_unstable();
    let p99 = took[took.len() * 99 / 100].as_secs_f64() * 1e3;
    (per_second, p99)
}

/// Returns the median of some scrapes in milliseconds, and the bytes of one.
fn scrape(server: &Server, encoding: &str) -> (f64, usize) {
    let request = format!(
        "GET /metrics HTTP/1.1\r\nhost: t\r\naccept-encoding: {encoding}\r\n\
         connection: close\r\n\r\n"
    );
    let mut took = Vec::new();
    let mut size = 0;
    for _ in 0..SCRAPES {
        let begun = Instant::now();
        size = server.exchange(request.as_bytes()).len();
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    (took[SCRAPES / 2], size)
}

/// Fifty lines of samples.
fn body(seed: usize) -> String {
    let mut out = String::from("# TYPE consumed_total counter\n");
    for n in 0..10 {
        let _ = writeln!(out, "consumed_total{{topic=\"topic-{n}\"}} {}", seed * 1000 + n);
    }
    out += "# TYPE lag gauge\n";
    for n in 0..10 {
        let _ = writeln!(out, "lag{{topic=\"topic\",partition=\"{n}\"}} {}.5", seed + n);
    }
    for name in ["commit_seconds", "app_seconds"] {
        let _ = writeln!(out, "# TYPE {name} histogram");
        for bound in 1..=12 {
            let count = seed + bound;
            let _ = writeln!(out, "{name}_bucket{{le=\"0.{bound:02}\"}} {count}");
        }
        let _ = writeln!(
            out,
            "{name}_bucket{{le=\"+Inf\"}} {0}\n{name}_sum 1.5\n{name}_count {0}",
            seed + 13
        );
    }
    out
}

/// One connection that stays open.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(server: &Server) -> Self {
        let stream = server.connect();
        stream.set_nodelay(true).expect("set");
        stream.set_read_timeout(Some(Duration::from_secs(600))).expect("set");
        Self { stream: BufReader::new(stream) }
    }

    fn put(&mut self, group: usize, body: &str) -> u16 {
        let request = format!(
            "PUT /metrics/job/app-{}/instance/pod-{group} HTTP/1.1\r\nhost: t\r\n\
             content-length: {}\r\n\r\n{body}",
            group % 20,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).expect("sent");
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("an answer");
            if line == "\r\n" {
                break;
            }
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().expect("a status");
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        status
    }
}
