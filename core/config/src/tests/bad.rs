//! Settings that are refused: each names itself and says what it accepts.

use super::{UNSET, bad, load};

const CLUSTERS: &str = "NU_KAFKA_CLUSTERS_CONFIGS_JSON";
const CLUSTERS_YAML: &str = "NU_KAFKA_CLUSTERS_CONFIGS_YAML";
const TOPICS: &str = "NU_TOPIC_CONFIGS_JSON";
const TOPICS_YAML: &str = "NU_TOPIC_CONFIGS_YAML";
const POLL: &str = "NU_CONSUMER_POLL_TIMEOUT";
const MAX_POLL: &str = "NU_CONSUMER_TIMEOUT_LIMIT_MINUTES";
const OFFSET: &str = "NU_CONSUMER_TIMESTAMP_OFFSET_MINUTES";
const RESET: &str = "NU_CONSUMER_AUTO_OFFSET_RESET";
const SESSION: &str = "NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS";
const HEARTBEAT: &str = "NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS";
const AUTO_COMMIT: &str = "NU_CONSUMER_AUTO_COMMIT_INTERVAL_SECONDS";
const MESSAGE_MB: &str = "NU_CONSUMER_MESSAGE_BATCH_MAX_MB";
const FETCH_MB: &str = "NU_CONSUMER_MESSAGE_TOTAL_MAX_MB";
const QUEUE_MB: &str = "NU_CONSUMER_MESSAGE_QUEUE_MAX_MB";
const BATCH_COUNT: &str = "NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_COUNT";
const BATCH_TIME: &str = "NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_TIME_SECONDS";
const REGISTRY: &str = "NU_SCHEMA_REGISTRY_URL";
const TRANSACTION: &str = "NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS";
const BACKOFF: &str = "NU_ERROR_RETRY_BACKOFF_MILLISECONDS";
const BACKOFF_MAX: &str = "NU_ERROR_RETRY_BACKOFF_MAX_MILLISECONDS";
const PROPERTIES: &str = "NU_KAFKA_PROPERTIES_JSON";
const CONSUMER_PROPERTIES: &str = "NU_CONSUMER_PROPERTIES_JSON";
const PRODUCER_PROPERTIES: &str = "NU_PRODUCER_PROPERTIES_JSON";
const FAILURE: &str = "NU_PRODUCE_FAILURE_TOPICS";

