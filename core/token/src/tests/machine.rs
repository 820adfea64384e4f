//! What containers and instances of AWS are asked, and what they answer, by their documentation.

use super::asking::server;
use crate::{TokenFault, aws, endpoint, machine};
use nubium_config::AwsCredentials;

const KEYS: &str = r#"{"Code": "Success", "LastUpdated": "2026-01-02T03:04:05Z",
    "Type": "AWS-HMAC", "AccessKeyId": "ASIA2", "SecretAccessKey": "CANARY-secret",
    "Token": "session", "Expiration": "2026-01-02T09:04:05Z"}"#;

async fn keys(
    environment: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<aws::Keys, crate::TokenError> {
    let http = endpoint::client(None).expect("a client");
    aws::keys(&http, "eu-west-1", &AwsCredentials::Environment, environment).await
}

#[tokio::test]
async fn an_instance_is_asked_for_a_session_its_role_and_the_roles_keys() {
    let answers = ["session-1", "funnel-role\n", KEYS].map(|body| (200, body.to_owned()));
    let (url, asked) = server(answers.to_vec());
    let base = url.trim_end_matches("/token").to_owned();
    let environment =
        |name: &str| (name == "AWS_EC2_METADATA_SERVICE_ENDPOINT").then(|| base.clone());
    let found = keys(&environment).await.expect("keys");
    assert_eq!((&*found.id, found.secret.expose()), ("ASIA2", "CANARY-secret"));
    assert_eq!(found.until, aws::moment("2026-01-02T09:04:05Z"));
    assert!(found.until.is_some());
    let asked: Vec<String> = asked.iter().collect();
    let role = "/latest/meta-data/iam/security-credentials/";
    assert!(asked[0].starts_with("PUT /latest/api/token "), "{}", asked[0]);
    assert!(asked[0].contains("x-aws-ec2-metadata-token-ttl-seconds: 60"), "{}", asked[0]);
    for (request, path) in asked[1..].iter().zip([role.to_owned(), format!("{role}funnel-role")]) {
        assert!(request.starts_with(&format!("GET {path} ")), "{request}");
        assert!(request.contains("x-aws-ec2-metadata-token: session-1"), "{request}");
    }
}

#[tokio::test]
async fn a_container_is_shown_what_the_file_holds() {
    let (url, asked) = server(vec![(200, KEYS.into()), (401, "no".into())]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "CANARY-token\n").expect("written");
    let environment = |name: &str| match name {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI" => Some(url.clone()),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" => Some(file.path().display().to_string()),
        _ => None,
    };
    assert_eq!(keys(&environment).await.expect("keys").id, "ASIA2");
    let request = asked.recv().expect("asked");
    assert!(request.contains("authorization: CANARY-token\r\n"), "{request}");
    let error = keys(&environment).await.expect_err("refused");
    assert_eq!(error.fault, TokenFault::Refused);
    assert!(error.text.contains("401") && !error.text.contains("CANARY"), "{error}");
}

#[test]
fn credentials_are_asked_of_near_addresses_or_over_tls() {
    let of = |name: &'static str, text: &'static str| {
        machine::container(&move |asked: &str| (asked == name).then(|| text.to_owned()))
    };
    let relative = of("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1").unwrap();
    assert_eq!(relative.unwrap().as_str(), "http://169.254.170.2/v2/credentials/1");
    let full = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    for good in [
        "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1/credentials",
        "https://example.org/keys",
        "http://localhost:8080/keys",
        "http://127.0.0.1/keys",
    ] {
        assert!(of(full, good).is_ok(), "{good}");
    }
    for bad in ["http://example.org/keys", "http://127.example.org/keys", "keys"] {
        let error = of(full, bad).expect_err(bad);
        assert!(error.text.contains(full), "{error}");
    }
    assert_eq!(machine::container(&|_: &str| None).unwrap(), None);
}

#[tokio::test]
async fn keys_that_do_not_come_are_told_with_what_else_could_be_set() {
    let (url, _asked) = server(vec![(200, "<html>CANARY</html>".into()), (404, String::new())]);
    let environment =
        |name: &str| (name == "AWS_CONTAINER_CREDENTIALS_FULL_URI").then(|| url.clone());
    let error = keys(&environment).await.expect_err("no keys");
    assert_eq!(error.fault, TokenFault::Unreachable);
    assert!(
        error.text.contains("without credentials") && !error.text.contains("CANARY"),
        "{error}"
    );
    assert!(error.text.contains("AWS_ROLE_ARN"), "{error}");
    assert_eq!(keys(&environment).await.expect_err("none").fault, TokenFault::Refused);
}
