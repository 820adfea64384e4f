use std::collections::HashSet;
use std::time::Duration;

use super::names::{ALL, Kind, OVERFLOW};
use super::*;

fn metrics() -> Metrics {
    Metrics::new("funnel", "funnel-0")
}

/// Returns the value of the series that starts with this text.
fn value(text: &str, series: &str) -> Option<f64> {
    let line =
        text.lines().find(|line| line.strip_prefix(series).is_some_and(|l| l.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn keeps_the_names_and_labels_of_nubium_utils() {
    let metrics = metrics();
    let topic = metrics.topic("orders");
    topic.consumed(3);
    topic.clone().consumed(4);
    metrics.topic("orders").produced(5);
    metrics.error("ValueError");
    metrics.external_request(&ExternalRequest {
        to: "crm",
        endpoint: "/people",
        kind: "POST",
        is_bulk: true,
        status_code: 503,
    });
    let text = metrics.text();
    let at = r#"app="funnel",job="funnel-0""#;
    for (series, want) in [
        (format!(r#"messages_consumed{{{at},topic="orders"}}"#), 7.0),
        (format!(r#"messages_produced{{{at},topic="orders"}}"#), 5.0),
        (r#"message_errors{app="funnel",exception="ValueError",job="funnel-0"}"#.into(), 1.0),
        (
            r#"external_requests{app="funnel",is_bulk="True",job="funnel-0","#.to_owned()
                + r#"request_endpoint="/people",request_to="crm",request_type="POST","#
                + r#"status_code="503"}"#,
            1.0,
        ),
    ] {
        assert_eq!(value(&text, &series), Some(want), "{series} in\n{text}");
    }
    assert!(text.contains("# TYPE messages_consumed counter\n"));
}

#[test]
fn a_series_of_a_topic_appears_with_what_it_counts() {
    let metrics = metrics();
    let (input, output) = (metrics.topic("in"), metrics.topic("out"));
    input.consumed(0);
    metrics.offsets_skipped("in", 0, 0);
    let text = metrics.text();
    for name in ["messages_consumed", "messages_produced", "nubium_offsets_skipped_total"] {
        assert!(!text.contains(name), "{name} in\n{text}");
    }
    input.consumed(2);
    output.produced(1);
    metrics.offsets_skipped("in", 5, 0);
    let text = metrics.text();
    let series: Vec<_> = text.lines().filter(|line| line.contains("topic=")).collect();
    let at = r#"app="funnel",job="funnel-0""#;
    let expected = [
        format!(r#"messages_consumed{{{at},topic="in"}} 2"#),
        format!(r#"messages_produced{{{at},topic="out"}} 1"#),
        format!(r#"nubium_offsets_skipped_total{{{at},reason="deleted",topic="in"}} 5"#),
    ];
    assert_eq!(series, expected);
}

#[test]
fn a_loop_counts_its_transactions() {
    let metrics = metrics();
    let of_loop = metrics.for_loop();
    of_loop.committed(Duration::from_millis(3), 250);
    of_loop.aborted("fenced");
    of_loop.rebalanced(RebalanceEvent::Lost);
    of_loop.replayed();
    of_loop.producer_renewed();
    metrics.loop_restarted();
    metrics.registry_request("schema_by_id", "ok");
    let timer = of_loop.app_timer();
    timer.observe(Duration::from_micros(50));
    timer.observe(Duration::from_secs(5));
    timer.flush();

    let text = metrics.text();
    let at = r#"app="funnel",job="funnel-0""#;
    for (series, want) in [
        (format!("nubium_transactions_committed_total{{{at}}}"), 1.0),
        (format!(r#"nubium_transactions_aborted_total{{{at},reason="fenced"}}"#), 1.0),
        (format!(r#"nubium_commit_duration_seconds_bucket{{{at},le="0.002"}}"#), 0.0),
        (format!(r#"nubium_commit_duration_seconds_bucket{{{at},le="0.005"}}"#), 1.0),
        (format!("nubium_transaction_records_sum{{{at}}}"), 250.0),
        (format!(r#"nubium_app_function_duration_seconds_bucket{{{at},le="0.0001"}}"#), 1.0),
        (format!("nubium_app_function_duration_seconds_count{{{at}}}"), 2.0),
        (r#"nubium_rebalances_total{app="funnel",event="lost",job="funnel-0"}"#.into(), 1.0),
        (format!("nubium_replays_total{{{at}}}"), 1.0),
        (format!("nubium_producer_renewals_total{{{at}}}"), 1.0),
        (format!("nubium_loop_restarts_total{{{at}}}"), 1.0),
        (
            format!(
                r#"nubium_registry_requests_total{{{at},operation="schema_by_id",outcome="ok"}}"#
            ),
            1.0,
        ),
    ] {
        assert_eq!(value(&text, &series), Some(want), "{series} in\n{text}");
    }
}

#[test]
fn seconds_behind_is_that_of_the_slowest_living_loop() {
    let metrics = metrics();
    let (fast, slow) = (metrics.for_loop(), metrics.for_loop());
    let series = r#"seconds_behind{app="funnel",job="funnel-0"}"#;
    assert_eq!(value(&metrics.text(), series), None, "not known yet");
    fast.seconds_behind(1.5);
    slow.seconds_behind(60.0);
    assert_eq!(value(&metrics.text(), series), Some(60.0));
    drop(slow);
    assert_eq!(value(&metrics.text(), series), Some(1.5));
}

#[test]
fn series_whose_joined_labels_are_equal_stay_apart() {
    let metrics = metrics();
    metrics.lag("orders1", 1).set(5.0);
    metrics.lag("orders", 11).set(7.0);
    let text = metrics.text();
    let lag = |partition, topic| {
        let name = r#"nubium_consumer_lag_messages{app="funnel",job="funnel-0","#;
        value(&text, &format!(r#"{name}partition="{partition}",topic="{topic}"}}"#))
    };
    assert_eq!((lag("1", "orders1"), lag("11", "orders")), (Some(5.0), Some(7.0)));
    metrics.forget_lag("orders", 11);
    assert!(!metrics.text().contains(r#"partition="11""#));
}

#[test]
fn escapes_label_values_and_bounds_their_number_and_length() {
    let metrics = Metrics::new("an \"app\"", "back\\slash");
    metrics.error("two\nlines");
    let text = metrics.text();
    let series = r#"message_errors{app="an \"app\"",exception="two\nlines",job="back\\slash"}"#;
    assert_eq!(value(&text, series), Some(1.0), "{text}");

    (0..1000).for_each(|n| metrics.error(&format!("Error{n}")));
    metrics.error(&"x".repeat(100_000));
    let text = metrics.text();
    let errors: Vec<_> = text.lines().filter(|l| l.starts_with("message_errors{")).collect();
    assert_eq!(errors.len(), names::ERRORS.series + 1);
    let other = errors.iter().find(|line| line.contains(OVERFLOW)).expect("an overflow");
    // 1 + 1000 + 1 errors, of which 100 have a series of their own.
    assert!(other.ends_with(" 902"), "{other}");
    let long = Metrics::new("a", "b");
    long.error(&"x".repeat(100_000));
    assert!(long.text().len() < 20_000);
}

#[test]
fn an_app_registers_metrics_of_its_own() {
    let metrics = metrics();
    let people = metrics.counter("people_merged", "People.", &["source"]).expect("valid");
    people.with(&["crm"]).expect("one label").inc_by(2);
    let again = metrics.counter("people_merged", "People.", &["source"]).expect("the same");
    again.with(&["crm"]).expect("one label").inc();
    metrics.gauge("queue_length", "Queue.", &[]).expect("valid").with(&[]).expect("none").set(4.0);
    let waits = metrics.histogram("wait_seconds", "Waits.", &[], &[0.1, 1.0]).expect("valid");
    waits.with(&[]).expect("none").observe(0.5);
    let text = metrics.text();
    let at = r#"app="funnel",job="funnel-0""#;
    assert_eq!(value(&text, &format!(r#"people_merged{{{at},source="crm"}}"#)), Some(3.0));
    assert_eq!(value(&text, &format!("queue_length{{{at}}}")), Some(4.0));
    assert_eq!(value(&text, &format!(r#"wait_seconds_bucket{{{at},le="1"}}"#)), Some(1.0));
}

#[test]
fn refuses_metrics_that_would_spoil_a_scrape_and_names_them() {
    let metrics = metrics();
    metrics.counter("people", "People.", &["source"]).expect("valid");
    for (problem, word) in [
        (metrics.counter("people", "People.", &["other"]).err(), "another type"),
        (metrics.gauge("people", "People.", &["source"]).err(), "another type"),
        (metrics.counter("my-metric", "Bad name.", &[]).err(), "my-metric"),
        (metrics.counter("bad_label", "Bad.", &["a-b"]).err(), "bad_label"),
        (metrics.counter("mine", "Mine.", &["job"]).err(), "`job`"),
        (metrics.counter("messages_consumed", "Mine.", &[]).err(), "belongs to the core"),
        (metrics.counter("nubium_x", "Mine.", &[]).err(), "belongs to the core"),
        (metrics.histogram("falling", "Bad.", &[], &[2.0, 1.0]).err(), "must rise"),
        (metrics.histogram("le_label", "Bad.", &["le"], &[1.0]).err(), "le_label"),
        (metrics.gauge("g", "G.", &["a"]).expect("valid").with(&[]).err(), "0 label values"),
    ] {
        let problem = problem.expect("refused").to_string();
        assert!(problem.contains(word), "{problem} says nothing of {word}");
    }
}

#[test]
fn the_table_follows_the_conventions_of_prometheus() {
    let names: HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len(), "names are distinct");
    for metric in &ALL[names::ORIGINAL..] {
        let (name, total) = (metric.name, metric.name.ends_with("_total"));
        assert!(name.starts_with("nubium_"), "{name}");
        assert_eq!(total, metric.kind == Kind::Counter, "{name}");
        assert!(metric.help.ends_with('.'), "{name}");
        assert!(names::page().contains(&format!("| `{name}` |")));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn tells_of_the_process_and_the_build() {
    let text = metrics().text();
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        let series = format!(r#"{name}{{app="funnel",job="funnel-0"}}"#);
        assert!(value(&text, &series).is_some(), "{name} in\n{text}");
    }
    let version = env!("CARGO_PKG_VERSION");
    let build = format!(r#"nubium_build_info{{app="funnel",job="funnel-0",version="{version}"}}"#);
    assert_eq!(value(&text, &build), Some(1.0));
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");

#[test]
fn metrics_page_is_up_to_date() {
    let (start, end) =
        ("cargo test -p nubium-metrics metrics_page -->\n", "<!-- end of the table -->");
    let page = std::fs::read_to_string(PAGE).expect("docs/metrics.md exists");
    let (before, rest) = page.split_once(start).expect("the mark before the table");
    let (table, after) = rest.split_once(end).expect("the mark after the table");
    let wanted = format!("\n{}\n", names::page());
    if std::env::var_os("NUBIUM_BLESS").is_some() {
        let page = [before, start, &wanted, end, after].concat();
        return std::fs::write(PAGE, page).expect("docs/metrics.md can be written");
    }
    assert!(
        table == wanted,
        "docs/metrics.md differs from the table of names; run\n    \
        NUBIUM_BLESS=1 cargo test -p nubium-metrics metrics_page"
    );
}

/// Every query of the page asks for metrics that there are, by labels that they have.
#[test]
fn the_queries_of_the_page_name_metrics_of_the_table() {
    let page = std::fs::read_to_string(PAGE).expect("docs/metrics.md exists");
    let queries = page.split_once("## What to ask").expect("queries").1;
    let queries = queries.split_once("\n## ").expect("an end").0;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut named = HashSet::new();
    for query in queries.split('`').skip(1).step_by(2) {
        let found = query.split(|c| !word(c)).filter_map(|word| {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|s| word.strip_suffix(s));
            let is = |metric: &&names::Metric| metric.name == word || Some(metric.name) == family;
            ALL.iter().find(is).map(|metric| metric.name)
        });
        let found: Vec<_> = found.collect();
        let of_cache = query.contains("push_time_seconds");
        assert!(!found.is_empty() || of_cache, "no metric of the table: {query}");
        named.extend(found);
    }
    assert!(named.len() >= 10, "{named:?}");
}
