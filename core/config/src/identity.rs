//! What a client proves itself with where it is no password: tokens (OAUTHBEARER), AWS credentials
//! (MSK IAM), Kerberos tickets.

mod keys;

use std::collections::BTreeMap;
use std::path::PathBuf;

use nubium_document::Value;
use url::Url;

use super::choice::{Choice, SaslMechanism};
use super::cluster::{Sasl, path};
use super::document::{self, Fields};
use super::parse;
use super::reader::Reader;
use super::secret::Secret;

pub(super) use self::keys::KEYS;

/// Says where tokens come from and what is sent beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSource {
    /// Where they come from.
    pub origin: TokenOrigin,
    /// What is told to the broker beside the token (RFC 7628, extensions).
    pub extensions: BTreeMap<String, String>,
}

/// Says where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOrigin {
    /// A token endpoint, asked with client credentials (RFC 6749, section 4.4).
    Endpoint(TokenEndpoint),
    /// A file that somebody else renews, as Kubernetes does with projected tokens.
    File(PathBuf),
    /// Signed here with AWS credentials, for the MSK clusters of one region.
    Msk {
        /// The region.
        region: String,
        /// What is signed with.
        credentials: AwsCredentials,
    },
}

/// Holds a token endpoint and what it is asked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEndpoint {
    /// Where it is.
    pub url: Url,
    /// Who asks.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Secret,
    /// What is asked for; several are separated by spaces.
    pub scope: Option<String>,
    /// Whom the token is for, at providers that want to know.
    pub audience: Option<String>,
    /// The authorities that the endpoint is checked with, beside those of the system.
    pub ca_location: Option<PathBuf>,
}

/// Says which AWS credentials are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsCredentials {
    /// Those of the environment, by the names of AWS: keys, or a role and a web identity file.
    Environment,
    /// Keys that do not change.
    Keys {
        /// The id of the key.
        id: String,
        /// The key.
        secret: Secret,
        /// What temporary keys have beside it.
        session: Option<Secret>,
    },
    /// A role that is taken on with a token in a file (EKS: IRSA).
    WebIdentity {
        /// The role's ARN.
        role: String,
        /// The file.
        file: PathBuf,
        /// Where the security token service is; none means the region's.
        sts: Option<Url>,
    },
}

/// Says which Kerberos ticket is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kerberos {
    /// The brokers' service, the first part of their principals.
    pub service: String,
    /// The client's principal.
    pub principal: Option<String>,
    /// The file with the client's key.
    pub keytab: Option<PathBuf>,
}

const TEXTS: [&str; 10] = [
    "oauth_token_url",
    "oauth_client_id",
    "oauth_scope",
    "oauth_audience",
    "aws_region",
    "aws_access_key_id",
    "aws_role_arn",
    "aws_sts_url",
    "kerberos_service_name",
    "kerberos_principal",
];
const SECRETS: [&str; 3] = ["oauth_client_secret", "aws_secret_access_key", "aws_session_token"];
const PATHS: [&str; 4] = [
    "oauth_ca_location",
    "oauth_token_location",
    "aws_web_identity_token_location",
    "kerberos_keytab_location",
];

/// Holds what was given, by key.
#[derive(Default, Clone)]
pub(super) struct Identity {
    texts: BTreeMap<&'static str, String>,
    secrets: BTreeMap<&'static str, Secret>,
    paths: BTreeMap<&'static str, PathBuf>,
    extensions: BTreeMap<String, String>,
}

/// Names the setting that stands for a key in all clusters.
pub(super) fn setting_of(key: &str) -> String {
    format!("NU_KAFKA_{}", key.to_uppercase())
}

/// Reads what holds for all clusters.
pub(super) fn read_common(reader: &mut Reader) -> Identity {
    let mut identity = Identity::default();
    for key in TEXTS {
        if let Some(text) = reader.optional_text(&setting_of(key)) {
            identity.texts.insert(key, text);
        }
    }
    for key in SECRETS {
        if let Some(secret) = reader.secret(&setting_of(key)) {
            identity.secrets.insert(key, secret);
        }
    }
    for key in PATHS {
        if let Some(path) = reader.existing_path(&setting_of(key)) {
            identity.paths.insert(key, path);
        }
    }
    if let Some(opened) = document::json(reader, "NU_KAFKA_OAUTH_EXTENSIONS") {
        identity.extensions = extensions(&opened.fields(reader, "extensions"));
        opened.close(reader);
    }
    identity
}

