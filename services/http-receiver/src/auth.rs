//! Who is calling: API keys and signatures, compared in constant time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use nubium_core::config::Secret;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::settings::{Credential, CredentialKind, Encoding, Hmac as Signed};

/// Says whether the body is needed to know who is calling.
#[must_use]
pub fn needs_body(credential: &Credential) -> bool {
    matches!(credential.kind, CredentialKind::Hmac(_))
}

/// Says whether the request comes from the one whose credential this is.
///
/// # Errors
/// Why not, in words for the client that tell nothing of the keys.
pub fn verify(
    credential: &Credential,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<(), String> {
    match &credential.kind {
        CredentialKind::ApiKey { header, keys } => api_key(header, keys, headers),
        CredentialKind::Hmac(signed) => signature(signed, headers, body, now),
    }
}

fn api_key(header: &str, keys: &[Secret], headers: &HeaderMap) -> Result<(), String> {
    let bearer = || {
        let value = headers.get(AUTHORIZATION)?.as_bytes();
        let (scheme, token) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
    };
    let given = headers.get(header).map(|value| value.as_bytes()).or_else(bearer);
    let Some(given) = given else {
        return Err(format!("there is no key: send it in the header {header}"));
    };
    // Digests have one length, so that the comparison tells nothing of the key's.
    let given = Sha256::digest(given);
    let same = |key: &Secret| Sha256::digest(key.expose().as_bytes()).ct_eq(&given);
    match any(keys.iter().map(same)) {
        true => Ok(()),
        false => Err("the key is not known".into()),
    }
}

fn signature(
    signed: &Signed,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<(), String> {
    let Some(given) = headers.get(&signed.header).and_then(|value| value.to_str().ok()) else {
        return Err(format!("there is no signature: send it in the header {}", signed.header));
    };
    let time = match &signed.timestamp {
        None => None,
        Some(timestamp) => {
            let header = &timestamp.header;
            let Some(text) = headers.get(header).and_then(|value| value.to_str().ok()) else {
                return Err(format!("there is no time: send it in the header {header}"));
            };
            if !is_near(text, now, timestamp.tolerance) {
                let tolerance = timestamp.tolerance.as_secs();
                return Err(format!(
                    "the time in {header} must be seconds since 1970, at most {tolerance} off"
                ));
            }
            Some(text)
        }
    };
    let wrong = || "the signature does not match".to_owned();
    let given = given.trim().strip_prefix(signed.prefix.as_str()).ok_or_else(wrong)?;
    let given = decode(signed.encoding, given).ok_or_else(wrong)?;
    let same = |key: &Secret| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else {
            return Choice::from(0);
        };
        if let Some(time) = time {
            mac.update(time.as_bytes());
            mac.update(b".");
        }
        mac.update(body);
        mac.finalize().into_bytes().ct_eq(given.as_slice())
    };
    if any(signed.keys.iter().map(same)) { Ok(()) } else { Err(wrong()) }
}

/// Looks at all of them, whichever is the one.
fn any(mut choices: impl Iterator<Item = Choice>) -> bool {
    let first = choices.next().unwrap_or_else(|| Choice::from(0));
    choices.fold(first, |all, one| all | one).into()
}

fn is_near(text: &str, now: SystemTime, tolerance: Duration) -> bool {
    let Ok(seconds) = text.trim().parse::<u64>() else { return false };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    now.abs_diff(seconds) <= tolerance.as_secs()
}

fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Hex if text.len().is_multiple_of(2) && is_hex(text) => {
            let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
            (0..text.len()).step_by(2).map(pair).collect()
        }
        Encoding::Hex => None,
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
