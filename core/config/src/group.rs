//! The typed settings, grouped by what uses them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::certificate::Certificates;
use nubium_host::logging::{LogFormat as HostFormat, LogLevel as HostLevel};

use super::choice::{
    AssignmentStrategy, AutoOffsetReset, Choice as _, Compression, DeleteMarker, ErrorPolicy,
    GroupProtocol, LogFormat, LogLevel, MissingHeaders, Ordering,
};
use super::secret::Secret;

/// Says who the app is.
#[derive(Debug, Clone)]
pub struct App {
    /// `NU_APP_NAME`: consumer group, metrics label, changelog prefix.
    pub name: String,
    /// `NU_HOSTNAME`: unique for each instance.
    pub hostname: String,
    /// `NU_MP_PROJECT`: the namespace.
    pub project: Option<String>,
    /// `NU_APP_THREADS`: independent loops in this process.
    pub threads: u32,
    /// `NU_APP_CONCURRENCY`: messages of one loop in the function at once.
    pub concurrency: u32,
    /// `NU_APP_ORDERING`: what waits for what then.
    pub ordering: Ordering,
    /// `NU_APP_CONCURRENCY_WINDOW`: messages of one loop in hand at most.
    pub concurrency_window: u32,
}

/// Says how log lines look.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// `NU_LOGLEVEL`.
    pub level: LogLevel,
    /// `NU_LOG_FORMAT`.
    pub format: LogFormat,
}

impl Log {
    /// Gives what [`nubium_host::daemon::begin`] takes.
    ///
    /// # Errors
    /// A name that one knows and the other does not.
    pub fn for_host(&self) -> Result<(HostLevel, HostFormat), String> {
        Ok((self.level.name().parse()?, self.format.name().parse()?))
    }
}

/// Says where the schema registry is.
#[derive(Debug, Clone)]
pub struct Registry {
    /// `NU_SCHEMA_REGISTRY_URL`: never empty, tried in turn.
    pub urls: Vec<Url>,
    /// `NU_SCHEMA_REGISTRY_USERNAME` and `_PASSWORD`.
    pub auth: Option<BasicAuth>,
    /// `NU_SCHEMA_REGISTRY_CA_FILE`: trusted beside the system's.
    pub ca: Option<Certificates>,
    /// `NU_SCHEMA_REGISTRY_AUTO_REGISTER`: register the schemas of outputs, or only look up.
    pub auto_register: bool,
    /// `NU_SCHEMA_REGISTRY_TIMEOUT_SECONDS`: the bound of one request.
    pub timeout: Duration,
}

/// Holds a username and a password for HTTP basic auth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicAuth {
    /// The username.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Says which topics the app uses, and how often it retries on its own one.
#[derive(Debug, Clone)]
pub struct Routes {
    /// `NU_CONSUME_TOPICS`.
    pub consume: Vec<String>,
    /// `NU_PRODUCE_SUCCESS_TOPICS`.
    pub success: Vec<String>,
    /// `NU_PRODUCE_RETRY_TOPICS`: a chain, from the first on.
    pub retry: Vec<String>,
    /// `NU_RETRY_DELAYS_MINUTES`: the age of a message of each retry topic, or none.
    pub delays: Vec<Duration>,
    /// `NU_PRODUCE_FAILURE_TOPICS`: one, or none.
    pub failure: Vec<String>,
    /// `NU_RETRY_COUNT_MAX`: retries on the same topic.
    pub retry_count_max: u32,
}

impl Routes {
    /// Walks over every topic of the four lists, the consumed ones first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let lists = [&self.consume, &self.success, &self.retry, &self.failure];
        lists.into_iter().flatten().map(String::as_str)
    }
}

/// Says how messages are consumed.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// `NU_CONSUMER_POLL_TIMEOUT`.
    pub poll_timeout: Duration,
    /// `NU_CONSUMER_TIMEOUT_LIMIT_MINUTES`: max.poll.interval.
    pub max_poll_interval: Duration,
    /// `NU_CONSUMER_TIMESTAMP_OFFSET_MINUTES`: the age a message must have.
    pub timestamp_offset: Duration,
    /// `NU_CONSUMER_AUTO_OFFSET_RESET`.
    pub auto_offset_reset: AutoOffsetReset,
    /// `NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS`: session.timeout, classic protocol only.
    pub session_timeout: Duration,
    /// `NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS`: classic protocol only.
    pub heartbeat_interval: Duration,
    /// `NU_CONSUMER_AUTO_COMMIT_INTERVAL_SECONDS`: plain consumers only.
    pub auto_commit_interval: Duration,
    /// `NU_CONSUMER_MESSAGE_BATCH_MAX_MB`, in bytes.
    pub message_max_bytes: u64,
    /// `NU_CONSUMER_MESSAGE_TOTAL_MAX_MB`, in bytes.
    pub fetch_max_bytes: u64,
    /// `NU_CONSUMER_MESSAGE_QUEUE_MAX_MB`, in bytes.
    pub queue_max_bytes: u64,
    /// `NU_CONSUMER_GROUP_PROTOCOL`.
    pub group_protocol: GroupProtocol,
    /// `NU_CONSUMER_ASSIGNMENT_STRATEGY`: classic protocol only.
    pub assignment_strategy: AssignmentStrategy,
    /// `NU_CONSUMER_GROUP_INSTANCE_ID` with `hostname` filled in; none means dynamic membership.
    pub group_instance_id: Option<String>,
    /// `NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_COUNT`: batch apps only.
    pub batch_max_count: u64,
    /// `NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_TIME_SECONDS`: batch apps only.
    pub batch_max_time: Duration,
    /// `NU_BATCH_MAX_MB`, in bytes: batch apps only.
    pub batch_max_bytes: u64,
    /// `NU_BATCH_ERROR_BISECT`: batch apps only.
    pub batch_error_bisect: bool,
}

