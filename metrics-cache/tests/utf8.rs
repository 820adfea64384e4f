//! Names beyond the classic letters, with `--push.enable-utf8-names`: beside a Pushgateway that
//! knows them, by Python's client, and in front of a Prometheus that does not.

mod common;

use std::process::Command;

use common::{Answer, Server, cache, eventually, install, pushgateway_of};

const FLAG: &str = "--push.enable-utf8-names";
const NEWER: &str = "text/plain;version=0.0.4;escaping=";

fn scrape(server: &Server, escaping: &str) -> Answer {
    let accept = format!("{NEWER}{escaping}");
    server.send("GET", "/metrics", &[("accept", &accept)], b"")
}

/// The lines about what was pushed, in every way to write names, sorted; times are left out.
fn written(server: &Server) -> Vec<Vec<String>> {
    let ways = ["allow-utf-8", "underscores", "dots", "values"];
    let lines = ways.map(|way| {
        let text = scrape(server, way).text();
        let is_ours = |line: &&str| {
            let own = ["go_", "process_", "pushgateway_", "promhttp_", "metrics_cache_", "push_"];
            let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
            !own.iter().any(|prefix| name.starts_with(prefix)) && !line.contains("created")
        };
        let mut lines: Vec<_> = text.lines().filter(is_ours).map(str::to_owned).collect();
        lines.sort();
        lines
    });
    lines.to_vec()
}

#[test]
fn text_protobuf_and_paths_get_the_same_answers_as_from_a_pushgateway_that_knows_them() {
    let (real, ours) = (pushgateway_of(&install::newer_pushgateway(), &[FLAG]), cache(&[FLAG]));
    for (method, path, body) in [
        ("PUT", "job/a", "{\"my.metric\", \"a.b\"=\"c\"} 1\n"),
        ("PUT", "job/b", "# TYPE \"my.metric\" untyped\n{\"my.metric\",x=\"1\",\"é\"=\"2\"} 2\n"),
        (
            "PUT",
            "job/c",
            "# HELP \"h.x\" Help.\n# TYPE \"h.x\" histogram\n{\"h.x_bucket\",le=\"1\"} 2\n\
            {\"h.x_sum\"} 1\n{\"h.x_count\"} 3\n",
        ),
        (
            "PUT",
            "job/d",
            "# TYPE \"s.x\" summary\n{\"s.x\",quantile=\"0.5\"} 2\n{\"s.x_sum\"} 1\n\
            {\"s.x_count\"} 3\n",
        ),
        ("PUT", "job/e", "classic{\"a.b\"=\"1\"} 1\n{classic_too, b=\"1\"} 1\n{\"quoted\"} 1\n"),
        ("PUT", "job/f/U__foo_2e_bar/baz", "f 1\n"),
        ("PUT", "job/f/U__foo_2f_bar@base64/YS9i", "f 2\n"),
        ("PUT", "job/f/foo.bar/raw", "f 3\n"),
        ("PUT", "job/f/U__in_xxx_valid/1", "f 4\n"),
        ("PUT", "job/g/U__gone_2e_too/1", "g 1\n"),
        ("DELETE", "job/g/U__gone_2e_too/1", ""),
        ("PUT", "job/h/U__/1", "h 1\n"),
        ("PUT", "job/h/__x/1", "h 1\n"),
        ("PUT", "job/i", "{\"\"} 1\n"),
        ("PUT", "job/i", "{\"a\nb\"} 1\n"),
        ("PUT", "job/i", "{\"a\" \"b\"=\"1\"} 1\n"),
        ("PUT", "job/i", "{\"a\", \"b\"} 1\n"),
        ("PUT", "job/i", "{\"a\", \"b\"=\"1\",\"b\"=\"2\"} 1\n"),
        ("PUT", "job/i", "{\"a\"} \n"),
        ("PUT", "job/i", "{\"a"),
    ] {
        let path = format!("/metrics/{path}");
        let want = real.send(method, &path, &[], body.as_bytes());
        let got = ours.send(method, &path, &[], body.as_bytes());
        let both = format!("{method} {path}\n{body}\n{}\n{}", got.text(), want.text());
        assert_eq!(got.status, want.status, "{both}");
    }
    // A delete is done later by the Pushgateway; a push waits for it.
    real.put("/metrics/job/a", "{\"my.metric\", \"a.b\"=\"c\"} 1\n");
    for (got, want) in written(&ours).iter().zip(written(&real)) {
        assert_eq!(*got, want);
    }
    let kind = scrape(&ours, "allow-utf-8");
    let kind = kind.header("content-type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8"));
}

