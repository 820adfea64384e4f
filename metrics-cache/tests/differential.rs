//! The cache beside the real Pushgateway: the same requests, the same answers, the same scrape.
//!
//! What is left out on purpose, because the cache differs by intention: bodies that are not UTF-8,
//! negative counts, fractions in buckets (the Pushgateway 1.5 cuts them), a group with an empty
//! `instance` beside one without (after which the Pushgateway answers no scrape any more), and
//! HELP lines that differ between groups (it shows one of them, by chance).

mod common;

use std::collections::BTreeMap;

use common::{Server, cache, pushgateway};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const PUSHES: usize = 600;

#[test]
fn generated_pushes_get_the_same_status_text_and_scrape() {
    let (real, ours) = (pushgateway(&[]), cache(&[]));
    let mut random = StdRng::seed_from_u64(7);
    let mut statuses = BTreeMap::new();
    for n in 0..PUSHES {
        let (method, path, body) = request(&mut random);
        let want = real.send(method, &path, &[], body.as_bytes());
        let got = ours.send(method, &path, &[], body.as_bytes());
        let what = format!("request {n}: {method} {path}\n{body}");
        assert_eq!(got.status, want.status, "{what}\n{} / {}", got.text(), want.text());
        if !want.text().contains("inconsistent") {
            assert_eq!(got.text(), want.text(), "{what}");
        }
        *statuses.entry(want.status).or_insert(0) += 1;
        if n % 5 == 0 {
            assert_eq!(ours.pushed(), real.pushed(), "after {what}");
        }
    }
    assert_eq!(ours.pushed(), real.pushed());
    // Else the generator tests nothing.
    assert!(statuses[&200] > PUSHES / 4 && statuses[&400] > PUSHES / 4, "{statuses:?}");
    assert!(statuses[&202] > PUSHES / 20, "{statuses:?}");
}

#[test]
fn a_transcript_of_paths_and_methods_gets_the_same_status_and_text() {
    let (real, ours) = (pushgateway(&[]), cache(&[]));
    for (method, path) in [
        ("PUT", "/metrics/job"),
        ("PUT", "/metrics/job/a/"),
        ("PUT", "/metrics/job/a/b/"),
        ("PUT", "/metrics/job//b"),
        ("PUT", "/metrics/job/a//b"),
        ("PUT", "/metrics/job/../job/a"),
        ("PUT", "/metrics/job/a/odd"),
        ("PUT", "/metrics/job/a/__x/1"),
        ("PUT", "/metrics/job/a/1x/1"),
        ("PUT", "/metrics/job/a%2fb/x/1"),
        ("PUT", "/metrics/job/a%20b/x/%C3%A9"),
        ("PUT", "/metrics/job/a/job/zzz"),
        ("PUT", "/metrics/job@base64/="),
        ("PUT", "/metrics/job@base64/YQ=="),
        ("PUT", "/metrics/job@base64/YS9i/x@base64/YQ"),
        ("PUT", "/metrics/job/a/x@base64/="),
        ("PUT", "/metrics/job/a/x@base64/$$"),
        ("PATCH", "/metrics/job/a"),
        ("GET", "/metrics/job/a"),
        ("POST", "/metrics"),
        ("GET", "/nope"),
        ("PUT", "/-/quit"),
        ("GET", "/-/quit"),
        ("PUT", "/-/healthy"),
        ("GET", "/-/healthy"),
        ("GET", "/-/ready"),
        ("POST", "/api/v1/metrics"),
        ("OPTIONS", "/api/v1/metrics"),
        ("OPTIONS", "/metrics/job/a"),
        ("OPTIONS", "/metrics"),
        ("OPTIONS", "/nope"),
        ("GET", "/api/v1/nope"),
        ("DELETE", "/metrics/job/a/odd"),
        ("DELETE", "/metrics/job/never"),
        ("PUT", "/api/v1/admin/wipe"),
    ] {
        let body: &[u8] = if method == "PUT" { b"a 1\n" } else { b"" };
        let (want, got) = (real.send(method, path, &[], body), ours.send(method, path, &[], body));
        let answer =
            |it: &common::Answer| (it.status, it.text(), it.header("location").map(str::to_owned));
        assert_eq!(answer(&got), answer(&want), "{method} {path}");
    }
    assert_eq!(ours.pushed(), real.pushed());
}

