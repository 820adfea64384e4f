//! The token of Amazon MSK's IAM authentication: a presigned request (AWS Signature Version 4, query
//! parameters) for `kafka-cluster:Connect`, as the published aws-msk-iam-sasl-signer packages make
//! it.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::aws::Keys;
use super::endpoint::escape;
use super::{Token, TokenError};

/// How long a token lives: the longest that MSK takes.
const LIFETIME: Duration = Duration::from_secs(900);
const SERVICE: &str = "kafka-cluster";
const AGENT: &str = "nubium";

/// Makes the token of now.
pub(super) fn token(region: &str, keys: &Keys, now: SystemTime) -> Result<Token, TokenError> {
    let url = format!("{}&User-Agent={AGENT}", presigned(region, keys, now));
    let text = URL_SAFE_NO_PAD.encode(url);
    // The signature's time has no fractions.
    let until = now + LIFETIME - Duration::from_secs(1);
    let until = keys.until.map_or(until, |keys| keys.min(until));
    Token::checked(&text, keys.id.clone(), until)
        .map_err(|why| TokenError::unusable(format!("MSK token: {why}")))
}

/// Signs the request.
pub(super) fn presigned(region: &str, keys: &Keys, now: SystemTime) -> String {
    let host = format!("kafka.{region}.amazonaws.com");
    let time = timestamp(now);
    let date = &time[..8];
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    let mut query = vec![
        ("Action", "kafka-cluster:Connect".to_owned()),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
        ("X-Amz-Credential", format!("{}/{scope}", keys.id)),
        ("X-Amz-Date", time.clone()),
        ("X-Amz-Expires", LIFETIME.as_secs().to_string()),
        ("X-Amz-SignedHeaders", "host".to_owned()),
    ];
    if let Some(session) = &keys.session {
        query.push(("X-Amz-Security-Token", session.expose().to_owned()));
    }
    // The signature is over the parameters in order.
    let mut sorted = query.clone();
    sorted.sort();
    let canonical =
        format!("GET\n/\n{}\nhost:{host}\n\nhost\n{}", join(&sorted), hex(&Sha256::digest(b"")));
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut key = format!("AWS4{}", keys.secret.expose()).into_bytes();
    for part in [date, region, SERVICE, "aws4_request", &text] {
        key = sign(&key, part);
    }
    format!("https://{host}/?{}&X-Amz-Signature={}", join(&query), hex(&key))
}

fn join(query: &[(&str, String)]) -> String {
    let pairs = query.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20260102T030405Z`.
fn timestamp(now: SystemTime) -> String {
    chrono::DateTime::<chrono::Utc>::from(now).format("%Y%m%dT%H%M%SZ").to_string()
}
