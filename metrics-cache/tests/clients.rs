//! The clients that people use: Python's and Go's push, Prometheus scrapes, promtool looks.

mod common;

use std::process::Command;

use common::{Server, cache, eventually, free_address, install, pushgateway, start};
use serde_json::Value;

#[test]
fn python_s_client_gets_from_both_the_same_answers_and_scrape() {
    let push = |server: &Server| {
        let mut client = Command::new(install::python());
        client.arg("tests/clients/push.py").arg(server.address.to_string());
        install::run(&mut client, "Python's client pushes")
    };
    let (real, ours) = (pushgateway(&[]), cache(&[]));
    let (want, got) = (push(&real), push(&ours));
    assert!(want.contains("refused: HTTP Error 400"), "{want}");
    assert_eq!(got, want);
    assert_eq!(ours.pushed(), real.pushed());
    let series = "py_behind_seconds{instance=\"\",job=\"python\"}";
    assert_eq!(ours.value(series).as_deref(), Some("2"));
}

#[test]
fn go_s_client_gets_from_both_the_same_answers_and_scrape() {
    let (real, ours) = (pushgateway(&[]), cache(&[]));
    let (want, got) = (go_pushes(&real), go_pushes(&ours));
    for said in [want, got] {
        assert!(said.contains("status code 400"), "{said}");
        assert!(said.contains("pushed metrics are invalid or inconsistent"), "{said}");
    }
    assert_eq!(ours.pushed(), real.pushed());
    let series = "app_took_seconds_count{instance=\"a/b\",job=\"go\",zone=\"\"}";
    assert_eq!(ours.value(series).as_deref(), Some("2"));
}

fn go_pushes(server: &Server) -> String {
    let mut client = Command::new(install::go_client());
    install::run(client.arg(server.address.to_string()), "Go's client pushes")
}

#[test]
fn a_real_prometheus_scrapes_without_an_error() {
    let server = cache(&[]);
    server
        .put("/metrics/job/bank/instance/i", "# TYPE transfers_total counter\ntransfers_total 5\n");
    server.put("/metrics/job/x", "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 1\nh_count 3\n");
    go_pushes(&server);
    // The one asks for OpenMetrics, the other for protobuf.
    let (plain, native) = (Prometheus::start(&server, ""), Prometheus::start(&server, NATIVE));
    for prometheus in [&plain, &native] {
        prometheus.wait_for_scrape();
        for (query, want) in [
            ("transfers_total{job=\"bank\",instance=\"i\"}", "5"),
            ("app_behind_seconds{job=\"go\",instance=\"a/b\"}", "0.0000000015"),
            ("app_behind_seconds{job=\"go\",instance=\"\"}", "2"),
            ("h_bucket{le=\"+Inf\",job=\"x\"}", "3"),
            ("metrics_cache_groups", "6"),
        ] {
            // Compared there, as the text of a number is a matter of the version.
            let query = format!("{query} == {want}");
            assert_eq!(prometheus.count(&query), 1, "{query}");
        }
    }
    let query = "histogram_count(app_took_seconds{instance=\"a/b\"}) == 2";
    assert_eq!(native.count(query), 1, "a native histogram arrives whole");
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let server = cache(&["--persistence.file=", "--push.expire-after=1h"]);
    let body = "# HELP transfers_total Transfers.\n# TYPE transfers_total counter\n\
                transfers_total 5\n# HELP took_seconds Time.\n# TYPE took_seconds histogram\n\
                took_seconds_bucket{le=\"1\"} 2\ntook_seconds_sum 1\ntook_seconds_count 3\n";
    for group in ["job/bank", "job/bank/instance/i", "job@base64/YS9i/zone@base64/="] {
        assert_eq!(server.put(&format!("/metrics/{group}"), body).status, 200);
    }
    server.put("/metrics/job/bad", "transfers_total{} 1 1\n");
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("scrape");
    std::fs::write(&file, server.metrics()).expect("written");
    let promtool = install::program("promtool", "prometheus");
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(std::fs::File::open(&file).expect("opened"));
    let output = check.output().expect("ran");
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success() && said.iter().all(String::is_empty), "{said:?}");
}

const NATIVE: &str = "native-histograms";

/// Debian's Prometheus, which scrapes one server every second.
struct Prometheus {
    server: Server,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn start(target: &Server, feature: &str) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: cache\n  \
             honor_labels: true\n  static_configs:\n  - targets: ['{}']\n",
            target.address
        );
        std::fs::write(at("prometheus.yml"), config).expect("written");
        let address = free_address();
        let flags = [
            format!("--config.file={}", at("prometheus.yml")),
            format!("--storage.tsdb.path={}", at("data")),
            format!("--web.listen-address={address}"),
            format!("--enable-feature={feature}"),
        ];
        let program = install::program("prometheus", "prometheus");
        Self { server: start(&program, address, &flags), _directory: directory }
    }

    /// Waits for a scrape and asserts that it had no error.
    fn wait_for_scrape(&self) {
        let mut target = Value::Null;
        eventually("a scrape", || {
            target = self.get("targets?state=active")["activeTargets"][0].clone();
            target["health"] != "unknown" && !target.is_null()
        });
        assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()));
        eventually("its samples", || self.count("up == 1") == 1);
        assert_eq!(self.count("scrape_samples_scraped > 50"), 1);
    }

    /// Returns how many series a query finds.
    fn count(&self, query: &str) -> usize {
        let query =
            percent_encoding::utf8_percent_encode(query, percent_encoding::NON_ALPHANUMERIC);
        let found = self.get(&format!("query?query={query}"));
        found["result"].as_array().expect("a list").len()
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.server.get(&format!("/api/v1/{path}"));
        let mut json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        json["data"].take()
    }
}