/// Says how messages are produced.
#[derive(Debug, Clone)]
pub struct Producer {
    /// `NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS`.
    pub transaction_timeout: Duration,
    /// `NU_PRODUCER_COMPRESSION_TYPE`.
    pub compression: Compression,
    /// `NU_PRODUCER_MESSAGE_MAX_MB`, in bytes.
    pub message_max_bytes: u64,
}

/// Bounds what waits for one transaction.
#[derive(Debug, Clone, Copy)]
pub struct Outbox {
    /// `NU_OUTBOX_MAX_COUNT`.
    pub max_count: u64,
    /// `NU_OUTBOX_MAX_MB`, in bytes.
    pub max_bytes: u64,
    /// `NU_OUTBOX_MAX_AGE_MILLISECONDS`.
    pub max_age: Duration,
}

/// Says what follows when the app function fails.
#[derive(Debug, Clone, Copy)]
pub struct Errors {
    /// `NU_ERROR_POLICY`.
    pub policy: ErrorPolicy,
    /// `NU_ERROR_RETRY_MAX`: new attempts before the policy follows.
    pub retry_max: u32,
    /// `NU_ERROR_RETRY_BACKOFF_MILLISECONDS`.
    pub backoff: Duration,
    /// `NU_ERROR_RETRY_BACKOFF_MAX_MILLISECONDS`.
    pub backoff_max: Duration,
    /// `NU_MISSING_HEADERS`.
    pub missing_headers: MissingHeaders,
}

/// Says how the process is watched and stopped.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `NU_HEALTH_FILE`; none when it is `off`.
    pub health_file: Option<PathBuf>,
    /// `NU_PROBE_ADDRESS` and `NU_PROBE_PORT`; none when no port is set.
    pub probe: Option<SocketAddr>,
    /// `NU_SHUTDOWN_TIMEOUT_SECONDS`.
    pub shutdown_timeout: Duration,
    /// `NU_BROKER_OUTAGE_LIMIT_SECONDS`; none when it is 0.
    pub broker_outage_limit: Option<Duration>,
}

/// Says where metrics are pushed to, and how.
#[derive(Debug, Clone)]
pub struct MetricsPush {
    /// `NU_DO_METRICS_PUSHING`.
    pub enabled: bool,
    /// `NU_METRICS_PUSH_RATE`: the time between two pushes.
    pub interval: Duration,
    /// `NU_METRICS_SERVICE_NAME`; empty only when nothing is pushed.
    pub service_name: String,
    /// `NU_METRICS_SERVICE_PORT`.
    pub service_port: u16,
    /// `NU_METRICS_POD_PORT`.
    pub pod_port: u16,
    /// `NU_METRICS_PUSH_TIMEOUT_SECONDS`: the bound of one push.
    pub timeout: Duration,
    /// `NU_METRICS_EXIT_TIMEOUT_SECONDS`: the bound of the last push; zero leaves it out.
    pub exit_timeout: Duration,
    /// `NU_METRICS_DELETE_ON_EXIT`: after a clean end.
    pub delete_on_exit: bool,
    /// `NU_METRICS_AS_GAUGES`: the metrics of nubium-utils have its types.
    pub as_gauges: bool,
    /// `NU_METRICS_TLS`.
    pub tls: bool,
    /// `NU_METRICS_CA_FILE`: trusted instead of the system's.
    pub ca: Option<Certificates>,
    /// How the app proves itself to the pods.
    pub auth: Option<PushAuth>,
    /// `NU_METRICS_DNS_SERVER`.
    pub dns_server: Option<SocketAddr>,
}

/// Says how a push proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushAuth {
    /// `NU_METRICS_USERNAME` and `NU_METRICS_PASSWORD`.
    Basic(BasicAuth),
    /// `NU_METRICS_BEARER_TOKEN`.
    Bearer {
        /// The token as it was at the start.
        token: Secret,
        /// The file that it came from, which is read again for each push.
        file: Option<PathBuf>,
    },
}

/// Says how a table app keeps its table.
#[derive(Debug, Clone)]
pub struct Table {
    /// `NU_TABLE_PATH`: the directory of the stores.
    pub path: PathBuf,
    /// `NU_TABLE_STANDBY_REPLICAS`: instances that follow a partition beside its owner.
    pub standby_replicas: u32,
    /// `NU_TABLE_TTL_SECONDS`: how long an entry lives that is not updated; none means for ever.
    pub ttl: Option<Duration>,
    /// `NU_TABLE_DELETE_MARKER`.
    pub delete_marker: DeleteMarker,
    /// `NU_TABLE_CREATE_CHANGELOG`.
    pub create_changelog: bool,
}
