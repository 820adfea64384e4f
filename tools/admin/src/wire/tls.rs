//! TLS as the cluster's settings want it: authorities, client certificate and key from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nubium_config::Tls;
use pkcs8::der::pem::PemLabel as _;
use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::error::AdminError;

/// Makes what connections are protected with.
pub(super) fn connector(tls: &Tls) -> Result<TlsConnector, AdminError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| settings("TLS", error))?;
    let builder = builder.with_root_certificates(authorities(tls.ca_location.as_deref())?);
    let config = match (&tls.certificate_location, &tls.key_location) {
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(tls, key)?)
            .map_err(|error| settings("ssl_certificate_location and ssl_key_location", error))?,
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn authorities(path: Option<&Path>) -> Result<RootCertStore, AdminError> {
    let mut store = RootCertStore::empty();
    let found = match path {
        None => rustls_native_certs::load_native_certs().certs,
        Some(path) => {
            let mut found = Vec::new();
            for file in files(path)? {
                found.extend(certificates(&file)?);
            }
            found
        }
    };
    // The system's may hold some that rustls does not read; of those named, one must be good.
    let (good, _) = store.add_parsable_certificates(found);
    if good == 0 {
        let (what, why) = match path {
            Some(path) => ("ssl_ca_location", format!("{} holds no certificate", path.display())),
            None => ("ssl_ca_location", "not set, and the system has no authorities".into()),
        };
        return Err(settings(what, why));
    }
    Ok(store)
}

/// The file itself, or the files of a directory.
fn files(path: &Path) -> Result<Vec<PathBuf>, AdminError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let read = |error| settings("ssl_ca_location", format!("{}: {error}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(read)? {
        let file = entry.map_err(read)?.path();
        if file.is_file() {
            files.push(file);
        }
    }
    Ok(files)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AdminError> {
    let wrong = |error: pem::Error| settings(&path.display().to_string(), error);
    CertificateDer::pem_file_iter(path).map_err(wrong)?.map(|found| found.map_err(wrong)).collect()
}

fn private_key(tls: &Tls, path: &Path) -> Result<PrivateKeyDer<'static>, AdminError> {
    let shown = path.display().to_string();
    match &tls.key_password {
        None => PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
            pem::Error::NoItemsFound => settings(
                &shown,
                "it holds no private key that can be read without a password; if it has one, set \
                 ssl_key_password",
            ),
            error => settings(&shown, error),
        }),
        Some(password) => {
            let text = std::fs::read_to_string(path).map_err(|error| settings(&shown, error))?;
            decrypted(&text, password.expose()).map_err(|why| settings(&shown, why))
        }
    }
}

/// Opens a private key with its password: PKCS#8 with PBES2, as OpenSSL has written it since 1.0.
fn decrypted(text: &str, password: &str) -> Result<PrivateKeyDer<'static>, String> {
    let (label, encrypted) = SecretDocument::from_pem(text).map_err(|error| error.to_string())?;
    if label != EncryptedPrivateKeyInfo::PEM_LABEL {
        let wanted = EncryptedPrivateKeyInfo::PEM_LABEL;
        return Err(format!(
            "it holds {label}, and with ssl_key_password it must hold {wanted}; convert it with: \
             openssl pkcs8 -topk8 -v2 aes-256-cbc"
        ));
    }
    let encrypted =
        EncryptedPrivateKeyInfo::try_from(encrypted.as_bytes()).map_err(|e| e.to_string())?;
    let key = encrypted.decrypt(password).map_err(|_| "ssl_key_password does not open it")?;
    Ok(PrivateKeyDer::Pkcs8(key.as_bytes().to_vec().into()))
}

fn settings(what: &str, why: impl ToString) -> AdminError {
    AdminError::Settings { what: what.into(), why: why.to_string() }
}
