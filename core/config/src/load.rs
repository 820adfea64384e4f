//! From texts to `Config`: reads every setting, then checks the rules between them.

use std::net::SocketAddr;
use std::time::Duration;

use super::group::{
    App, BasicAuth, Consumer, Errors, Log, MetricsPush, Operation, Outbox, Producer, PushAuth,
    Registry, Routes, Table,
};
use super::instance::group_instance_id;
use super::raw::Raw;
use super::reader::Reader;
use super::{Config, Loaded, cluster, cross, properties, topic};
use nubium_document::Problems;

/// Reads everything, so that no problem hides another.
pub(super) fn load(raw: Raw) -> Result<Loaded, Problems> {
    let mut reader = Reader::new(raw);
    let mut config = read_config(&mut reader);
    cross::check(&config, &mut reader);
    if !reader.problems.is_empty() {
        return Err(Problems(reader.problems));
    }
    config.effective = reader.effective();
    Ok(Loaded { config, warnings: reader.warnings })
}

fn read_config(reader: &mut Reader) -> Config {
    let app = read_app(reader);
    Config {
        log: Log { level: reader.choice("NU_LOGLEVEL"), format: reader.choice("NU_LOG_FORMAT") },
        clusters: cluster::read(reader),
        topics: topic::read(reader),
        topic_setting: topic::setting_in_use(reader),
        properties: properties::read(reader),
        registry: read_registry(reader),
        routes: read_routes(reader),
        consumer: read_consumer(reader, &app.hostname),
        producer: read_producer(reader),
        outbox: Outbox {
            max_count: reader.whole("NU_OUTBOX_MAX_COUNT"),
            max_bytes: reader.bytes("NU_OUTBOX_MAX_MB"),
            max_age: reader.time("NU_OUTBOX_MAX_AGE_MILLISECONDS"),
        },
        errors: Errors {
            policy: reader.choice("NU_ERROR_POLICY"),
            retry_max: reader.small("NU_ERROR_RETRY_MAX"),
            backoff: reader.time("NU_ERROR_RETRY_BACKOFF_MILLISECONDS"),
            backoff_max: reader.time("NU_ERROR_RETRY_BACKOFF_MAX_MILLISECONDS"),
            missing_headers: reader.choice("NU_MISSING_HEADERS"),
        },
        operation: read_operation(reader),
        metrics: read_metrics(reader, app.project.as_deref()),
        table: read_table(reader),
        app,
        effective: Vec::new(),
    }
}

fn read_app(reader: &mut Reader) -> App {
    let hostname = reader.optional_text("NU_HOSTNAME");
    if hostname.is_none() && !reader.is_wrong(&["NU_HOSTNAME"]) {
        reader.missing("NU_HOSTNAME", "HOSTNAME would be used, but is not set either");
    }
    App {
        name: reader.text("NU_APP_NAME"),
        hostname: hostname.unwrap_or_default(),
        project: reader.optional_text("NU_MP_PROJECT"),
        threads: reader.small("NU_APP_THREADS"),
        concurrency: reader.small("NU_APP_CONCURRENCY"),
        ordering: reader.choice("NU_APP_ORDERING"),
        concurrency_window: reader.small("NU_APP_CONCURRENCY_WINDOW"),
    }
}

pub(super) fn read_registry(reader: &mut Reader) -> Registry {
    let username = reader.optional_text("NU_SCHEMA_REGISTRY_USERNAME");
    let password = reader.secret("NU_SCHEMA_REGISTRY_PASSWORD");
    // As in nubium-utils: an address without a scheme is https once there is a username.
    let scheme = if username.is_some() { "https" } else { "http" };
    Registry {
        urls: reader.urls("NU_SCHEMA_REGISTRY_URL", scheme),
        auth: username.zip(password).map(|(username, password)| BasicAuth { username, password }),
        ca: reader.certificates("NU_SCHEMA_REGISTRY_CA_FILE"),
        auto_register: reader.flag("NU_SCHEMA_REGISTRY_AUTO_REGISTER"),
        timeout: reader.time("NU_SCHEMA_REGISTRY_TIMEOUT_SECONDS"),
    }
}

pub(super) fn read_producer(reader: &mut Reader) -> Producer {
    Producer {
        transaction_timeout: reader.time("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS"),
        compression: reader.choice("NU_PRODUCER_COMPRESSION_TYPE"),
        message_max_bytes: reader.bytes("NU_PRODUCER_MESSAGE_MAX_MB"),
    }
}

fn read_routes(reader: &mut Reader) -> Routes {
    Routes {
        consume: reader.topics("NU_CONSUME_TOPICS"),
        success: reader.topics("NU_PRODUCE_SUCCESS_TOPICS"),
        retry: reader.topics("NU_PRODUCE_RETRY_TOPICS"),
        delays: reader.times("NU_RETRY_DELAYS_MINUTES"),
        failure: reader.topics("NU_PRODUCE_FAILURE_TOPICS"),
        retry_count_max: reader.small("NU_RETRY_COUNT_MAX"),
    }
}

