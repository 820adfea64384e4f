//! Settings that say where the brokers and the registry are.

use super::super::choice::{Choice, SaslMechanism, SecurityProtocol};
use super::Kind::{File, Flag, Json, OneOf, Text, Time, Urls};
use super::WhenUnset::{Derived, Off, Required, Use};
use super::{Kind, Section, Setting, Unit};

const PROPERTIES: Kind = Json("librdkafka property to value");

/// Which clusters there are and which topic lives where.
pub(super) const CLUSTERS: Section = Section {
    title: "Clusters and topics",
    text: "Each of the two maps is given once, as JSON or as the path of a YAML file. All topics \
        that an app consumes and produces must be on one cluster, since a transaction cannot span \
        two.",
    settings: &[
        Setting::original(
            "NU_KAFKA_CLUSTERS_CONFIGS_JSON",
            Json("cluster name to {\"url\", \"username\"?, \"password\"?, ...}"),
            Derived("required, unless NU_KAFKA_CLUSTERS_CONFIGS_YAML is set"),
            "The clusters. A username means SASL_SSL with PLAIN; the keys are listed below.",
            r#"{"main": {"url": "broker-0:9092,broker-1:9092"}}"#,
        )
        .secret(),
        Setting::original(
            "NU_KAFKA_CLUSTERS_CONFIGS_YAML",
            File,
            Off,
            "The same map as a YAML file, by path.",
            "/etc/nubium/clusters.yaml",
        ),
        Setting::original(
            "NU_TOPIC_CONFIGS_JSON",
            Json("topic to {\"cluster\", \"configs\"?}"),
            Derived("required, unless NU_TOPIC_CONFIGS_YAML is set"),
            "The topics: the cluster of each and, for the tools, `configs` with \
                `num_partitions`, `replication_factor` (-1, or left out: the brokers' \
                default) and `config`, where a list such as `cleanup.policy` may be one. \
                What the keys and values are, and their schemas, is said by `key_format`, \
                `value_format`, `value_subjects`, `value_version` or `value_schema_id`, \
                `value_references`, `value_message` and `value_compatibility` \
                (docs/formats.md). \
                Names that start with '.' hold YAML anchors and are no topics. A topic that \
                is absent is a warning.",
            r#"{"orders": {"cluster": "main"}}"#,
        ),
        Setting::original(
            "NU_TOPIC_CONFIGS_YAML",
            File,
            Off,
            "The same map as a YAML file, by path.",
            "/etc/nubium/topics.yaml",
        ),
    ],
};

/// How brokers are reached and what else librdkafka is told.
pub(super) const SECURITY: Section = Section {
    title: "Security, and librdkafka's own properties",
    text: "These hold for every cluster that does not say otherwise in the map of clusters.",
    settings: &[
        Setting::added(
            "NU_KAFKA_SECURITY_PROTOCOL",
            OneOf(SecurityProtocol::NAMES),
            Derived(
                "SASL_SSL with a username or a mechanism other than PLAIN and SCRAM, SSL with a \
                 certificate or CA, else PLAINTEXT",
            ),
            "How brokers are reached.",
            "SASL_SSL",
        ),
        Setting::added(
            "NU_KAFKA_SASL_MECHANISM",
            OneOf(SaslMechanism::NAMES),
            Use("PLAIN"),
            "How a client proves who it is. OAUTHBEARER, AWS_MSK_IAM and GSSAPI mean SASL_SSL \
                unless the protocol is set.",
            "SCRAM-SHA-512",
        ),
        Setting::added("NU_KAFKA_USERNAME", Text, Off, "The username at the brokers.", "funnel"),
        Setting::added("NU_KAFKA_PASSWORD", Text, Off, "The password at the brokers.", "s3cret")
            .secret(),
        Setting::added(
            "NU_KAFKA_SSL_CA_LOCATION",
            File,
            Off,
            "The certificate authorities that brokers are checked with (PEM file or directory); \
                when unset, those of the system.",
            "/etc/nubium/ca.pem",
        ),
        Setting::added(
            "NU_KAFKA_SSL_CERTIFICATE_LOCATION",
            File,
            Off,
            "The client's certificate (PEM).",
            "/etc/nubium/client.pem",
        ),
        Setting::added(
            "NU_KAFKA_SSL_KEY_LOCATION",
            File,
            Off,
            "The client's private key (PEM).",
            "/etc/nubium/client.key",
        ),
        Setting::added(
            "NU_KAFKA_SSL_KEY_PASSWORD",
            Text,
            Off,
            "The password of the private key.",
            "s3cret",
        )
        .secret(),
        Setting::added(
            "NU_KAFKA_PROPERTIES_JSON",
            PROPERTIES,
            Off,
            "Further librdkafka properties of every client.",
            r#"{"socket.keepalive.enable": true}"#,
        )
        .secret(),
        Setting::added(
            "NU_CONSUMER_PROPERTIES_JSON",
            PROPERTIES,
            Off,
            "Further librdkafka properties of consumers; win over those of every client.",
            r#"{"fetch.wait.max.ms": 100}"#,
        )
        .secret(),
        Setting::added(
            "NU_PRODUCER_PROPERTIES_JSON",
            PROPERTIES,
            Off,
            "Further librdkafka properties of producers; win over those of every client.",
            r#"{"batch.size": 500000}"#,
        )
        .secret(),
    ],
};

