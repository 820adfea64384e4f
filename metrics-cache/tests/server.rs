//! The program as a whole: bodies, limits, files, peers, TLS, users, the page and abuse.

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use common::{Server, cache, eventually};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

const PROTOBUF: &str = "application/vnd.google.protobuf; \
     proto=io.prometheus.client.MetricFamily; encoding=delimited";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn refusals(server: &Server, reason: &str) -> Option<String> {
    server.value(&format!("metrics_cache_refused_pushes_total{{reason=\"{reason}\"}}"))
}

#[test]
fn bodies_come_plain_gzipped_and_as_snappy() {
    let server = cache(&[]);
    let mut snappy = snap::write::FrameEncoder::new(Vec::new());
    snappy.write_all(b"c 3\n").expect("written");
    let snappy = snappy.into_inner().expect("finished");
    let encoded = [("gzip", gzip(b"b 2\n")), ("snappy", snappy), ("identity", b"a 1\n".to_vec())];
    for (encoding, body) in &encoded {
        let headers = [("content-encoding", *encoding)];
        let answer = server.send("POST", "/metrics/job/j", &headers, body);
        assert_eq!(answer.status, 200, "{encoding}: {}", answer.text());
    }
    for (name, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
        let series = format!("{name}{{instance=\"\",job=\"j\"}}");
        assert_eq!(server.value(&series).as_deref(), Some(value));
    }
    for encoding in ["gzip", "snappy"] {
        let headers = [("content-encoding", encoding)];
        assert_eq!(server.send("PUT", "/metrics/job/j", &headers, b"a 1\n").status, 400);
    }
}

#[test]
fn a_scrape_comes_in_the_format_and_encoding_that_is_asked_for() {
    let server = cache(&[]);
    server.put("/metrics/job/j", "# TYPE c_total counter\nc_total 1\n");
    let get = |accept: &str| server.send("GET", "/metrics", &[("accept", accept)], b"");
    let text = get("");
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let open = get("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1");
    assert!(open.header("content-type").is_some_and(|it| it.starts_with("application/openm")));
    assert!(open.text().contains("# TYPE c counter\nc_total{"), "{}", open.text());
    assert!(open.text().ends_with("# EOF\n"));
    let proto = get(PROTOBUF);
    assert_eq!(proto.header("content-type"), Some(PROTOBUF));
    // What comes out in protobuf goes in again.
    let headers = [("content-type", PROTOBUF)];
    let again = cache(&[]).send("PUT", "/metrics/job/other", &headers, &proto.body);
    assert_eq!(again.status, 200, "{}", again.text());
    let zipped = server.send("GET", "/metrics", &[("accept-encoding", "gzip")], b"");
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let mut plain = String::new();
    GzDecoder::new(zipped.body.as_slice()).read_to_string(&mut plain).expect("gzip");
    assert!(plain.contains("c_total{instance=\"\",job=\"j\"} 1\n"));
}

#[test]
fn limits_answer_4xx_say_which_and_count() {
    let server = cache(&[
        "--limit.body-size=64KiB",
        "--limit.samples=3",
        "--limit.labels=4",
        "--limit.label-name-length=9",
        "--limit.label-value-length=9",
        "--limit.groups=2",
    ]);
    let bomb = gzip(&vec![b'#'; 50 << 20]);
    assert!(bomb.len() < 64 << 10);
    let large = "#".repeat(65 << 10);
    let cases: [(&str, &[u8], &str, u16, &str); 6] = [
        ("", large.as_bytes(), "body_size", 413, "--limit.body-size"),
        ("gzip", &bomb, "body_size", 413, "--limit.body-size"),
        ("", b"a 1\nb 1\nc 1\nd 1\n", "samples", 413, "--limit.samples"),
        ("", b"a{b=\"\",c=\"\",d=\"\"} 1\n", "labels", 400, "--limit.labels"),
        ("", b"a{bbbbbbbbbb=\"\"} 1\n", "label_name_length", 400, "--limit.label-name-length"),
        ("", b"a{b=\"1234567890\"} 1\n", "label_value_length", 400, "--limit.label-value-length"),
    ];
    let mut refused = std::collections::HashMap::new();
    for (encoding, body, reason, status, flag) in cases {
        let headers = [("content-encoding", encoding)];
        let answer = server.send("PUT", "/metrics/job/j", &headers, body);
        assert_eq!(answer.status, status, "{reason}: {}", answer.text());
        assert!(answer.text().contains(flag), "{reason}: {}", answer.text());
        let counted = refusals(&server, reason).expect("a series");
        let before = refused.insert(reason, counted.clone()).unwrap_or("0".into());
        assert_ne!(counted, before, "{reason}");
    }
    assert!(!server.metrics().contains("job=\"j\""), "a refused push leaves nothing");
    for job in ["a", "b"] {
        assert_eq!(server.put(&format!("/metrics/job/{job}"), "a 1\n").status, 200);
    }
    let answer = server.put("/metrics/job/c", "a 1\n");
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("10")));
    assert_eq!(refusals(&server, "groups").as_deref(), Some("1"));
}