fn read_consumer(reader: &mut Reader, hostname: &str) -> Consumer {
    let instance = reader.optional_text("NU_CONSUMER_GROUP_INSTANCE_ID");
    Consumer {
        poll_timeout: reader.time("NU_CONSUMER_POLL_TIMEOUT"),
        max_poll_interval: reader.time("NU_CONSUMER_TIMEOUT_LIMIT_MINUTES"),
        timestamp_offset: reader.time("NU_CONSUMER_TIMESTAMP_OFFSET_MINUTES"),
        auto_offset_reset: reader.choice("NU_CONSUMER_AUTO_OFFSET_RESET"),
        session_timeout: reader.time("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS"),
        heartbeat_interval: reader.time("NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS"),
        auto_commit_interval: reader.time("NU_CONSUMER_AUTO_COMMIT_INTERVAL_SECONDS"),
        message_max_bytes: reader.bytes("NU_CONSUMER_MESSAGE_BATCH_MAX_MB"),
        fetch_max_bytes: reader.bytes("NU_CONSUMER_MESSAGE_TOTAL_MAX_MB"),
        queue_max_bytes: reader.bytes("NU_CONSUMER_MESSAGE_QUEUE_MAX_MB"),
        group_protocol: reader.choice("NU_CONSUMER_GROUP_PROTOCOL"),
        assignment_strategy: reader.choice("NU_CONSUMER_ASSIGNMENT_STRATEGY"),
        group_instance_id: group_instance_id(instance, hostname),
        batch_max_count: reader.whole("NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_COUNT"),
        batch_max_time: reader.time("NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_TIME_SECONDS"),
        batch_max_bytes: reader.bytes("NU_BATCH_MAX_MB"),
        batch_error_bisect: reader.flag("NU_BATCH_ERROR_BISECT"),
    }
}

fn read_operation(reader: &mut Reader) -> Operation {
    let address = reader.address("NU_PROBE_ADDRESS");
    let port = reader.optional_whole("NU_PROBE_PORT").and_then(|port| u16::try_from(port).ok());
    let limit = reader.time("NU_BROKER_OUTAGE_LIMIT_SECONDS");
    Operation {
        health_file: reader
            .path("NU_HEALTH_FILE")
            .filter(|path| !path.as_os_str().eq_ignore_ascii_case("off")),
        probe: address.zip(port).map(|(address, port)| SocketAddr::new(address, port)),
        shutdown_timeout: reader.time("NU_SHUTDOWN_TIMEOUT_SECONDS"),
        broker_outage_limit: (limit > Duration::ZERO).then_some(limit),
    }
}

fn read_metrics(reader: &mut Reader, project: Option<&str>) -> MetricsPush {
    let enabled = reader.flag("NU_DO_METRICS_PUSHING");
    let name = reader.optional_text("NU_METRICS_SERVICE_NAME");
    let service_name = match (name, project) {
        (Some(name), _) => name,
        (None, Some(project)) => {
            let name = format!("bifrost-metrics-cache-headless.{project}.svc.cluster.local");
            reader.derive("NU_METRICS_SERVICE_NAME", &name);
            name
        }
        (None, None) => {
            if enabled && !reader.is_wrong(&["NU_MP_PROJECT", "NU_METRICS_SERVICE_NAME"]) {
                let condition = "or set NU_METRICS_SERVICE_NAME, or NU_DO_METRICS_PUSHING=false";
                reader.missing("NU_MP_PROJECT", condition);
            }
            String::new()
        }
    };
    MetricsPush {
        enabled,
        interval: reader.time("NU_METRICS_PUSH_RATE"),
        service_name,
        service_port: reader.small("NU_METRICS_SERVICE_PORT"),
        pod_port: reader.small("NU_METRICS_POD_PORT"),
        timeout: reader.time("NU_METRICS_PUSH_TIMEOUT_SECONDS"),
        exit_timeout: reader.time("NU_METRICS_EXIT_TIMEOUT_SECONDS"),
        delete_on_exit: reader.flag("NU_METRICS_DELETE_ON_EXIT"),
        as_gauges: reader.flag("NU_METRICS_AS_GAUGES"),
        tls: reader.flag("NU_METRICS_TLS"),
        ca: reader.certificates("NU_METRICS_CA_FILE"),
        auth: read_push_auth(reader),
        dns_server: reader.server("NU_METRICS_DNS_SERVER", 53),
    }
}

fn read_push_auth(reader: &mut Reader) -> Option<PushAuth> {
    let username = reader.optional_text("NU_METRICS_USERNAME");
    let password = reader.secret("NU_METRICS_PASSWORD");
    let bearer = "NU_METRICS_BEARER_TOKEN";
    let basic = username.zip(password).map(|(username, password)| BasicAuth { username, password });
    // Both are read in any case, so that problems of both are found.
    let token = reader.secret(bearer);
    let token = token.map(|token| PushAuth::Bearer { token, file: reader.file_of(bearer) });
    basic.map(PushAuth::Basic).or(token)
}

fn read_table(reader: &mut Reader) -> Table {
    let ttl = reader.time("NU_TABLE_TTL_SECONDS");
    Table {
        path: reader.path("NU_TABLE_PATH").unwrap_or_default(),
        standby_replicas: reader.small("NU_TABLE_STANDBY_REPLICAS"),
        ttl: (ttl > Duration::ZERO).then_some(ttl),
        delete_marker: reader.choice("NU_TABLE_DELETE_MARKER"),
        create_changelog: reader.flag("NU_TABLE_CREATE_CHANGELOG"),
    }
}