/// One setting, one value that is refused, and a part of what is then said to be accepted.
const SINGLE: &[(&str, &str, &str)] = &[
    ("NU_APP_NAME", UNSET, "expected: text"),
    ("NU_APP_NAME", "  ", "not set"),
    ("NU_APP_NAME", "a\nb", "a control character"),
    ("NU_HOSTNAME", UNSET, "HOSTNAME would be used"),
    ("NU_HOSTNAME", "a\tb", "a control character"),
    ("NU_MP_PROJECT", UNSET, "or set NU_METRICS_SERVICE_NAME"),
    ("NU_APP_THREADS", "0", "a whole number from 1 to 256"),
    ("NU_APP_THREADS", "two", "a whole number from 1 to 256"),
    ("NU_LOGLEVEL", "LOUD", "one of TRACE, DEBUG, INFO"),
    ("NU_LOG_FORMAT", "xml", "one of text, json"),
    (CLUSTERS, UNSET, "or set NU_KAFKA_CLUSTERS_CONFIGS_YAML"),
    (CLUSTERS, "{main", "not JSON from line 1 column 2"),
    (CLUSTERS, "[]", "no object"),
    (CLUSTERS, "{}", "at least one cluster"),
    (CLUSTERS, r#"{"main": "b:9092"}"#, "expected: a map"),
    (CLUSTERS, r#"{"main": {}}"#, "brokers as host:port"),
    (CLUSTERS, r#"{"main": {"url": 9092}}"#, "text in quotes"),
    (CLUSTERS, r#"{"main": {"url": "b:99999"}}"#, "brokers as host:port"),
    (CLUSTERS, r#"{"main": {"url": "b:1,,c:1"}}"#, "brokers as host:port"),
    (CLUSTERS, r#"{"main": {"url": "b", "username": "u"}}"#, "username and password together"),
    (CLUSTERS, r#"{"main": {"url": "b", "password": "p"}}"#, "username and password together"),
    (CLUSTERS, r#"{"main": {"url": "b", "security_protocol": "TLS"}}"#, "one of PLAINTEXT, SSL"),
    (
        CLUSTERS,
        r#"{"main": {"url": "b", "username": "u", "password": "p", "sasl_mechanism": "MD5"}}"#,
        "one of PLAIN, SCRAM-SHA-256",
    ),
    (
        CLUSTERS,
        r#"{"main": {"url": "b", "security_protocol": "SASL_SSL"}}"#,
        "username and password together",
    ),
    (
        CLUSTERS,
        r#"{"main": {"url": "b", "security_protocol": "SSL", "username": "u", "password": "p"}}"#,
        "they would not be used",
    ),
    (CLUSTERS, r#"{"main": {"url": "b", "ssl_ca_location": "/nowhere"}}"#, "a readable file"),
    (
        CLUSTERS,
        r#"{"main": {"url": "b", "username": "u", "password": "p", "password_file": "/p"}}"#,
        "only one of password and password_file",
    ),
    (CLUSTERS_YAML, "/nowhere/clusters.yaml", "JSON or NU_KAFKA_CLUSTERS_CONFIGS_YAML, not both"),
    (TOPICS, UNSET, "or set NU_TOPIC_CONFIGS_YAML"),
    (TOPICS, "in: main", "a JSON object"),
    (TOPICS, r#"{"in": "main"}"#, "expected: a map"),
    (TOPICS, r#"{"in": {}}"#, "the name of a cluster"),
    (TOPICS, r#"{"a b": {"cluster": "main"}}"#, "a topic name"),
    (
        TOPICS,
        r#"{"in": {"cluster": "main", "configs": {"num_partitions": 0}}}"#,
        "a whole number from 1",
    ),
    (TOPICS, r#"{"in": {"cluster": "main", "configs": []}}"#, "expected: a map"),
    (TOPICS_YAML, "/nowhere/topics.yaml", "JSON or NU_TOPIC_CONFIGS_YAML, not both"),
    ("NU_KAFKA_SECURITY_PROTOCOL", "TLS", "one of PLAINTEXT"),
    ("NU_KAFKA_SASL_MECHANISM", "MD5", "one of PLAIN"),
    ("NU_KAFKA_SSL_CA_LOCATION", "/nowhere/ca.pem", "a readable file"),
    ("NU_KAFKA_SSL_KEY_LOCATION", "/nowhere/key.pem", "a readable file"),
    ("NU_KAFKA_SSL_CERTIFICATE_LOCATION", "/nowhere/cert.pem", "a readable file"),
    (PROPERTIES, "socket.timeout.ms=1", "librdkafka property to value"),
    (PROPERTIES, r#"{"enable.idempotence": false}"#, "lost, doubled or out of order"),
    (PROPERTIES, r#"{"request.required.acks": 1}"#, "lost, doubled or out of order"),
    (PROPERTIES, r#"{"nonsense.ms": 1}"#, "a property that librdkafka knows"),
    (PROPERTIES, r#"{"socket.timeout.ms": "soon"}"#, "a value that librdkafka accepts"),
    (PROPERTIES, r#"{"socket.timeout.ms": 60000}"#, "at most 10100"),
    (PROPERTIES, r#"{"client.rack": null}"#, "text, a number, true or false"),
    (CONSUMER_PROPERTIES, r#"{"isolation.level": "read_uncommitted"}"#, "aborted transactions"),
    (CONSUMER_PROPERTIES, r#"{"enable.auto.commit": true}"#, "in one transaction"),
    (CONSUMER_PROPERTIES, r#"{"group.id": "x"}"#, "set NU_APP_NAME instead"),
    (CONSUMER_PROPERTIES, r#"{"receive.message.max.bytes": 1000000}"#, "at least 3146240"),
    (PRODUCER_PROPERTIES, r#"{"transactional.id": "x"}"#, "set NU_HOSTNAME instead"),
    (PRODUCER_PROPERTIES, r#"{"partitioner": "random"}"#, "where Java clients put them"),
    (PRODUCER_PROPERTIES, r#"{"max.in.flight": 1000}"#, "lost, doubled or out of order"),
    (REGISTRY, UNSET, "http or https addresses"),
    (REGISTRY, "ftp://registry", "http or https addresses"),
    (REGISTRY, "http://registry:99999", "http or https addresses"),
    (REGISTRY, "http://a,,http://b", "http or https addresses"),
    (REGISTRY, "https://u:p@registry", "without username and password"),
    ("NU_SCHEMA_REGISTRY_USERNAME", "u", "username and password together"),
    ("NU_SCHEMA_REGISTRY_PASSWORD", "p", "username and password together"),
    ("NU_SCHEMA_REGISTRY_PASSWORD_FILE", "/nowhere/password", "a readable file"),
    ("NU_SCHEMA_REGISTRY_AUTO_REGISTER", "maybe", "true or false"),
    ("NU_SCHEMA_REGISTRY_TIMEOUT_SECONDS", "0", "a number from 0.1 to 300"),
    ("NU_CONSUME_TOPICS", "in,,out", "topic names separated by commas"),
    ("NU_CONSUME_TOPICS", "in;out", "topic names separated by commas"),
    ("NU_CONSUME_TOPICS", "in,out,in", "each topic once; in stands there more often"),
    ("NU_PRODUCE_SUCCESS_TOPICS", "..", "topic names separated by commas"),
    ("NU_PRODUCE_RETRY_TOPICS", "a/b", "topic names separated by commas"),
    (FAILURE, "a b", "topic names separated by commas"),
    ("NU_RETRY_COUNT_MAX", "-1", "a whole number from 0"),
    ("NU_RETRY_COUNT_MAX", "99999999999999999999", "a whole number from 0"),
    (POLL, "soon", "seconds, a number from 0.01 to 3600"),
    (POLL, "-5", "too small"),
    (POLL, "1e3", "not a number"),
    (POLL, "nan", "not a number"),
    (POLL, "1.2.3", "not a number"),
    (POLL, "120", "less than the time allowed between two polls"),
    (MAX_POLL, "0", "minutes, a number from 0.01"),
    (MAX_POLL, "2 min", "minutes, a number from 0.01"),
    (MAX_POLL, "1", "at least as long as the session time-out"),
    (OFFSET, "-1", "minutes, a number from 0"),
    (OFFSET, "9999999999", "too large"),
    (RESET, "newest", "one of earliest, latest, error"),
    (SESSION, "ninety", "seconds, a number from 0.1 to 3600"),
    (SESSION, "4000", "too large"),
    (SESSION, "8", "at least three times the heartbeat interval"),
    (HEARTBEAT, "0", "seconds, a number from 0.01 to 3600"),
    (AUTO_COMMIT, "0", "seconds, a number from 0.01"),
    (MESSAGE_MB, "2MB", "megabytes (2^20 bytes)"),
    (MESSAGE_MB, "0", "too small"),
    (FETCH_MB, "4096", "too large"),
    (FETCH_MB, "1", "at least the size of the largest message"),
    (QUEUE_MB, "ten", "megabytes (2^20 bytes)"),
    (QUEUE_MB, "2", "at least the size of one fetch"),
    (BATCH_COUNT, "0", "a whole number from 1"),
    (BATCH_COUNT, "1.5", "not a whole number"),
    (BATCH_TIME, "x", "seconds, a number from 0"),
    ("NU_CONSUMER_GROUP_PROTOCOL", "next", "one of classic, consumer"),
    ("NU_CONSUMER_ASSIGNMENT_STRATEGY", "sticky", "one of cooperative-sticky, range"),
    (TRANSACTION, "0.5", "seconds, a number from 1"),
    (TRANSACTION, "901", "brokers refuse more than 15 minutes"),
    ("NU_PRODUCER_COMPRESSION_TYPE", "bzip2", "one of none, lz4"),
    ("NU_PRODUCER_MESSAGE_MAX_MB", "-1", "megabytes (2^20 bytes)"),
    ("NU_OUTBOX_MAX_COUNT", "0", "a whole number from 1"),
    ("NU_OUTBOX_MAX_MB", "1000", "too large"),
    ("NU_OUTBOX_MAX_AGE_MILLISECONDS", "100ms", "milliseconds, a number"),
    ("NU_ERROR_POLICY", "ignore", "one of stop, dead_letter"),
    ("NU_MISSING_HEADERS", "drop", "one of make, require"),
    ("NU_RETRY_DELAYS_MINUTES", "5,soon", "numbers from 0 to 525600"),
    ("NU_ERROR_RETRY_MAX", "-1", "a whole number from 0"),
    (BACKOFF, "0", "milliseconds, a number from 1"),
    (BACKOFF_MAX, "x", "milliseconds, a number from 1"),
    (BACKOFF_MAX, "10", "at least the first wait"),
    (BACKOFF_MAX, "120000", "less than the time allowed between two polls"),
    ("NU_HEALTH_FILE", "/nowhere/health", "in a directory that exists, or off"),
    ("NU_PROBE_PORT", "0", "a whole number from 1 to 65535"),
    ("NU_PROBE_PORT", "70000", "a whole number from 1 to 65535"),
    ("NU_PROBE_ADDRESS", "everywhere", "an IP address"),
    ("NU_SHUTDOWN_TIMEOUT_SECONDS", "0", "seconds, a number from 0.1"),
    ("NU_BROKER_OUTAGE_LIMIT_SECONDS", "-1", "seconds, a number from 0"),
    ("NU_DO_METRICS_PUSHING", "2", "true or false"),
    ("NU_METRICS_PUSH_RATE", "often", "seconds, a number from 0.1"),
    ("NU_METRICS_SERVICE_PORT", "0", "a whole number from 1 to 65535"),
    ("NU_METRICS_POD_PORT", "http", "a whole number from 1 to 65535"),
    ("NU_METRICS_PUSH_TIMEOUT_SECONDS", "0", "seconds, a number from 0.1"),
    ("NU_METRICS_EXIT_TIMEOUT_SECONDS", "-1", "seconds, a number from 0"),
    ("NU_METRICS_DELETE_ON_EXIT", "perhaps", "true or false"),
    ("NU_METRICS_AS_GAUGES", "perhaps", "true or false"),
    ("NU_METRICS_TLS", "1.3", "true or false"),
    ("NU_METRICS_CA_FILE", "/nowhere/ca.pem", "no such file"),
    ("NU_METRICS_CA_FILE", "/dev/null", "no certificate in PEM format"),
    ("NU_METRICS_USERNAME", "ann", "username and password together"),
    ("NU_METRICS_PASSWORD", "x", "username and password together"),
    ("NU_METRICS_DNS_SERVER", "dns.example", "an IP address, or one with a port"),
    ("NU_SCHEMA_REGISTRY_CA_FILE", "/nowhere/ca.pem", "no such file"),
];

type Changes = &'static [(&'static str, &'static str)];

/// Settings that are refused only together, and the one that is then named.
const TOGETHER: &[(Changes, &str, &str)] = &[
    (&[("NU_ERROR_POLICY", "dead_letter")], FAILURE, "a topic for the messages that fail"),
    (&[(FAILURE, "failed,other")], FAILURE, "one topic"),
    (
        &[(FAILURE, "late"), ("NU_PRODUCE_RETRY_TOPICS", "soon,late")],
        FAILURE,
        "not one of the retry topics",
    ),
    (
        &[("NU_RETRY_DELAYS_MINUTES", "5"), ("NU_PRODUCE_RETRY_TOPICS", "soon,late")],
        "NU_RETRY_DELAYS_MINUTES",
        "as many times as there are retry topics",
    ),
    (&[("NU_CONSUME_TOPICS", "in"), (FAILURE, "in")], FAILURE, "does not consume"),
    (&[(HEARTBEAT, "31")], SESSION, "at least three times"),
    (&[(CLUSTERS, UNSET), (CLUSTERS_YAML, "/nowhere/c.yaml")], CLUSTERS_YAML, "no such file"),
    (&[(TOPICS, UNSET), (TOPICS_YAML, "/nowhere/t.yaml")], TOPICS_YAML, "no such file"),
    (&[(TOPICS, UNSET), (TOPICS_YAML, "/dev/null")], TOPICS_YAML, "no map"),
    (&[("NU_KAFKA_USERNAME", "u")], CLUSTERS, "username and password together"),
    (
        &[
            ("NU_METRICS_USERNAME", "u"),
            ("NU_METRICS_PASSWORD", "p"),
            ("NU_METRICS_BEARER_TOKEN", "t"),
        ],
        "NU_METRICS_BEARER_TOKEN",
        "either a bearer token or a username",
    ),
    (
        &[("NU_CONSUME_TOPICS", "in"), (TOPICS, r#"{"in": {"cluster": "mian"}}"#)],
        TOPICS,
        "did you mean main?",
    ),
    (
        &[
            ("NU_CONSUME_TOPICS", "in"),
            ("NU_PRODUCE_SUCCESS_TOPICS", "out"),
            (CLUSTERS, r#"{"main": {"url": "b"}, "other": {"url": "c"}}"#),
            (TOPICS, r#"{"in": {"cluster": "main"}, "out": {"cluster": "other"}}"#),
        ],
        TOPICS,
        "a transaction cannot span two",
    ),
    (&[("NU_CONSUMER_GROUP_PROTOCOL", "consumer"), (SESSION, "60")], SESSION, "the broker decides"),
    (
        &[("NU_CONSUMER_GROUP_PROTOCOL", "consumer"), (HEARTBEAT, "3")],
        HEARTBEAT,
        "the broker decides",
    ),
    (
        &[("NU_CONSUMER_GROUP_PROTOCOL", "consumer"), ("NU_CONSUMER_ASSIGNMENT_STRATEGY", "range")],
        "NU_CONSUMER_ASSIGNMENT_STRATEGY",
        "the broker decides",
    ),
];

/// Loads and expects one problem alone, so that no bad setting drags others along.
fn check(changes: &[(&str, &str)], name: &str, accepted: &str) {
    let problems = bad(changes);
    let printed = problems.to_string();
    assert_eq!(problems.0.len(), 1, "{changes:?}: {printed}");
    assert!(printed.contains(name), "{name} is not named: {printed}");
    assert!(printed.contains(accepted), "{changes:?}: {accepted:?} is not said: {printed}");
    let example = &problems.0[0].example;
    assert!(example.starts_with("NU_") && example.contains('='), "{changes:?}: {example}");
}

#[test]
fn each_bad_setting_is_named_with_what_it_accepts() {
    assert!(SINGLE.len() + TOGETHER.len() >= 64);
    for (name, text, accepted) in SINGLE {
        check(&[(name, text)], name, accepted);
    }
    for (changes, name, accepted) in TOGETHER {
        check(changes, name, accepted);
    }
}

#[test]
fn no_problem_hides_another() {
    // The first value of each name breaks by itself, except where two names are judged together.
    let alone = |name: &str| !name.ends_with("NAME") && !name.ends_with("PASSWORD");
    let mut changes: Vec<(&str, &str)> = Vec::new();
    for (name, text, _) in SINGLE {
        let is_new = changes.iter().all(|(listed, _)| listed != name);
        let is_text = !name.ends_with("_YAML") && !name.ends_with("_FILE");
        if is_new && is_text && (alone(name) || *text == UNSET) {
            changes.push((name, text));
        }
    }
    assert!(changes.len() >= 50);
    let printed = bad(&changes).to_string();
    for (name, _) in &changes {
        assert!(printed.contains(&format!("  {name}")), "{name} is missing: {printed}");
    }
}

#[test]
fn the_list_is_readable() {
    let problems = load(&[(POLL, "soon"), ("NU_APP_NAME", UNSET)]).expect_err("two are wrong");
    let expected = "\
NU-2001: 2 problems with the settings; nothing was started.

  NU_APP_NAME
    read:     nothing: it is not set
    expected: text
    example:  NU_APP_NAME=contact_funnel

  NU_CONSUMER_POLL_TIMEOUT
    read:     \"soon\" (not a number)
    expected: seconds, a number from 0.01 to 3600
    example:  NU_CONSUMER_POLL_TIMEOUT=5
";
    assert_eq!(problems.to_string(), expected);
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_a_problem_and_no_panic() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let vars = [(OsString::from("NU_APP_NAME"), OsString::from_vec(vec![0xff, 0xfe]))];
    let raw = crate::raw::Raw::from_process(vars.into_iter());
    let problems = crate::load::load(raw).expect_err("the name is no text");
    let named = problems.0.iter().filter(|problem| problem.setting == "NU_APP_NAME");
    assert_eq!(
        named.map(|problem| &*problem.read).collect::<Vec<_>>(),
        ["bytes that are not UTF-8"]
    );
}
