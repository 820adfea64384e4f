//! The HTTP client: time-outs, certificates, no redirects.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use reqwest::{Client, Identity, redirect};

use crate::settings::{Auth, Settings};

/// Makes the HTTP client.
///
/// # Errors
/// The certificates of `ca_file` cannot be used.
pub fn new(settings: &Settings) -> Result<Client> {
    let request = &settings.request;
    let mut builder = Client::builder()
        .timeout(request.timeout)
        .connect_timeout(request.connect_timeout)
        // A redirect of a POST is a wrong URL, and credentials must not travel on.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("nubium-batch-uploader/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = &request.ca_file {
        let pem = std::fs::read(file).with_context(|| format!("ca_file {}", file.display()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .with_context(|| format!("ca_file {}", file.display()))?;
        ensure!(!certificates.is_empty(), "ca_file {} holds no certificate", file.display());
        builder = builder.tls_certs_merge(certificates);
    } else if is_plain(settings) {
        // Images without CA certificates can still use a plain API.
        builder = builder.tls_certs_only([]);
    }
    if let Some((certificate, key)) = &request.client_certificate {
        let what = || format!("{} and {}", certificate.display(), key.display());
        let read = |file: &Path| {
            std::fs::read(file).with_context(|| format!("client certificate {}", file.display()))
        };
        let pem = [read(key)?, b"\n".to_vec(), read(certificate)?].concat();
        // Its own errors may quote what they read.
        let identity = Identity::from_pem(&pem)
            .map_err(|_| anyhow!("{} are no certificate and private key in PEM", what()))?;
        builder = builder.identity(identity);
    }
    builder.build().context("HTTP client")
}

/// Whether nothing of it goes over TLS.
fn is_plain(settings: &Settings) -> bool {
    let token = match &settings.auth {
        Auth::OAuth2(oauth) => Some(&oauth.token_url),
        _ => None,
    };
    std::iter::once(&settings.request.url).chain(token).all(|url| url.scheme() == "http")
}
