//! Settings of the process: who it is, how it is watched, what it reports.

use super::super::choice::{Choice, LogFormat, LogLevel, Ordering};
use super::Kind::{Address, File, Flag, OneOf, Server, Text, Time, Whole, WrittenFile};
use super::WhenUnset::{Derived, Off, Required, Use};
use super::{Section, Setting, Unit};

/// Who the app is.
pub(super) const APP: Section = Section {
    title: "The app",
    text: "",
    settings: &[
        Setting::original(
            "NU_APP_NAME",
            Text,
            Required,
            "The app's name: consumer group, metrics label `app`, changelog prefix.",
            "contact_funnel",
        ),
        Setting::original(
            "NU_HOSTNAME",
            Text,
            Derived("the value of HOSTNAME"),
            "Unique for each instance: transactional.id, client.id, metrics label `job`. Two \
                instances that share it fence each other off.",
            "contact-funnel-0",
        ),
        Setting::original(
            "NU_MP_PROJECT",
            Text,
            Derived("required while metrics are pushed and NU_METRICS_SERVICE_NAME is unset"),
            "The OpenShift or Kubernetes namespace, part of the metrics service's name.",
            "marketing",
        ),
        Setting::added(
            "NU_APP_THREADS",
            Whole { min: 1, max: 256 },
            Use("1"),
            "Independent loops in one process. The further ones use NU_HOSTNAME-1, -2, ... as \
                transactional.id.",
            "2",
        ),
        Setting::added(
            "NU_APP_CONCURRENCY",
            Whole { min: 1, max: 10_000 },
            Use("1"),
            "How many messages of one loop are in the app function at once, for functions that \
                wait for other services. What is committed is as if they were handled in order. \
                For apps that handle one message a call; see docs/concurrency.md.",
            "64",
        ),
        Setting::added(
            "NU_APP_ORDERING",
            OneOf(Ordering::NAMES),
            Use("key"),
            "What waits for what when NU_APP_CONCURRENCY is above 1: with `key`, a message for the \
                one before it of the same key and partition; with `partition`, for the one before \
                it; with `none`, for nothing. Table apps cannot have `none`.",
            "partition",
        ),
        Setting::added(
            "NU_APP_CONCURRENCY_WINDOW",
            Whole { min: 1, max: 1_000_000 },
            Use("10000"),
            "How many messages of one loop are at most in hand when NU_APP_CONCURRENCY is above 1: \
                in the function, waiting for their key, or done behind one that is not. Bounds \
                memory, how far others come ahead of a slow message, and how many are called \
                again after a crash.",
            "2000",
        ),
        Setting::original(
            "NU_LOGLEVEL",
            OneOf(LogLevel::NAMES),
            Use("INFO"),
            "From which weight on log lines are written.",
            "DEBUG",
        ),
        Setting::added(
            "NU_LOG_FORMAT",
            OneOf(LogFormat::NAMES),
            Use("text"),
            "Log lines for people, or one JSON object a line.",
            "json",
        ),
    ],
};

/// How the process is watched and stopped.
pub(super) const OPERATION: Section = Section {
    title: "Operation",
    text: "",
    settings: &[
        Setting::added(
            "NU_HEALTH_FILE",
            WrittenFile,
            Use("/tmp/health"),
            "This file exists while the app runs; `off` writes none.",
            "/tmp/health",
        ),
        Setting::added(
            "NU_PROBE_PORT",
            Whole { min: 1, max: 65_535 },
            Off,
            "Serves `/livez`, `/readyz` and `/metrics` over HTTP on this port.",
            "8080",
        ),
        Setting::added(
            "NU_PROBE_ADDRESS",
            Address,
            Use("0.0.0.0"),
            "The address that NU_PROBE_PORT listens on.",
            "127.0.0.1",
        ),
        Setting::added(
            "NU_SHUTDOWN_TIMEOUT_SECONDS",
            Time { unit: Unit::Seconds, min: 0.1, max: 3_600.0 },
            Use("25"),
            "How long the app may take to finish after INT or TERM. Stay below the grace period \
                of the platform (30 s in Kubernetes).",
            "25",
        ),
        Setting::added(
            "NU_BROKER_OUTAGE_LIMIT_SECONDS",
            Time { unit: Unit::Seconds, min: 0.0, max: 86_400.0 },
            Use("300"),
            "Liveness turns red when no broker was reached for this long; 0 means never.",
            "600",
        ),
    ],
};

