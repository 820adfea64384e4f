//! The signature beside what the published signer makes: aws-msk-iam-sasl-signer-python 1.0.2 with
//! botocore 1.44.8, at 2026-01-02 03:04:05.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::aws::Keys;
use crate::msk::{presigned, token};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn keys(id: &str, session: Option<&str>) -> Keys {
    let session = session.map(|session| session.to_owned().into());
    Keys { id: id.into(), secret: SECRET.to_owned().into(), session, until: None }
}

#[test]
fn the_request_is_signed_as_the_published_signer_does() {
    let now = UNIX_EPOCH + Duration::from_secs(1_767_323_045);
    assert_eq!(
        presigned("us-east-1", &keys("AKIDEXAMPLE", None), now),
        "https://kafka.us-east-1.amazonaws.com/?Action=kafka-cluster%3AConnect\
         &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-east-1\
         %2Fkafka-cluster%2Faws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=900\
         &X-Amz-SignedHeaders=host&X-Amz-Signature=\
         24ebada2ed545858377591fc84af1a1bff3c40c5e8ab0c1fc85eee156cfb42da"
    );
    let session = "FwoGZXIvYXdzE/+a=b c~d";
    assert_eq!(
        presigned("eu-central-1", &keys("ASIAEXAMPLE", Some(session)), now),
        "https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect\
         &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAEXAMPLE%2F20260102%2F\
         eu-central-1%2Fkafka-cluster%2Faws4_request&X-Amz-Date=20260102T030405Z\
         &X-Amz-Expires=900&X-Amz-SignedHeaders=host\
         &X-Amz-Security-Token=FwoGZXIvYXdzE%2F%2Ba%3Db%20c~d&X-Amz-Signature=\
         e95660c3bba8154aa11d77fc76530279ea04df7178de46f9feb937c1727178c6"
    );
}

#[test]
fn the_token_is_the_request_in_base64_and_ends_with_the_signature() {
    let now = UNIX_EPOCH + Duration::from_secs(1_767_323_045);
    let made = token("us-east-1", &keys("AKIDEXAMPLE", None), now).expect("a token");
    let url = URL_SAFE_NO_PAD.decode(made.expose()).expect("base64");
    let url = String::from_utf8(url).expect("text");
    assert!(url.ends_with("6cfb42da&User-Agent=nubium"), "{url}");
    let lasts = made.until.duration_since(now).expect("later").as_secs();
    assert!((890..=900).contains(&lasts), "{lasts}");
}

#[test]
fn a_token_ends_with_the_keys_that_it_was_signed_with() {
    let now = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    for (seconds, lasts) in [(300, 300), (3_600, 899)] {
        let until = Some(now + Duration::from_secs(seconds));
        let keys = Keys { until, ..keys("ASIA1", Some("s")) };
        let made = token("us-east-1", &keys, now).expect("a token");
        assert_eq!(made.until, now + Duration::from_secs(lasts));
    }
}
