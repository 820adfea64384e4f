//! The rules between settings. A rule is left out when one of its settings is wrong by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::Config;
use super::choice::{ErrorPolicy, GroupProtocol};
use super::parse;
use super::reader::{Reader, known};
use super::secret::Secret;

const TRANSACTION_TIMEOUT: &str = "NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS";
const SESSION_TIMEOUT: &str = "NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS";
const HEARTBEAT: &str = "NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS";
const MAX_POLL: &str = "NU_CONSUMER_TIMEOUT_LIMIT_MINUTES";

/// Checks every rule and notes problems and warnings with the reader.
pub(super) fn check(config: &Config, reader: &mut Reader) {
    let mut rules = Rules { config, reader };
    rules.registry();
    rules.group();
    rules.polling();
    rules.sizes();
    rules.transaction();
    rules.errors();
    rules.topics();
    rules.clusters();
    rules.pass_through();
    rules.process();
    rules.pushing();
}

/// Checks that the registry's login is whole.
pub(super) fn registry_login(reader: &mut Reader) {
    login(reader, "NU_SCHEMA_REGISTRY_USERNAME", "NU_SCHEMA_REGISTRY_PASSWORD");
}

fn login(reader: &mut Reader, username: &str, password: &str) {
    let (has_username, has_password) = (reader.is_given(username), reader.is_given(password));
    let expected = "username and password together, or neither";
    demand(reader, &[password, username], has_password || !has_username, expected);
    demand(reader, &[username, password], has_username || !has_password, expected);
}

fn demand(reader: &mut Reader, names: &[&str], kept: bool, expected: &str) {
    if kept || reader.is_wrong(names) {
        return;
    }
    let read = reader.shown(names);
    reader.problem(known(names[0]), String::new(), read, expected.into());
}

struct Rules<'a> {
    config: &'a Config,
    reader: &'a mut Reader,
}