/// Where metrics are pushed to, and how.
pub(super) const METRICS: Section = Section {
    title: "Metrics pushing",
    text: "Metrics are pushed to every pod behind a headless service, see \
        [metrics.md](metrics.md).",
    settings: &[
        Setting::original(
            "NU_DO_METRICS_PUSHING",
            Flag,
            Use("true"),
            "Push metrics at all.",
            "false",
        ),
        Setting::original(
            "NU_METRICS_PUSH_RATE",
            Time { unit: Unit::Seconds, min: 0.1, max: 86_400.0 },
            Use("10"),
            "Seconds between two pushes.",
            "10",
        ),
        Setting::original(
            "NU_METRICS_SERVICE_NAME",
            Text,
            Derived("bifrost-metrics-cache-headless.{NU_MP_PROJECT}.svc.cluster.local"),
            "The headless service: one address for each pod, looked up again for each push.",
            "metrics-cache-headless.marketing.svc.cluster.local",
        ),
        Setting::original(
            "NU_METRICS_SERVICE_PORT",
            Whole { min: 1, max: 65_535 },
            Use("8080"),
            "The port of the service. It is pushed to when the name has a single address and \
                nobody listens on NU_METRICS_POD_PORT there: a service with a cluster IP.",
            "8080",
        ),
        Setting::original(
            "NU_METRICS_POD_PORT",
            Whole { min: 1, max: 65_535 },
            Use("9091"),
            "The port of each pod, which is pushed to.",
            "9091",
        ),
        Setting::added(
            "NU_METRICS_PUSH_TIMEOUT_SECONDS",
            Time { unit: Unit::Seconds, min: 0.1, max: 3_600.0 },
            Use("15"),
            "How long one push to one pod may take. The other pods do not wait for it.",
            "15",
        ),
        Setting::added(
            "NU_METRICS_EXIT_TIMEOUT_SECONDS",
            Time { unit: Unit::Seconds, min: 0.0, max: 3_600.0 },
            Use("5"),
            "How long the last push at the end of the process may take, within \
                NU_SHUTDOWN_TIMEOUT_SECONDS; 0 leaves it out.",
            "5",
        ),
        Setting::added(
            "NU_METRICS_DELETE_ON_EXIT",
            Flag,
            Use("false"),
            "After a clean end, delete this instance's group instead of a last push. After a \
                failure it is always pushed.",
            "true",
        ),
        Setting::added(
            "NU_METRICS_AS_GAUGES",
            Flag,
            Use("false"),
            "Push the metrics of nubium-utils as gauges, as it did. A Pushgateway refuses two \
                types of one name: set it while apps of both push to the same one.",
            "true",
        ),
        Setting::added("NU_METRICS_TLS", Flag, Use("false"), "Push by https.", "true"),
        Setting::added(
            "NU_METRICS_CA_FILE",
            File,
            Off,
            "The certificate authorities (PEM) that the pods are checked with, by the name \
                NU_METRICS_SERVICE_NAME; when unset, those of the system.",
            "/etc/nubium/metrics-ca.pem",
        ),
        Setting::added("NU_METRICS_USERNAME", Text, Off, "The username for basic auth.", "funnel"),
        Setting::added("NU_METRICS_PASSWORD", Text, Off, "The password for basic auth.", "s3cret")
            .secret(),
        Setting::added(
            "NU_METRICS_BEARER_TOKEN",
            Text,
            Off,
            "A bearer token, instead of basic auth. Its file is read again for each push, as \
                tokens of a platform are renewed.",
            "s3cret",
        )
        .secret(),
        Setting::added(
            "NU_METRICS_DNS_SERVER",
            Server,
            Off,
            "The DNS server that is asked for NU_METRICS_SERVICE_NAME; when unset, those of \
                /etc/resolv.conf. Search domains are always from there.",
            "10.96.0.10",
        ),
    ],
};
