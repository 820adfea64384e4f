use super::*;
use crate::settings::Timestamp;

const OLD: &str = "an old key of some length";
const NEW: &str = "a new key of some length";

fn secrets() -> Vec<Secret> {
    vec![OLD.to_owned().into(), NEW.to_owned().into()]
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn api_key() -> Credential {
    let kind = CredentialKind::ApiKey { header: "x-api-key".into(), keys: secrets() };
    Credential { name: "crm".into(), kind, rate: None }
}

fn hmac(encoding: Encoding, prefix: &str, timestamp: Option<Timestamp>) -> Credential {
    let header = "x-signature".into();
    let signed = Signed { header, prefix: prefix.into(), encoding, timestamp, keys: secrets() };
    Credential { name: "shop".into(), kind: CredentialKind::Hmac(signed), rate: None }
}

fn sign(key: &str, parts: &[&str]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn any_of_the_keys_is_taken_in_its_header_or_as_bearer() {
    let verify =
        |pairs: &[(&str, &str)]| verify(&api_key(), &headers(pairs), b"", SystemTime::UNIX_EPOCH);
    for good in [
        ("x-api-key", OLD.to_owned()),
        ("x-api-key", NEW.to_owned()),
        ("authorization", format!("Bearer {NEW}")),
        ("authorization", format!("bearer  {OLD}")),
    ] {
        assert_eq!(verify(&[(good.0, &good.1)]), Ok(()), "{good:?}");
    }
    for bad in [
        ("x-api-key", ""),
        ("x-api-key", "an old key of some lengt"),
        ("x-api-key", "an old key of some length2"),
        ("authorization", "Basic YTpi"),
        ("authorization", "Bearer"),
    ] {
        let error = verify(&[bad]).unwrap_err();
        assert!(!error.contains(OLD) && !error.contains(NEW), "{error}");
    }
    assert!(verify(&[]).unwrap_err().contains("x-api-key"));
}

#[test]
fn a_signature_known_from_elsewhere_is_right() {
    // RFC 4231, test case 2, with its short key.
    let kind = CredentialKind::Hmac(Signed {
        header: "x-hub-signature-256".into(),
        prefix: "sha256=".into(),
        encoding: Encoding::Hex,
        timestamp: None,
        keys: vec!["Jefe".to_owned().into()],
    });
    let credential = Credential { name: "hub".into(), kind, rate: None };
    let signature = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let pairs = headers(&[("x-hub-signature-256", signature)]);
    let body = b"what do ya want for nothing?";
    assert_eq!(verify(&credential, &pairs, body, SystemTime::UNIX_EPOCH), Ok(()));
    assert!(verify(&credential, &pairs, b"what else?", SystemTime::UNIX_EPOCH).is_err());
}

#[test]
fn bad_signatures_are_refused() {
    let good = hex(&sign(NEW, &["body"]));
    let check = |signature: &str| {
        let credential = hmac(Encoding::Hex, "", None);
        verify(&credential, &headers(&[("x-signature", signature)]), b"body", SystemTime::now())
    };
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&good.to_uppercase()), Ok(()), "hex has no case");
    for bad in ["", "zz", "+1", &good[..62], &format!("{good}00"), &good.replace('a', "b")] {
        if bad != good {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
    let base64 = STANDARD.encode(sign(OLD, &["body"]));
    let credential = hmac(Encoding::Base64, "v1=", None);
    let with = |value: &str| {
        verify(&credential, &headers(&[("x-signature", value)]), b"body", SystemTime::now())
    };
    assert_eq!(with(&format!("v1={base64}")), Ok(()));
    assert!(with(&base64).is_err(), "the prefix is missing");
}

#[test]
fn a_signed_time_must_be_near_and_is_part_of_what_is_signed() {
    let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
    let timestamp = Timestamp { header: "x-time".into(), tolerance: Duration::from_secs(300) };
    let credential = hmac(Encoding::Hex, "", Some(timestamp));
    let check = |time: &str, signed: &str| {
        let signature = hex(&sign(OLD, &[signed, ".", "body"]));
        let pairs = headers(&[("x-signature", &signature), ("x-time", time)]);
        verify(&credential, &pairs, b"body", now)
    };
    for near in ["1000000", "999700", "1000300"] {
        assert_eq!(check(near, near), Ok(()), "{near}");
    }
    for far in ["999699", "1000301", "0", "-1", "now"] {
        assert!(check(far, far).is_err(), "{far}");
    }
    assert!(check("1000001", "1000000").is_err(), "another time than was signed");
}
