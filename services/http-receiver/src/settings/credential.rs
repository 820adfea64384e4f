//! Reads who may call. Keys are in files alone, one a line.

use std::time::Duration;

use nubium_core::config::Secret;
use nubium_service::document::{Fields, Files};

use super::route::check_header;
use super::{Credential, CredentialKind, Encoding, Hmac, Timestamp, limits};

const EXAMPLE: &str = "credentials: {crm: {api_key_file: crm.keys}}";
/// A key shorter than this can be guessed.
const KEY_BYTES: usize = 16;

/// Gives the credentials, and their names in the same order.
pub(super) fn read(root: &Fields<'_>, files: &Files<'_>) -> (Vec<Credential>, Vec<String>) {
    let (mut credentials, mut names) = (Vec::new(), Vec::new());
    for (name, fields) in root.named("credentials", EXAMPLE) {
        let kind = match (fields.has("api_key_file"), fields.has("hmac_file")) {
            (true, false) => api_key(&fields, files),
            (false, true) => hmac(&fields, files),
            _ => {
                let expected = "api_key_file or hmac_file, one of them";
                fields.problem("api_key_file", "none or both", expected, "crm.keys");
                CredentialKind::ApiKey { header: String::new(), keys: Vec::new() }
            }
        };
        credentials.push(Credential { name: name.clone(), kind, rate: limits::rate(&fields) });
        names.push(name);
        fields.finish();
    }
    (credentials, names)
}

fn api_key(fields: &Fields<'_>, files: &Files<'_>) -> CredentialKind {
    let header = header(fields, "header", "X-API-Key");
    CredentialKind::ApiKey { header, keys: keys(fields, files, "api_key_file") }
}

fn hmac(fields: &Fields<'_>, files: &Files<'_>) -> CredentialKind {
    let encoding = match fields.text("encoding", "hex").as_deref() {
        None | Some("hex") => Encoding::Hex,
        Some("base64") => Encoding::Base64,
        Some(other) => {
            fields.problem("encoding", other, "hex or base64", "hex");
            Encoding::Hex
        }
    };
    let tolerance = fields.seconds("tolerance_seconds", 300.0, 1.0..=86_400.0);
    let timestamp = fields.has("timestamp_header").then(|| Timestamp {
        header: header(fields, "timestamp_header", "X-Timestamp"),
        tolerance,
    });
    if timestamp.is_none() && fields.has("tolerance_seconds") {
        let expected = "timestamp_header too: without it no time is signed";
        fields.problem("tolerance_seconds", &seconds(tolerance), expected, "X-Timestamp");
    }
    CredentialKind::Hmac(Hmac {
        header: header(fields, "header", "X-Signature"),
        prefix: fields.text("prefix", "sha256=").unwrap_or_default(),
        encoding,
        timestamp,
        keys: keys(fields, files, "hmac_file"),
    })
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}

fn header(fields: &Fields<'_>, name: &str, default: &str) -> String {
    let header = fields.text(name, default).unwrap_or_else(|| default.to_owned());
    check_header(fields, name, &header);
    header.to_ascii_lowercase()
}

/// Gives the keys of a file: one a line, empty lines and those that begin with `#` left out.
fn keys(fields: &Fields<'_>, files: &Files<'_>, name: &str) -> Vec<Secret> {
    let Some((file, text)) = files.text(fields, name, "crm.keys") else { return Vec::new() };
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let keys: Vec<_> = lines.map(|line| Secret::from(line.to_owned())).collect();
    if keys.is_empty() {
        fields.problem(name, &file, "a file with one key a line, but it has none", "crm.keys");
    }
    if keys.iter().any(|key| key.expose().len() < KEY_BYTES) {
        let expected = format!("keys of {KEY_BYTES} characters at least, one a line");
        fields.problem(name, &file, &expected, "the output of: openssl rand -hex 32");
    }
    keys
}