/// Reads what one cluster says.
pub(super) fn read_own(fields: &Fields<'_>) -> Identity {
    let mut identity = Identity::default();
    for key in TEXTS {
        if let Some(text) = fields.text(key) {
            identity.texts.insert(key, text);
        }
    }
    for key in SECRETS {
        if let Some(secret) = fields.secret(key) {
            identity.secrets.insert(key, secret);
        }
    }
    for key in PATHS {
        if let Some(path) = path(fields, key) {
            identity.paths.insert(key, path);
        }
    }
    let inner = fields.section("oauth_extensions");
    identity.extensions = inner.map(|inner| extensions(&inner)).unwrap_or_default();
    identity
}

fn extensions(fields: &Fields<'_>) -> BTreeMap<String, String> {
    let mut extensions = BTreeMap::new();
    for (name, value) in fields.pairs_of_values() {
        let named = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic());
        match value {
            // `auth` is the token itself.
            Value::String(text) if named && name != "auth" && is_printable(text) => {
                extensions.insert(name.to_owned(), text.clone());
            }
            _ => {
                let expected = "letters as the name (not `auth`) and printable text as the value";
                fields.refuse(name, "an extension that cannot be sent", expected);
            }
        }
    }
    extensions
}

fn is_printable(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
}

impl Identity {
    /// Fills in what holds for all clusters, but not what a cluster's own rules out.
    pub(super) fn or(mut self, common: &Self) -> Self {
        let own: Vec<&str> = self.keys().collect();
        let ruled = EXCLUDES.iter().filter(|(key, _)| own.contains(key));
        let out: Vec<&str> = ruled.flat_map(|(_, out)| *out).copied().collect();
        let taken = |key: &str| !out.contains(&key);
        for (key, text) in common.texts.iter().filter(|(key, _)| taken(key)) {
            self.texts.entry(key).or_insert_with(|| text.clone());
        }
        for (key, secret) in common.secrets.iter().filter(|(key, _)| taken(key)) {
            self.secrets.entry(key).or_insert_with(|| secret.clone());
        }
        for (key, path) in common.paths.iter().filter(|(key, _)| taken(key)) {
            self.paths.entry(key).or_insert_with(|| path.clone());
        }
        if self.extensions.is_empty() {
            self.extensions.clone_from(&common.extensions);
        }
        self
    }

    fn keys(&self) -> impl Iterator<Item = &'static str> + '_ {
        let keys = self.texts.keys().chain(self.secrets.keys()).chain(self.paths.keys());
        let extensions = (!self.extensions.is_empty()).then_some("oauth_extensions");
        keys.copied().chain(extensions)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.texts.get(key).cloned()
    }
}

/// Keys of a cluster, and what of all clusters' they stand in place of.
const EXCLUDES: [(&str, &[&str]); 4] = [
    ("oauth_token_url", &["oauth_token_location"]),
    ("oauth_token_location", &["oauth_token_url"]),
    ("aws_access_key_id", &["aws_role_arn", "aws_web_identity_token_location"]),
    ("aws_role_arn", &["aws_access_key_id", "aws_secret_access_key", "aws_session_token"]),
];

/// Notes what a cluster gives for another mechanism than its own.
pub(super) fn refuse_unused(fields: &Fields<'_>, own: &Identity, mechanism: Option<SaslMechanism>) {
    let mechanism = mechanism.unwrap_or(SaslMechanism::Plain);
    for key in own.keys() {
        let wanted = match key {
            key if key.starts_with("oauth_") => SaslMechanism::OAuthBearer,
            key if key.starts_with("aws_") => SaslMechanism::MskIam,
            _ => SaslMechanism::Gssapi,
        };
        if mechanism != wanted {
            let read = format!("a value, but sasl_mechanism is {}", mechanism.name());
            let expected = format!("sasl_mechanism {}, or no {key}", wanted.name());
            fields.refuse(key, read, &expected);
        }
    }
}

/// Makes of what was given what is proven.
pub(super) fn proof(
    fields: &Fields<'_>,
    given: &Identity,
    mechanism: SaslMechanism,
) -> Option<Sasl> {
    match mechanism {
        SaslMechanism::MskIam => msk(fields, given),
        SaslMechanism::Gssapi => kerberos(fields, given),
        _ => oauth(fields, given),
    }
}