#[test]
fn python_s_client_gets_from_both_the_same_scrape() {
    let (real, ours) = (pushgateway_of(&install::newer_pushgateway(), &[FLAG]), cache(&[FLAG]));
    for server in [&real, &ours] {
        let mut client = Command::new(install::python());
        client.arg("tests/clients/push_utf8.py").arg(server.address.to_string());
        install::run(&mut client, "Python's client pushes");
    }
    real.put("/metrics/job/barrier", "");
    ours.put("/metrics/job/barrier", "");
    let (got, want) = (written(&ours), written(&real));
    assert_eq!(got, want);
    let has = |line: &str| got[0].iter().any(|it| it.starts_with(line));
    assert!(has("{\"my.consumed_total\",\"a.b\"=\"c\",instance=\"\",job=\"python\""), "{got:#?}");
    let line = "{\"größe in m²\",\"data.center\"=\"west\",instance=\"a/b\",job=\"python\"} 2";
    assert!(has(line) && has("written_otherwise{"), "{got:#?}");
}

#[test]
fn protobuf_and_open_metrics_carry_the_names_and_the_api_shows_them() {
    let (first, second) = (cache(&[FLAG]), cache(&[FLAG]));
    let body = "# TYPE \"my.metric\" counter\n{\"my.metric\",\"a.b\"=\"c\"} 5\n";
    assert_eq!(first.put("/metrics/job/j/U__x_2e_y/z", body).status, 200);
    let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
        encoding=delimited";
    let get = |accept: &str| first.send("GET", "/metrics", &[("accept", accept)], b"");
    let protobuf = get(&format!("{accept};escaping=allow-utf-8"));
    let kind = [("content-type", accept)];
    let again = second.send("PUT", "/metrics/job/again", &kind, &protobuf.body);
    assert_eq!(again.status, 200, "{}", again.text());
    let line = "{\"my.metric\",\"a.b\"=\"c\",instance=\"\",job=\"again\",\"x.y\"=\"z\"} 5\n";
    assert!(scrape(&second, "allow-utf-8").text().contains(line));
    let text = String::from_utf8_lossy(&protobuf.body).into_owned();
    assert!(text.contains("my.metric") && text.contains("a.b") && text.contains("x.y"), "{text}");
    let escaped = get(accept);
    let text = String::from_utf8_lossy(&escaped.body).into_owned();
    assert!(text.contains("my_metric") && !text.contains("my.metric"), "{text}");
    let open = get("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8").text();
    let line = "{\"my.metric\",\"a.b\"=\"c\",instance=\"\",job=\"j\",\"x.y\"=\"z\"} 5\n";
    assert!(open.contains("# TYPE \"my.metric\" unknown\n") && open.contains(line), "{open}");
    let line = "my_metric{a_b=\"c\",instance=\"\",job=\"j\",x_y=\"z\"} 5\n";
    assert!(first.metrics().contains(line), "who says nothing gets classic names");
    let json = first.get("/api/v1/metrics").text();
    assert!(json.contains("\"my.metric\"") && json.contains("\"x.y\":\"z\""), "{json}");
    assert!(first.get("/").text().contains("x.y"), "the page");
    assert_eq!(first.send("DELETE", "/metrics/job/j/U__x_2e_y/z", &[], b"").status, 202);
    assert!(!first.metrics().contains("my_metric"));
}

#[test]
fn without_the_flag_they_are_refused_and_those_of_a_file_stay() {
    let directory = tempfile::tempdir().expect("directory");
    let file = format!("--persistence.file={}", directory.path().join("metrics").display());
    let server = cache(&[FLAG, &file]);
    let body = "{\"my.metric\", \"a.b\"=\"c\"} 1\n";
    assert_eq!(server.put("/metrics/job/j/U__x_2e_y/z", body).status, 200);
    assert_eq!(server.terminate(), Some(0));
    let server = cache(&[&file]);
    eventually("the file is read", || server.get("/-/ready").status == 200);
    let line = "my_metric{a_b=\"c\",instance=\"\",job=\"j\",x_y=\"z\"} 1\n";
    assert!(server.metrics().contains(line), "{}", server.metrics());
    for (path, body) in [
        ("/metrics/job/k", body),
        ("/metrics/job/k", "a{\"b.c\"=\"1\"} 1\n"),
        ("/metrics/job/k", "# TYPE \"a\" gauge\na 1\n"),
        ("/metrics/job/k/a.b/1", "a 1\n"),
    ] {
        assert_eq!(server.put(path, body).status, 400, "{path} {body}");
    }
    // As a Pushgateway without the flag has it.
    assert_eq!(server.put("/metrics/job/k/U__a_2e_b/1", "a 1\n").status, 200);
    assert!(server.metrics().contains("U__a_2e_b=\"1\""));
}
