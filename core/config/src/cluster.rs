//! The map of clusters: where the brokers are and how they are spoken to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nubium_document::Value;

use super::choice::{Choice, SaslMechanism, SecurityProtocol};
use super::document::{self, Fields};
use super::identity::{self, Identity, Kerberos, TokenSource};
use super::parse;
use super::reader::{Reader, exists};
use super::secret::Secret;

/// Says where one cluster is and how to connect to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The brokers to ask first: `host:port`, separated by commas.
    pub url: String,
    /// How the connection is protected.
    pub protocol: SecurityProtocol,
    /// What is proven; there whenever the protocol is one with SASL.
    pub sasl: Option<Sasl>,
    /// Certificates; used when the protocol is one with SSL.
    pub tls: Tls,
    /// Whether the tools refuse to change or delete what is there.
    pub protected: bool,
}

/// Says what a client proves itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sasl {
    /// A password.
    Password(Login),
    /// A token that is renewed.
    Token(TokenSource),
    /// A Kerberos ticket.
    Kerberos(Kerberos),
}

impl Sasl {
    /// Gives the mechanism's name as brokers know it.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::Password(login) => login.mechanism.name(),
            Self::Token(_) => SaslMechanism::OAuthBearer.name(),
            Self::Kerberos(_) => SaslMechanism::Gssapi.name(),
        }
    }
}

/// Holds a username, a password and how they are proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// How they are proven.
    pub mechanism: SaslMechanism,
    /// The username.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Holds the certificates of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that brokers are checked with; none means those of the system.
    pub ca_location: Option<PathBuf>,
    /// The client's certificate.
    pub certificate_location: Option<PathBuf>,
    /// The client's private key.
    pub key_location: Option<PathBuf>,
    /// The private key's password.
    pub key_password: Option<Secret>,
}

/// The keys of one cluster and what they mean; also on the docs page.
const CLUSTER_KEYS: &[(&str, &str)] = &[
    ("url", "Required. The brokers to ask first: `host:port`, separated by commas."),
    ("username", "The username; means SASL_SSL unless `security_protocol` says otherwise."),
    ("password", "The password."),
    ("password_file", "A file that holds the password, instead of `password`."),
    ("security_protocol", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."),
    (
        "sasl_mechanism",
        "PLAIN (default), SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, AWS_MSK_IAM or GSSAPI.",
    ),
    ("ssl_ca_location", "The certificate authorities, a PEM file or a directory."),
    ("ssl_certificate_location", "The client's certificate, a PEM file."),
    ("ssl_key_location", "The client's private key, a PEM file."),
    ("ssl_key_password", "The private key's password."),
    ("ssl_key_password_file", "A file that holds it, instead of `ssl_key_password`."),
    ("protected", "`true`: `dude` refuses what alters or deletes topics, offsets or transactions."),
];

/// Lists the keys of a cluster, those of [`identity`] too.
pub(super) fn cluster_keys() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    CLUSTER_KEYS.iter().chain(identity::KEYS).copied()
}

/// What is said about the connection, by one cluster or for all of them.
#[derive(Default)]
struct Access {
    protocol: Option<SecurityProtocol>,
    mechanism: Option<SaslMechanism>,
    username: Option<String>,
    password: Option<Secret>,
    identity: Identity,
    tls: Tls,
}

/// Reads the clusters and gives them by name.
pub(super) fn read(reader: &mut Reader) -> BTreeMap<String, Cluster> {
    let common = read_common(reader);
    let (json, yaml) = ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", "NU_KAFKA_CLUSTERS_CONFIGS_YAML");
    let Some(opened) = document::either(reader, json, yaml) else { return BTreeMap::new() };
    let mut clusters = BTreeMap::new();
    for (name, fields) in opened.named(reader) {
        if let Some(cluster) = fields.and_then(|fields| read_cluster(&fields, &common)) {
            clusters.insert(name.to_owned(), cluster);
        }
    }
    let setting = opened.setting;
    opened.close(reader);
    if !reader.is_wrong(&[setting.name]) && clusters.is_empty() {
        let expected = "at least one cluster".into();
        reader.problem(setting, String::new(), "an empty map".into(), expected);
    }
    clusters
}

fn read_common(reader: &mut Reader) -> Access {
    let mechanism = reader.choice("NU_KAFKA_SASL_MECHANISM");
    Access {
        protocol: reader.optional_choice("NU_KAFKA_SECURITY_PROTOCOL"),
        mechanism: Some(mechanism),
        username: reader.optional_text("NU_KAFKA_USERNAME"),
        password: reader.secret("NU_KAFKA_PASSWORD"),
        identity: identity::read_common(reader),
        tls: Tls {
            ca_location: reader.existing_path("NU_KAFKA_SSL_CA_LOCATION"),
            certificate_location: reader.existing_path("NU_KAFKA_SSL_CERTIFICATE_LOCATION"),
            key_location: reader.existing_path("NU_KAFKA_SSL_KEY_LOCATION"),
            key_password: reader.secret("NU_KAFKA_SSL_KEY_PASSWORD"),
        },
    }
}