#[test]
fn stale_groups_go_and_a_push_may_say_when() {
    let server = cache(&["--push.expire-after=300ms"]);
    let stay = [("metrics-cache-expire-after", "1h")];
    assert_eq!(server.send("PUT", "/metrics/job/stays", &stay, b"a 1\n").status, 200);
    assert_eq!(server.put("/metrics/job/goes", "a 1\n").status, 200);
    eventually("the group expires", || !server.metrics().contains("job=\"goes\""));
    assert!(server.metrics().contains("job=\"stays\""));
    assert_eq!(server.value("metrics_cache_expired_groups_total").as_deref(), Some("1"));
    let bad = [("metrics-cache-expire-after", "soon")];
    assert_eq!(server.send("PUT", "/metrics/job/x", &bad, b"a 1\n").status, 400);
}

#[test]
fn groups_survive_a_stop_and_a_kill_at_any_moment() {
    let directory = tempfile::tempdir().expect("directory");
    let flag = format!("--persistence.file={}", directory.path().join("metrics").display());
    let flags = [flag.as_str(), "--persistence.interval=1ms"];
    let server = cache(&flags);
    server.put("/metrics/job/first", "a 1\n");
    assert_eq!(server.terminate(), Some(0));
    for round in 0..5 {
        let server = cache(&flags);
        eventually("the file is read", || server.get("/-/ready").status == 200);
        assert!(server.metrics().contains("job=\"first\""), "round {round}");
        let filler: String = (0..5000).map(|n| format!("f{{n=\"{n}\"}} {round}\n")).collect();
        // Kill it while it writes: pushes go on, so a write is always near.
        for n in 0..3 + round {
            server.put(&format!("/metrics/job/filler{n}"), &filler);
        }
        eventually("a write of it", || {
            let file = std::fs::read(directory.path().join("metrics")).unwrap_or_default();
            file.windows(7).any(|bytes| bytes == b"filler2")
        });
        server.put("/metrics/job/filler0", &filler);
        server.kill();
    }
    let server = cache(&flags);
    eventually("the file is read", || server.get("/-/ready").status == 200);
    let text = server.metrics();
    assert!(text.contains("job=\"first\"") && text.contains("job=\"filler2\""));
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("listed").collect();
    assert!(left.len() <= 2, "no heap of left-overs: {left:?}");
    let damaged = directory.path().join("metrics.damaged");
    assert!(!damaged.exists(), "a kill never damages the file");
}

#[test]
fn sums_over_instances_are_on_a_path_of_their_own() {
    let server = cache(&[]);
    for (instance, value) in [("a", 1), ("b", 2)] {
        let body = format!("# TYPE c counter\nc{{x=\"1\"}} {value}\n");
        server.put(&format!("/metrics/job/j/instance/{instance}"), &body);
    }
    let sums = |query: &str| server.get(&format!("/metrics/aggregated{query}")).text();
    assert_eq!(sums(""), "# TYPE c counter\nc{job=\"j\",x=\"1\"} 3\n");
    assert_eq!(sums("?without=job,instance"), "# TYPE c counter\nc{x=\"1\"} 3\n");
}

#[test]
fn a_replica_s_own_metrics_are_on_a_path_of_their_own() {
    let server = cache(&["--limit.memory=1MiB"]);
    server.put("/metrics/job/j", "a 1\n");
    let own = server.get("/metrics/own").text();
    assert!(own.contains("\nmetrics_cache_groups 1\n"), "{own}");
    assert!(own.contains("\nmetrics_cache_limit_bytes 1.048576e+06\n"), "{own}");
    assert!(!own.contains("job=\"j\""), "{own}");
}

#[test]
fn quit_and_wipe_work_when_switched_on() {
    let mut server = cache(&["--web.enable-lifecycle", "--web.enable-admin-api"]);
    server.put("/metrics/job/j", "a 1\n");
    assert_eq!(server.send("PUT", "/api/v1/admin/wipe", &[], b"").status, 202);
    assert!(!server.metrics().contains("job=\"j\""));
    assert_eq!(server.send("POST", "/-/quit", &[], b"").status, 200);
    assert_eq!(server.child.wait().expect("ended").code(), Some(0));
}

#[test]
fn routes_move_with_the_prefix() {
    let server = cache(&["--web.route-prefix=/p", "--web.telemetry-path=/scrape"]);
    assert_eq!(server.put("/p/metrics/job/j", "a 1\n").status, 200);
    assert!(server.get("/p/scrape").text().contains("job=\"j\""));
    assert_eq!(server.get("/metrics").status, 404);
}