#[test]
fn the_api_shows_the_same_groups() {
    let (real, ours) = (pushgateway(&[]), cache(&[]));
    let body = "# HELP c Help.\n# TYPE c counter\nc{x=\"1\"} 5\n# TYPE h histogram\n\
                h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1000000\nh_sum 1e9\nh_count 1000000\n\
                # TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum 2\ns_count 3\n";
    for server in [&real, &ours] {
        assert_eq!(server.put("/metrics/job/a/x/y", body).status, 200);
        assert_eq!(server.put("/metrics/job/b", "c 1\n").status, 400);
    }
    let groups = |server: &Server| {
        let answer = server.get("/api/v1/metrics");
        let mut json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        let groups = json["data"].as_array_mut().expect("an array");
        groups.sort_by_key(|group| group["labels"].to_string());
        for family in groups.iter_mut().flat_map(|group| group.as_object_mut().expect("object")) {
            let Some(family) = family.1.as_object_mut() else { continue };
            if let Some(stamp) = family.remove("time_stamp") {
                assert!(stamp.as_str().is_some_and(|stamp| stamp.starts_with("20")), "{stamp}");
            }
            for metric in
                family.get_mut("metrics").and_then(|it| it.as_array_mut()).into_iter().flatten()
            {
                let time = metric["value"].as_str().is_some_and(|value| value.contains("e+09"));
                if time {
                    metric["value"] = "a time".into();
                }
            }
        }
        json
    };
    assert_eq!(groups(&ours), groups(&real));
}

#[test]
fn a_job_that_is_no_base64_is_refused_by_both() {
    // The text differs: the Pushgateway 1.5 shows an empty job name there.
    let path = "/metrics/job@base64/!!";
    assert_eq!(pushgateway(&[]).put(path, "a 1\n").status, 400);
    let answer = cache(&[]).put(path, "a 1\n");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("job name \"!!\""), "{}", answer.text());
}

fn request(random: &mut StdRng) -> (&'static str, String, String) {
    let method = *["PUT", "PUT", "PUT", "POST", "POST", "DELETE"].choose(random).expect("one");
    let path = match random.random_range(0..20) {
        0 => "/metrics/job/a/odd".into(),
        1 => "/metrics/job/a/le/1".into(),
        _ => {
            let job = ["a", "b", "c", "d%20e"].choose(random).expect("one");
            let more = ["", "", "/instance/i", "/x/y", "/x@base64/YS9i", "/instance/i/x/y", "/"];
            format!("/metrics/job/{job}{}", more.choose(random).expect("one"))
        }
    };
    if path.contains("/le/") && method != "DELETE" {
        // A histogram in such a group would have two labels `le`, which the cache refuses.
        return (method, path, "plain_le 1\n".into());
    }
    let mut body = String::new();
    if method != "DELETE" {
        for _ in 0..random.random_range(0..4) {
            body += &family(random);
        }
        if random.random_ratio(1, 4) {
            body += bad_line(random);
        }
    }
    (method, path, body)
}