fn oauth(fields: &Fields<'_>, given: &Identity) -> Option<Sasl> {
    let location = given.paths.get("oauth_token_location").cloned();
    let origin = match (given.texts.get("oauth_token_url"), location) {
        (Some(_), Some(_)) => {
            fields.refuse("oauth_token_url", "both", "oauth_token_url or oauth_token_location");
            return None;
        }
        (Some(url), None) => TokenOrigin::Endpoint(endpoint(fields, given, url)?),
        (None, Some(file)) => TokenOrigin::File(file),
        (None, None) => {
            if !is_wrong(fields, "oauth_token_location") {
                let expected = "oauth_token_url with a client's id and secret, or \
                    oauth_token_location (or NU_KAFKA_OAUTH_... for every cluster)";
                let read = "nothing, but sasl_mechanism is OAUTHBEARER";
                fields.refuse("oauth_token_url", read, expected);
            }
            return None;
        }
    };
    Some(Sasl::Token(TokenSource { origin, extensions: given.extensions.clone() }))
}

fn endpoint(fields: &Fields<'_>, given: &Identity, url: &str) -> Option<TokenEndpoint> {
    let url = url_of(fields, "oauth_token_url", url);
    let client_id = needed(fields, "oauth_client_id", given.text("oauth_client_id"));
    let secret = given.secrets.get("oauth_client_secret").cloned();
    let client_secret = needed(fields, "oauth_client_secret", secret);
    Some(TokenEndpoint {
        url: url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scope: given.text("oauth_scope"),
        audience: given.text("oauth_audience"),
        ca_location: given.paths.get("oauth_ca_location").cloned(),
    })
}

fn msk(fields: &Fields<'_>, given: &Identity) -> Option<Sasl> {
    let region = needed(fields, "aws_region", given.text("aws_region"))?;
    if !region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        fields.refuse("aws_region", "another text", "a region, such as eu-central-1");
        return None;
    }
    let id = given.text("aws_access_key_id");
    let secret = given.secrets.get("aws_secret_access_key").cloned();
    let role = given.text("aws_role_arn");
    let file = given.paths.get("aws_web_identity_token_location").cloned();
    let credentials = match (id, secret, role, file) {
        (None, None, None, None) => AwsCredentials::Environment,
        (Some(id), Some(secret), None, None) => {
            let session = given.secrets.get("aws_session_token").cloned();
            AwsCredentials::Keys { id, secret, session }
        }
        (None, None, Some(role), Some(file)) => {
            let sts = match given.texts.get("aws_sts_url") {
                Some(url) => Some(url_of(fields, "aws_sts_url", url)?),
                None => None,
            };
            AwsCredentials::WebIdentity { role, file, sts }
        }
        _ => {
            let expected = "aws_access_key_id with aws_secret_access_key, or aws_role_arn with \
                aws_web_identity_token_location, or none of them";
            fields.refuse("aws_access_key_id", "some of them, or both pairs", expected);
            return None;
        }
    };
    let origin = TokenOrigin::Msk { region, credentials };
    Some(Sasl::Token(TokenSource { origin, extensions: BTreeMap::new() }))
}

fn kerberos(fields: &Fields<'_>, given: &Identity) -> Option<Sasl> {
    if !cfg!(feature = "kerberos") {
        let expected = "another mechanism, or a build with the cargo feature `kerberos`";
        fields.refuse("sasl_mechanism", "GSSAPI, which this build does not have", expected);
        return None;
    }
    let service = given.text("kerberos_service_name").unwrap_or_else(|| "kafka".into());
    let principal = given.text("kerberos_principal");
    let keytab = given.paths.get("kerberos_keytab_location").cloned();
    Some(Sasl::Kerberos(Kerberos { service, principal, keytab }))
}

fn url_of(fields: &Fields<'_>, key: &str, text: &str) -> Option<Url> {
    let url = parse::urls(text, "https").ok().filter(|urls| urls.len() == 1);
    let url = url.and_then(|mut urls| urls.pop()).filter(|url| url.username().is_empty());
    if url.is_none() {
        fields.refuse(key, "another text", "one address, https:// or http://, without a login");
    }
    url
}

fn needed<T>(fields: &Fields<'_>, key: &str, value: Option<T>) -> Option<T> {
    if value.is_none() && !is_wrong(fields, key) {
        let expected = format!("a value (or {} for every cluster)", setting_of(key));
        fields.refuse(key, "nothing", &expected);
    }
    value
}

fn is_wrong(fields: &Fields<'_>, key: &str) -> bool {
    fields.is_wrong(key) || fields.reader.is_wrong(&[&setting_of(key)])
}