#[test]
fn the_page_lists_searches_asks_and_deletes_without_javascript() {
    let server = cache(&[]);
    server.put("/metrics/job/shop/zone/%3Cb%3E", "orders 1\n");
    server.put("/metrics/job/bank", "transfers 1\n");
    let page = server.get("/").text();
    assert!(page.contains("2 of 2 groups") && !page.contains("<b>") && !page.contains("<script"));
    let found = server.get("/?q=ORDERS").text();
    assert!(found.contains("1 of 2 groups") && found.contains("shop") && !found.contains("bank"));
    let group = "instance%3D%22%22%2Cjob%3D%22bank%22";
    assert!(server.get(&format!("/?group={group}")).text().contains("transfers{"));
    let question = server.get(&format!("/status/delete?group={group}")).text();
    assert!(question.contains("Delete this group") && question.contains("method=post"));
    let form = format!("group={group}");
    let other = [("origin", "http://evil.example")];
    let refused = server.send("POST", "/status/delete", &other, form.as_bytes());
    assert_eq!(refused.status, 403);
    assert!(server.metrics().contains("job=\"bank\""), "not from another site");
    let answer = server.send("POST", "/status/delete", &[], form.as_bytes());
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    assert!(!server.metrics().contains("job=\"bank\""));
    assert_eq!(server.get(&format!("/?group={group}")).status, 404);
}

#[test]
fn abuse_is_answered_and_costs_little() {
    let server = cache(&["--limit.connections=50", "--limit.bodies-in-flight=20MiB"]);
    server.put("/metrics/job/j", "a 1\n");
    let before = server.memory_kib();
    let status = |bytes: &[u8]| {
        let answer = server.exchange(bytes);
        String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let put = "PUT /metrics/job/j HTTP/1.1\r\nhost: t\r\nconnection: close\r\n";
    let huge = format!("{put}content-length: 1073741824\r\n\r\n");
    assert_eq!(status(huge.as_bytes()), "413", "1 GB is refused before it is sent");
    let mut chunked = format!("{put}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..20 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.resize(chunked.len() + (1 << 20), b'#');
        chunked.extend_from_slice(b"\r\n");
    }
    assert!(["413", ""].contains(&status(&chunked).as_str()), "without a length it is counted");
    // Two lengths: the chunks count and the connection ends, so nothing is smuggled behind them.
    let both = "PUT /metrics/job/other HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\n\
                transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\n";
    let answers = String::from_utf8_lossy(&server.exchange(both.as_bytes())).into_owned();
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert_eq!(
        status(b"PUT /metrics/job/%ff HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"),
        "400"
    );
    assert_eq!(
        status(b"PUT /metrics/job/a/b%00/c HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"),
        "400"
    );
    assert_eq!(status(b"GET /metrics\r\n\r\n"), "400", "HTTP 0.9");
    let preface = status(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(["400", ""].contains(&preface.as_str()), "HTTP 2 in clear: {preface}");
    let many: String = (0..200).map(|n| format!("h{n}: x\r\n")).collect();
    assert_eq!(status(format!("GET /metrics HTTP/1.1\r\n{many}\r\n").as_bytes()), "431");
    let lying = [&b"\xff\x06\x00\x00sNaPpY\x00\xff\xff\xff"[..], &[0; 100]].concat();
    let headers = [("content-encoding", "snappy")];
    assert_eq!(server.send("PUT", "/metrics/job/j", &headers, &lying).status, 400);
    let headers = [("content-type", PROTOBUF)];
    let varint = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(server.send("PUT", "/metrics/job/j", &headers, &varint).status, 400);
    for _ in 0..300 {
        // Gone in the middle of a body.
        let mut stream = server.connect();
        let _ = stream.write_all(format!("{put}content-length: 100000\r\n\r\na 1").as_bytes());
        let _ = stream.shutdown(Shutdown::Both);
    }
    let held: Vec<_> = (0..60).map(|_| server.connect()).collect();
    drop(held);
    eventually("probes are answered again", || {
        let mut stream = server.connect();
        let _ =
            stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 200")
    });
    assert_eq!(server.value("a{instance=\"\",job=\"j\"}").as_deref(), Some("1"));
    let grown = server.memory_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
}

#[test]
fn a_slow_client_is_cut_off_and_holds_nobody_up() {
    let server = cache(&[]);
    let mut slow = server.connect();
    slow.write_all(b"PUT /metrics/job/j HTTP/1.1\r\nhost: t\r\n").expect("written");
    assert_eq!(server.put("/metrics/job/k", "a 1\n").status, 200);
    slow.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    let mut rest = Vec::new();
    // Ends when the server closes, which the limit for headers makes it do.
    slow.read_to_end(&mut rest).expect("closed, not still open after the patience");
}