/// A family whose name mostly decides its type, so that most pushes agree.
fn family(random: &mut StdRng) -> String {
    let (name, usual) = *[
        ("requests_total", "counter"),
        ("temperature", "gauge"),
        ("latency", "histogram"),
        ("size", "summary"),
        ("plain", "untyped"),
        ("latency_count", "untyped"),
        ("a:b", "gauge"),
    ]
    .choose(random)
    .expect("one");
    if name == "latency_count" && random.random_ratio(2, 3) {
        return String::new();
    }
    let kinds = ["counter", "gauge", "histogram", "summary", "untyped"];
    let kind = match random.random_ratio(1, 15) {
        true => kinds.choose(random).expect("one"),
        false => usual,
    };
    let mut out = format!("# HELP {name} Help of {name}: \\\\ and \\n.\n# TYPE {name} {kind}\n");
    for _ in 0..random.random_range(1..4) {
        let labels = labels(random);
        let value = value(random);
        let with = |more: &str| match labels.is_empty() {
            true => format!("{{{more}}}"),
            false => format!("{{{labels},{more}}}"),
        };
        match kind {
            "histogram" => {
                for (bound, count) in [("0.5", 1), ("1", 2), ("1e6", 30)] {
                    out += &format!("{name}_bucket{} {count}\n", with(&format!("le=\"{bound}\"")));
                }
                out += &format!("{name}_sum{{{labels}}} {value}\n{name}_count{{{labels}}} 31\n");
            }
            "summary" => {
                for quantile in ["0.5", "0.99"] {
                    out +=
                        &format!("{name}{} {value}\n", with(&format!("quantile=\"{quantile}\"")));
                }
                out += &format!("{name}_sum{{{labels}}} {value}\n{name}_count{{{labels}}} 3\n");
            }
            _ => out += &format!("{name}{{{labels}}} {value}\n"),
        }
    }
    out
}

fn labels(random: &mut StdRng) -> String {
    let mut labels = Vec::new();
    for name in ["instance", "job", "path", "x", "z"] {
        if random.random_ratio(1, 3) {
            let values = ["", "i", "y", "a\\\"b", "a\\\\b", "line\\nbreak", "é", "{},="];
            labels.push(format!("{name}=\"{}\"", values.choose(random).expect("one")));
        }
    }
    labels.join(",")
}

fn value(random: &mut StdRng) -> String {
    match random.random_range(0..8) {
        0 => "NaN".into(),
        1 => "+Inf".into(),
        2 => "-inf".into(),
        3 => random.random_range(-10_000_000_i64..10_000_000).to_string(),
        4 => format!("{:e}", random.random::<f64>() * 1e-7),
        5 => format!("{}", f64::from_bits(random.random::<u64>() & !(0x7ff << 52) | (0x3fd << 52))),
        6 => format!("{:e}", random.random::<f64>() * 1e300),
        _ => format!("{}", random.random::<f64>() * 1e7),
    }
}

fn bad_line(random: &mut StdRng) -> &'static str {
    [
        "a{x=\"1\",x=\"2\"} 1\n",
        "a{x=\"1\",} 1\n",
        "a{,} 1\n",
        "a {x=\"1\"} 1\n",
        "a{x=\"1\"}1\n",
        "a{x=\"1\" y=\"2\"} 1\n",
        "a{x=\"\\q\"} 1\n",
        "a{x=1} 1\n",
        "a{x} 1\n",
        "a{1x=\"2\"} 1\n",
        "a{__name__=\"2\"} 1\n",
        "a{__x=\"2\"} 1\n",
        "a{x=\"1\n\"} 1\n",
        "a 1 123\n",
        "a 1 x\n",
        "a 1 123 x\n",
        "a 1 \n",
        "a 1\r\n",
        "a 1",
        "1a 1\n",
        "a 0x1p1\n",
        "a 1e400\n",
        "a 1_0\n",
        "a one\n",
        "{} 1\n",
        "# HELP a x\n# HELP a y\n",
        "# TYPE b gauge\n# TYPE b gauge\n",
        "b 1\n# TYPE b gauge\n",
        "# TYPE b foo\n",
        "# TYPE 1b gauge\n",
        "# TYPE b\tgauge \n",
        "# TYPE\n# HELP\n#\n# comment\n#comment\n",
        "# TYPE h histogram\nh_bucket{le=\"x\"} 1\n",
        "# TYPE s summary\ns{quantile=\"x\"} 1\n",
        "# comment",
        "   ",
        "\t b 1\n\n\n",
        "temperature{x=\"same\"} 1\ntemperature{x=\"same\"} 2\n",
        "push_time_seconds 1\n",
        "# TYPE process_open_fds counter\nprocess_open_fds 1\n",
        "# TYPE process_open_fds gauge\nprocess_open_fds 1\n",
        "# TYPE h histogram\nh 1\nh_sum 2\n",
        "s{quantile=\"0.5\"} 1\ns{quantile=\"0.6\"} 1\n",
    ]
    .choose(random)
    .expect("one")
}