fn read_cluster(fields: &Fields<'_>, common: &Access) -> Option<Cluster> {
    fields.warn_unknown(cluster_keys().map(|(key, _)| key));
    let own = Access {
        protocol: choice(fields, "security_protocol"),
        mechanism: choice(fields, "sasl_mechanism"),
        username: fields.text("username"),
        password: fields.secret("password"),
        identity: identity::read_own(fields),
        tls: Tls {
            ca_location: path(fields, "ssl_ca_location"),
            certificate_location: path(fields, "ssl_certificate_location"),
            key_location: path(fields, "ssl_key_location"),
            key_password: fields.secret("ssl_key_password"),
        },
    };
    if let Some(protocol) = own.protocol.filter(|protocol| !protocol.is_sasl())
        && (own.username.is_some() || own.password.is_some())
    {
        let expected = "SASL_SSL or SASL_PLAINTEXT, since a username or password is given; \
            they would not be used";
        fields.refuse("security_protocol", protocol.name(), expected);
    }
    identity::refuse_unused(fields, &own.identity, own.mechanism.or(common.mechanism));
    let access = own.or(common);
    let protocol = access.protocol();
    let sasl = protocol.is_sasl().then(|| sasl(fields, &access)).flatten();
    if access.tls.certificate_location.is_some() != access.tls.key_location.is_some() {
        let expected = "ssl_certificate_location and ssl_key_location together, or neither";
        fields.refuse("ssl_certificate_location", "only one of the two", expected);
    }
    let protected = flag(fields, "protected");
    let url = url(fields)?;
    Some(Cluster { url, protocol, sasl, tls: access.tls, protected })
}

impl Access {
    fn or(self, common: &Self) -> Self {
        let (tls, all) = (self.tls, &common.tls);
        Self {
            protocol: self.protocol.or(common.protocol),
            mechanism: self.mechanism.or(common.mechanism),
            username: self.username.or_else(|| common.username.clone()),
            password: self.password.or_else(|| common.password.clone()),
            identity: self.identity.or(&common.identity),
            tls: Tls {
                ca_location: tls.ca_location.or_else(|| all.ca_location.clone()),
                certificate_location: tls
                    .certificate_location
                    .or_else(|| all.certificate_location.clone()),
                key_location: tls.key_location.or_else(|| all.key_location.clone()),
                key_password: tls.key_password.or_else(|| all.key_password.clone()),
            },
        }
    }

    fn protocol(&self) -> SecurityProtocol {
        let has_certificates =
            self.tls.ca_location.is_some() || self.tls.certificate_location.is_some();
        match self.protocol {
            Some(protocol) => protocol,
            None if self.mechanism.is_some_and(|m| !m.is_password()) => SecurityProtocol::SaslSsl,
            // A password alone is meant so too; what lacks is then a problem of its own.
            None if self.username.is_some() || self.password.is_some() => SecurityProtocol::SaslSsl,
            None if has_certificates => SecurityProtocol::Ssl,
            None => SecurityProtocol::Plaintext,
        }
    }
}

fn sasl(fields: &Fields<'_>, access: &Access) -> Option<Sasl> {
    let mechanism = access.mechanism.unwrap_or(SaslMechanism::Plain);
    match mechanism.is_password() {
        true => login(fields, access, mechanism).map(Sasl::Password),
        false => identity::proof(fields, &access.identity, mechanism),
    }
}

fn login(fields: &Fields<'_>, access: &Access, mechanism: SaslMechanism) -> Option<Login> {
    let (username, password) = (access.username.clone(), access.password.clone());
    let common = ["NU_KAFKA_USERNAME", "NU_KAFKA_PASSWORD"];
    if fields.is_wrong("username") || fields.is_wrong("password") || fields.reader.is_wrong(&common)
    {
        return None;
    }
    let expected = "username and password together (or NU_KAFKA_USERNAME and NU_KAFKA_PASSWORD \
        for every cluster), or neither";
    match (&username, &password) {
        (Some(_), None) => fields.refuse("password", "nothing, but there is a username", expected),
        (None, Some(_)) => fields.refuse("username", "nothing, but there is a password", expected),
        (None, None) => {
            let read = "nothing, but the security protocol is one with SASL";
            fields.refuse("username", read, expected);
        }
        (Some(_), Some(_)) => {}
    }
    Some(Login { mechanism, username: username?, password: password? })
}

fn url(fields: &Fields<'_>) -> Option<String> {
    let expected = "brokers as host:port, separated by commas";
    let Some(url) = fields.text("url") else {
        if !fields.is_wrong("url") {
            fields.refuse("url", "nothing", expected);
        }
        return None;
    };
    if let Err(why) = parse::brokers(&url) {
        fields.refuse("url", why, expected);
        return None;
    }
    Some(url)
}

/// Reads a mark that is off unless given. Whatever is no yes or no is a problem: a mark that
/// protects must not get lost by a typing error.
fn flag(fields: &Fields<'_>, key: &str) -> bool {
    match fields.value(key) {
        None => false,
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) if ["true", "false"].contains(&text.trim()) => {
            text.trim() == "true"
        }
        Some(_) => {
            fields.refuse(key, "something else", "true or false");
            false
        }
    }
}

fn choice<C: Choice>(fields: &Fields<'_>, key: &str) -> Option<C> {
    let text = fields.text(key)?;
    let choice = C::from_name(text.trim());
    if choice.is_none() {
        let expected = format!("one of {}", C::NAMES.join(", "));
        fields.refuse(key, "another text", &expected);
    }
    choice
}

pub(super) fn path(fields: &Fields<'_>, key: &str) -> Option<PathBuf> {
    let text = fields.text(key)?;
    match exists(&text) {
        Ok(path) => Some(path),
        Err(why) => {
            fields.refuse(key, why, "the path of a readable file");
            None
        }
    }
}
