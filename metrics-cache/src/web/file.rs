use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use serde::Deserialize;

/// A configuration that was read and found good.
pub(crate) struct Loaded {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Name to bcrypt hash.
    pub(crate) users: BTreeMap<String, String>,
    /// Headers of every response.
    pub(crate) headers: HeaderMap,
    /// The files it names.
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    tls_server_config: Option<Tls>,
    #[serde(default)]
    basic_auth_users: BTreeMap<String, String>,
    #[serde(default)]
    http_server_config: Http,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    cert_file: PathBuf,
    key_file: PathBuf,
    client_ca_file: Option<PathBuf>,
    #[serde(default)]
    client_auth_type: String,
    #[serde(default)]
    min_version: String,
    #[serde(default)]
    max_version: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    /// Taken and without effect: the cache speaks HTTP/1.1.
    #[serde(default)]
    #[serde(rename = "http2")]
    _http2: Option<bool>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// Reads a file and all that it names.
pub(super) fn load(path: &Path) -> anyhow::Result<Loaded> {
    let text = nubium_host::text::read(path)?;
    // An empty file is a configuration without anything.
    let document: Option<Document> = match text.trim().is_empty() {
        true => None,
        false => serde_norway::from_str(&text).map_err(|error| {
            // Its own text may quote the file, with hashes in it.
            let at = error.location().map_or(String::new(), |at| format!(" in line {}", at.line()));
            anyhow::anyhow!("not valid{at}: {}", field(&error.to_string()))
        })?,
    };
    let Some(document) = document else {
        let (users, headers) = (BTreeMap::new(), HeaderMap::new());
        return Ok(Loaded { tls: None, users, headers, files: Vec::new() });
    };
    for (user, hash) in &document.basic_auth_users {
        hash.parse::<bcrypt::HashParts>()
            .ok()
            .with_context(|| format!("basic_auth_users: the hash of `{user}` is not bcrypt"))?;
    }
    let mut headers = HeaderMap::new();
    for (name, value) in document.http_server_config.headers {
        let bad = || format!("http_server_config.headers: `{name}` or its value is no header");
        let parsed = HeaderName::try_from(&name).with_context(bad)?;
        headers.insert(parsed, HeaderValue::try_from(&value).with_context(bad)?);
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut files = Vec::new();
    let tls = document.tls_server_config.map(|tls| server_config(tls, directory, &mut files));
    Ok(Loaded { tls: tls.transpose()?, users: document.basic_auth_users, headers, files })
}

/// Keeps of an error what names a field; values may be secrets.
fn field(error: &str) -> String {
    let quoted: Vec<_> = error.split('`').collect();
    match (error.contains("unknown field"), error.contains("missing field"), quoted.get(1)) {
        (true, _, Some(name)) => format!("unknown field `{name}`"),
        (_, true, Some(name)) => format!("missing field `{name}`"),
        _ => "expected the fields of Prometheus' web configuration".into(),
    }
}

fn server_config(
    tls: Tls,
    directory: &Path,
    files: &mut Vec<PathBuf>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let mut at = |file: &Path| {
        let file = directory.join(file);
        files.push(file.clone());
        file
    };
    let (cert, key) = (at(&tls.cert_file), at(&tls.key_file));
    let ca = tls.client_ca_file.as_deref().map(&mut at);
    let chain = certificates(&cert).context("tls_server_config.cert_file")?;
    let key = PrivateKeyDer::from_pem_file(&key)
        .map_err(|error| anyhow::anyhow!("{}: {error}", key.display()))
        .context("tls_server_config.key_file")?;
    let versions = versions(&tls.min_version, &tls.max_version)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&versions)?;
    let required = match tls.client_auth_type.as_str() {
        "" | "NoClientCert" => None,
        "RequireAndVerifyClientCert" => Some(true),
        "VerifyClientCertIfGiven" => Some(false),
        other => bail!(
            "tls_server_config.client_auth_type: `{other}` is not known here; expected \
             NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        ),
    };
    let builder = match (required, ca) {
        (None, None) => builder.with_no_client_auth(),
        (None, Some(_)) => bail!(
            "tls_server_config: client_ca_file is given and client_auth_type asks for no \
             certificate; set it to RequireAndVerifyClientCert"
        ),
        (Some(_), None) => bail!("tls_server_config: client_auth_type needs a client_ca_file"),
        (Some(required), Some(ca)) => {
            let mut roots = RootCertStore::empty();
            for one in certificates(&ca).context("tls_server_config.client_ca_file")? {
                roots.add(one)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .context("tls_server_config: the certificate and the key do not fit")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let name = |error| anyhow::anyhow!("{}: {error}", path.display());
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(name)?
        .collect::<Result<_, _>>()
        .map_err(name)?;
    ensure!(!found.is_empty(), "{} holds no certificate", path.display());
    Ok(found)
}

fn versions(min: &str, max: &str) -> anyhow::Result<Vec<&'static SupportedProtocolVersion>> {
    let all = [("TLS12", &version::TLS12), ("TLS13", &version::TLS13)];
    let place = |field: &str, text: &str, default: usize| match text {
        "" => Ok(default),
        // Older ones may be named as the least, and are not spoken.
        "TLS10" | "TLS11" if field == "min_version" => Ok(0),
        text => all
            .iter()
            .position(|(name, _)| *name == text)
            .with_context(|| format!("tls_server_config.{field}: `{text}` is not TLS12 or TLS13")),
    };
    let (min, max) = (place("min_version", min, 0)?, place("max_version", max, 1)?);
    ensure!(min <= max, "tls_server_config: min_version is above max_version");
    Ok(all[min..=max].iter().map(|(_, version)| *version).collect())
}