/// What is proven where it is no password.
pub(super) const IDENTITY: Section = Section {
    title: "Tokens, AWS credentials and Kerberos",
    text: "What clients prove themselves with when the mechanism is OAUTHBEARER, AWS_MSK_IAM or \
        GSSAPI; docs/clusters.md has examples. Tokens are renewed in good time, and a connection \
        proves itself again before its session ends (KIP-368).",
    settings: &[
        Setting::added(
            "NU_KAFKA_OAUTH_TOKEN_URL",
            Text,
            Off,
            "OAUTHBEARER: the token endpoint, asked with client credentials.",
            "https://login.example.org/oauth2/token",
        ),
        Setting::added("NU_KAFKA_OAUTH_CLIENT_ID", Text, Off, "Who asks there.", "funnel"),
        Setting::added("NU_KAFKA_OAUTH_CLIENT_SECRET", Text, Off, "The client's secret.", "s3cret")
            .secret(),
        Setting::added(
            "NU_KAFKA_OAUTH_SCOPE",
            Text,
            Off,
            "What is asked for; several scopes are separated by spaces.",
            "kafka",
        ),
        Setting::added(
            "NU_KAFKA_OAUTH_AUDIENCE",
            Text,
            Off,
            "Whom the token is for, at providers that want to know.",
            "kafka",
        ),
        Setting::added(
            "NU_KAFKA_OAUTH_CA_LOCATION",
            File,
            Off,
            "Authorities of the token endpoint (PEM), beside those of the system.",
            "/etc/nubium/login-ca.pem",
        ),
        Setting::added(
            "NU_KAFKA_OAUTH_TOKEN_LOCATION",
            File,
            Off,
            "OAUTHBEARER: a file with the token instead, which is read again and again, as \
                Kubernetes renews it.",
            "/var/run/secrets/kafka/token",
        ),
        Setting::added(
            "NU_KAFKA_OAUTH_EXTENSIONS",
            Json("extension to text"),
            Off,
            "What brokers are told beside the token (SASL extensions).",
            r#"{"logicalCluster": "lkc-1a2b3", "identityPoolId": "pool-4c5d"}"#,
        ),
        Setting::added(
            "NU_KAFKA_AWS_REGION",
            Text,
            Off,
            "AWS_MSK_IAM: the cluster's region.",
            "eu-central-1",
        ),
        Setting::added(
            "NU_KAFKA_AWS_ACCESS_KEY_ID",
            Text,
            Off,
            "Keys to sign with, instead of those of the environment (`AWS_*`).",
            "AKIAIOSFODNN7EXAMPLE",
        ),
        Setting::added("NU_KAFKA_AWS_SECRET_ACCESS_KEY", Text, Off, "The secret key.", "s3cret")
            .secret(),
        Setting::added(
            "NU_KAFKA_AWS_SESSION_TOKEN",
            Text,
            Off,
            "The session's token, of temporary keys.",
            "s3cret",
        )
        .secret(),
        Setting::added(
            "NU_KAFKA_AWS_ROLE_ARN",
            Text,
            Off,
            "A role to take on with the token in NU_KAFKA_AWS_WEB_IDENTITY_TOKEN_LOCATION.",
            "arn:aws:iam::111122223333:role/funnel",
        ),
        Setting::added(
            "NU_KAFKA_AWS_WEB_IDENTITY_TOKEN_LOCATION",
            File,
            Off,
            "The file with that token.",
            "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
        ),
        Setting::added(
            "NU_KAFKA_AWS_STS_URL",
            Text,
            Off,
            "The security token service, where it is not the region's.",
            "https://sts.eu-central-1.amazonaws.com",
        ),
        Setting::added(
            "NU_KAFKA_KERBEROS_SERVICE_NAME",
            Text,
            Off,
            "GSSAPI: the brokers' service; `kafka` when not given.",
            "kafka",
        ),
        Setting::added(
            "NU_KAFKA_KERBEROS_PRINCIPAL",
            Text,
            Off,
            "The client's principal.",
            "funnel@EXAMPLE.ORG",
        ),
        Setting::added(
            "NU_KAFKA_KERBEROS_KEYTAB_LOCATION",
            File,
            Off,
            "The file with the client's key.",
            "/etc/nubium/funnel.keytab",
        ),
    ],
};

/// The schema registry.
pub(super) const REGISTRY: Section = Section {
    title: "Schema registry",
    text: "A registry that speaks the Confluent API.",
    settings: &[
        Setting::original(
            "NU_SCHEMA_REGISTRY_URL",
            Urls,
            Required,
            "Where the registry is; several addresses are tried in turn. Without `http://` or \
                `https://`, https is used when a username is set, else http.",
            "https://registry-0:8081,https://registry-1:8081",
        ),
        Setting::original(
            "NU_SCHEMA_REGISTRY_USERNAME",
            Text,
            Off,
            "The username for basic auth.",
            "funnel",
        ),
        Setting::original(
            "NU_SCHEMA_REGISTRY_PASSWORD",
            Text,
            Off,
            "The password for basic auth.",
            "s3cret",
        )
        .secret(),
        Setting::added(
            "NU_SCHEMA_REGISTRY_CA_FILE",
            File,
            Off,
            "Certificate authorities (PEM) that the registry is checked with, beside those of \
                the system.",
            "/etc/nubium/registry-ca.pem",
        ),
        Setting::added(
            "NU_SCHEMA_REGISTRY_AUTO_REGISTER",
            Flag,
            Use("true"),
            "Register the schemas of outputs at start-up; false only looks them up.",
            "false",
        ),
        Setting::added(
            "NU_SCHEMA_REGISTRY_TIMEOUT_SECONDS",
            Time { unit: Unit::Seconds, min: 0.1, max: 300.0 },
            Use("10"),
            "How long one request to the registry may take.",
            "5",
        ),
    ],
};