impl Rules<'_> {
    /// Notes a problem when the rule between `names` is broken; the first is the one to change.
    fn demand(&mut self, names: &[&str], kept: bool, expected: &str) {
        demand(self.reader, names, kept, expected);
    }

    /// Warns when the advice about `names` is not followed.
    fn advise(&mut self, names: &[&str], followed: bool, text: &str) {
        if !followed && !self.reader.is_wrong(names) {
            let text = format!("{}: {text}", self.reader.shown(names));
            self.reader.warn(names[0], text);
        }
    }

    fn registry(&mut self) {
        registry_login(self.reader);
    }

    fn group(&mut self) {
        let consumer = &self.config.consumer;
        let (session, heartbeat) = (consumer.session_timeout, consumer.heartbeat_interval);
        if consumer.group_protocol == GroupProtocol::Consumer {
            for name in [SESSION_TIMEOUT, HEARTBEAT, "NU_CONSUMER_ASSIGNMENT_STRATEGY"] {
                let kept = !self.reader.is_given(name);
                let expected = "nothing: with the group protocol `consumer` the broker decides \
                    this (group.consumer.* in its configuration)";
                self.demand(&[name, "NU_CONSUMER_GROUP_PROTOCOL"], kept, expected);
            }
            return;
        }
        self.demand(
            &[SESSION_TIMEOUT, HEARTBEAT],
            session >= heartbeat * 3,
            "at least three times the heartbeat interval, so that one lost heartbeat does not \
                cost the membership",
        );
        self.demand(
            &[MAX_POLL, SESSION_TIMEOUT],
            consumer.max_poll_interval >= session,
            "at least as long as the session time-out, which librdkafka demands",
        );
        self.advise(
            &[TRANSACTION_TIMEOUT, SESSION_TIMEOUT],
            self.config.producer.transaction_timeout <= session,
            "whoever takes over partitions waits for the transaction of an app that died; keep \
                the transaction time-out below the session time-out",
        );
    }

    fn polling(&mut self) {
        let consumer = &self.config.consumer;
        let name = "NU_CONSUMER_POLL_TIMEOUT";
        let kept = consumer.poll_timeout < consumer.max_poll_interval;
        self.demand(&[name, MAX_POLL], kept, "less than the time allowed between two polls");
        let name = "NU_CONSUMER_TIMESTAMP_OFFSET_MINUTES";
        let followed = consumer.timestamp_offset <= Duration::from_secs(7 * 24 * 3_600);
        let text = "longer than the 7 days that topics keep messages by default; messages may be \
            deleted before they are handled";
        self.advise(&[name], followed, text);
    }

    fn sizes(&mut self) {
        let consumer = &self.config.consumer;
        let message = "NU_CONSUMER_MESSAGE_BATCH_MAX_MB";
        let fetch = "NU_CONSUMER_MESSAGE_TOTAL_MAX_MB";
        let queue = "NU_CONSUMER_MESSAGE_QUEUE_MAX_MB";
        let kept = consumer.fetch_max_bytes >= consumer.message_max_bytes;
        self.demand(&[fetch, message], kept, "at least the size of the largest message");
        let kept = consumer.queue_max_bytes >= consumer.fetch_max_bytes;
        self.demand(&[queue, fetch], kept, "at least the size of one fetch");
    }

    fn transaction(&mut self) {
        let timeout = self.config.producer.transaction_timeout;
        let kept = timeout <= Duration::from_secs(900);
        let expected = "at most 900: brokers refuse more than 15 minutes \
            (transaction.max.timeout.ms)";
        self.demand(&[TRANSACTION_TIMEOUT], kept, expected);
        let name = "NU_SHUTDOWN_TIMEOUT_SECONDS";
        let followed = self.config.operation.shutdown_timeout >= timeout;
        let text = "the last transaction may not get the time to finish";
        self.advise(&[name, TRANSACTION_TIMEOUT], followed, text);
    }

    fn errors(&mut self) {
        let errors = self.config.errors;
        let (policy, failure) = ("NU_ERROR_POLICY", "NU_PRODUCE_FAILURE_TOPICS");
        let dead_letter = errors.policy == ErrorPolicy::DeadLetter;
        let kept = !dead_letter || !self.config.routes.failure.is_empty();
        self.demand(&[failure, policy], kept, "a topic for the messages that fail");
        let first = "NU_ERROR_RETRY_BACKOFF_MILLISECONDS";
        let max = "NU_ERROR_RETRY_BACKOFF_MAX_MILLISECONDS";
        let kept = errors.backoff <= errors.backoff_max;
        self.demand(&[max, first], kept, "at least the first wait");
        let kept = errors.backoff_max < self.config.consumer.max_poll_interval;
        self.demand(&[max, MAX_POLL], kept, "less than the time allowed between two polls");
    }

    fn topics(&mut self) {
        let routes = &self.config.routes;
        let (consume, failure) = ("NU_CONSUME_TOPICS", "NU_PRODUCE_FAILURE_TOPICS");
        let lists = [
            (consume, &routes.consume),
            ("NU_PRODUCE_SUCCESS_TOPICS", &routes.success),
            ("NU_PRODUCE_RETRY_TOPICS", &routes.retry),
            (failure, &routes.failure),
        ];
        for (name, list) in lists {
            let repeated = parse::repeated(list).join(", ");
            let expected = format!("each topic once; {repeated} stands there more often");
            self.demand(&[name], repeated.is_empty(), &expected);
        }
        let consumed: BTreeSet<&String> = routes.consume.iter().collect();
        let looping = routes.failure.iter().any(|topic| consumed.contains(topic));
        let expected = "topics that the app does not consume; it would fail at its own failures";
        self.demand(&[failure, consume], !looping, expected);
        self.chain();
        let routes = &self.config.routes;
        let followed = routes.retry_count_max == 0 || !routes.consume.is_empty();
        let text = "retries go to the app's own topic, which only the code can name then";
        self.advise(&["NU_RETRY_COUNT_MAX", consume], followed, text);
    }

    /// The retry topics are gone along one by one, and what has failed goes to one topic.
    fn chain(&mut self) {
        let routes = &self.config.routes;
        let retry = "NU_PRODUCE_RETRY_TOPICS";
        let (failure, delays) = ("NU_PRODUCE_FAILURE_TOPICS", "NU_RETRY_DELAYS_MINUTES");
        let kept = routes.failure.len() <= 1;
        self.demand(&[failure], kept, "one topic: nothing would ever go to the others");
        let looping = routes.failure.iter().any(|topic| routes.retry.contains(topic));
        let expected = "a topic that is not one of the retry topics";
        self.demand(&[failure, retry], !looping, expected);
        let kept = routes.delays.is_empty() || routes.delays.len() == routes.retry.len();
        self.demand(&[delays, retry], kept, "as many times as there are retry topics");
        let shrinking = routes.delays.windows(2).any(|two| two[1] < two[0]);
        let text = "a later retry waits less than an earlier one";
        self.advise(&[delays], !shrinking, text);
    }

    fn clusters(&mut self) {
        let maps = [
            "NU_KAFKA_CLUSTERS_CONFIGS_JSON",
            "NU_KAFKA_CLUSTERS_CONFIGS_YAML",
            "NU_TOPIC_CONFIGS_JSON",
            "NU_TOPIC_CONFIGS_YAML",
        ];
        let names: Vec<&str> = self.config.routes.all().collect();
        if self.reader.is_wrong(&maps) || names.is_empty() {
            return;
        }
        if let Err(problem) = self.config.places().cluster_for(&names) {
            self.reader.problems.push(problem);
        }
        self.reader.warnings.extend(self.config.unmapped(names.into_iter()));
    }

    fn pass_through(&mut self) {
        let properties = &self.config.properties;
        let number = |map: &BTreeMap<String, Secret>, name: &str| {
            map.get(name).and_then(|text| text.expose().parse::<u64>().ok())
        };
        let (all, of_producer) = (&properties.both, &properties.producer);
        let limit = self.config.producer.transaction_timeout.as_millis() as u64 + 100;
        let sources =
            [("NU_KAFKA_PROPERTIES_JSON", all), ("NU_PRODUCER_PROPERTIES_JSON", of_producer)];
        for (name, map) in sources {
            let kept = number(map, "socket.timeout.ms").is_none_or(|ms| ms <= limit);
            let expected =
                format!("socket.timeout.ms at most {limit}: the transaction time-out plus 100");
            self.demand(&[name, TRANSACTION_TIMEOUT], kept, &expected);
        }
        let fetch = "NU_CONSUMER_MESSAGE_TOTAL_MAX_MB";
        let least = self.config.consumer.fetch_max_bytes + 512;
        let sources = [
            ("NU_KAFKA_PROPERTIES_JSON", all),
            ("NU_CONSUMER_PROPERTIES_JSON", &properties.consumer),
        ];
        for (name, map) in sources {
            let kept = number(map, "receive.message.max.bytes").is_none_or(|bytes| bytes >= least);
            let expected =
                format!("receive.message.max.bytes at least {least}: one fetch plus 512");
            self.demand(&[name, fetch], kept, &expected);
        }
    }

    fn pushing(&mut self) {
        let names = ["NU_METRICS_USERNAME", "NU_METRICS_PASSWORD", "NU_METRICS_BEARER_TOKEN"];
        let [username, password, token] = names.map(|name| self.reader.is_given(name));
        let [name, password_name, token_name] = names;
        login(self.reader, name, password_name);
        let expected = "either a bearer token or a username, not both";
        self.demand(&[token_name, name], !(token && username && password), expected);
        let (ca, tls) = ("NU_METRICS_CA_FILE", "NU_METRICS_TLS");
        let kept = self.config.metrics.tls || !self.reader.is_given(ca);
        self.demand(&[tls, ca], kept, "true: certificates are checked with https alone");
    }

    fn process(&mut self) {
        let Config { app, operation, .. } = self.config;
        if let Some(path) = &operation.health_file {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let kept = directory.unwrap_or(Path::new(".")).is_dir() && !path.is_dir();
            let expected = "the path of a file in a directory that exists, or off";
            self.demand(&["NU_HEALTH_FILE"], kept, expected);
        }
        let shared = matches!(app.hostname.as_str(), "localhost" | "localhost.localdomain");
        let text = "every instance must have a name of its own, or they fence each other off";
        self.advise(&["NU_HOSTNAME"], !shared, text);
        let listens = operation.probe.is_some() || !self.reader.is_given("NU_PROBE_ADDRESS");
        let text = "nothing listens there until NU_PROBE_PORT is set";
        self.advise(&["NU_PROBE_ADDRESS", "NU_PROBE_PORT"], listens, text);
    }
}
