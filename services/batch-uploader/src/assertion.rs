//! JSON Web Tokens that a client signs with its private key: RFC 7519 and 7523.

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{SignatureAlgorithm, SignatureScheme};
use serde_json::{Value, json};

/// Signs claims; the algorithm follows from the key: RS256, ES256, ES384 or EdDSA.
///
/// # Errors
/// The text holds no private key in PEM, or one of another kind.
pub fn sign(key: &str, key_id: Option<&str>, claims: &Value) -> Result<String> {
    // Its own errors may quote what they read.
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
    let key = key.map_err(|_| anyhow!("no private key in PEM, without a password"))?;
    let key = any_supported_type(&key).map_err(|_| anyhow!("a private key of no known kind"))?;
    let schemes = match key.algorithm() {
        SignatureAlgorithm::RSA => &[(SignatureScheme::RSA_PKCS1_SHA256, "RS256", 0)][..],
        SignatureAlgorithm::ECDSA => &[
            (SignatureScheme::ECDSA_NISTP256_SHA256, "ES256", 32),
            (SignatureScheme::ECDSA_NISTP384_SHA384, "ES384", 48),
        ],
        SignatureAlgorithm::ED25519 => &[(SignatureScheme::ED25519, "EdDSA", 0)],
        other => bail!("no JSON Web Token is signed with a key of kind {other:?}"),
    };
    let mut found = schemes.iter().filter_map(|(scheme, name, half)| {
        key.choose_scheme(&[*scheme]).map(|signer| (signer, *name, *half))
    });
    let (signer, algorithm, half) = found.next().context("a private key of an unusual curve")?;
    let mut head = json!({ "alg": algorithm, "typ": "JWT" });
    if let Some(id) = key_id {
        head["kid"] = id.into();
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&head), encode(claims));
    let signature = signer.sign(signed.as_bytes()).context("the key does not sign")?;
    let signature = match half {
        0 => signature,
        half => halves(&signature, half).context("a signature of no known form")?,
    };
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Makes the two numbers of a signature, which TLS has in DER, as long as each other (RFC 7518,
/// section 3.4).
fn halves(der: &[u8], half: usize) -> Option<Vec<u8>> {
    let mut rest = match der {
        [0x30, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
        _ => return None,
    };
    let mut out = Vec::with_capacity(2 * half);
    for _ in 0..2 {
        let [0x02, length, after @ ..] = rest else { return None };
        let (number, after) = after.split_at_checked(usize::from(*length))?;
        let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
        let number = &number[start..];
        out.resize(out.len() + half.checked_sub(number.len())?, 0);
        out.extend_from_slice(number);
        rest = after;
    }
    rest.is_empty().then_some(out)
}

#[cfg(test)]
mod tests;
