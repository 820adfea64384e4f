//! What endpoints answer, and what becomes of it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use super::jwt;
use crate::{TokenFault, Wallet, aws, endpoint};
use nubium_config::{AwsCredentials, TokenEndpoint, TokenOrigin, TokenSource};

const SECRET: &str = "CANARY-5ec7e7/+";

/// Answers each request with the next of these, and hands out what was asked.
pub(super) fn server(answers: Vec<(u16, String)>) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/token", listener.local_addr().expect("bound"));
    let (tell, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !is_whole(&request) {
                let read = stream.read(&mut buffer).expect("a request");
                request.extend_from_slice(&buffer[..read]);
            }
            let _ = tell.send(String::from_utf8(request).expect("text"));
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n");
            let _ = write!(stream, "{head}Connection: close\r\n\r\n{body}");
        }
    });
    (url, asked)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    length.and_then(|length| length.parse().ok()).is_none_or(|length: usize| body.len() >= length)
}

fn source(url: &str) -> TokenSource {
    let endpoint = TokenEndpoint {
        url: url.parse().expect("an address"),
        client_id: "fun nel".into(),
        client_secret: SECRET.to_owned().into(),
        scope: Some("kafka read".into()),
        audience: None,
        ca_location: None,
    };
    TokenSource { origin: TokenOrigin::Endpoint(endpoint), extensions: Default::default() }
}

fn soon(seconds: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("later");
    now.as_secs() + seconds
}

#[tokio::test]
async fn client_credentials_are_sent_as_the_standard_says() {
    let token = jwt(&format!(r#"{{"sub": "s", "exp": {}}}"#, soon(600)));
    let body =
        format!(r#"{{"access_token": "{token}", "token_type": "bearer", "expires_in": 60}}"#);
    let (url, asked) = server(vec![(200, body)]);
    let wallet = Wallet::new(&source(&url)).expect("a wallet");
    let got = wallet.token().await.expect("a token");
    assert_eq!((got.expose(), &*got.principal), (&*token, "s"));
    let left = got.until.duration_since(SystemTime::now()).expect("later");
    assert!(left <= Duration::from_secs(60), "{left:?}");
    // From the pocket: the server answers once.
    assert_eq!(wallet.token().await.expect("a token"), got);
    let request = asked.recv().expect("asked");
    assert!(request.ends_with("grant_type=client_credentials&scope=kafka%20read"), "{request}");
    // fun%20nel:CANARY-5ec7e7%2F%2B
    let expected = "authorization: basic ZnVuJTIwbmVsOkNBTkFSWS01ZWM3ZTclMkYlMkI=";
    assert!(request.to_lowercase().contains(&expected.to_lowercase()), "{request}");
}

#[tokio::test]
async fn each_failure_says_where_why_and_what_to_do() {
    let past = jwt(&format!(r#"{{"exp": {}}}"#, soon(0) - 100));
    let denied = format!(r#"{{"error": "invalid_client", "error_description": "no {SECRET}"}}"#);
    let opaque = r#"{"access_token": "opaque"}"#.to_owned();
    let cases = [
        (401, denied, TokenFault::Refused, "401 invalid_client: no [redacted]; check oauth_client"),
        (404, "<html>".into(), TokenFault::Refused, "check oauth_token_url"),
        (302, String::new(), TokenFault::Refused, "no token endpoint"),
        (503, "busy".into(), TokenFault::Unreachable, "503 busy; it is asked again"),
        (200, "CANARY-token".into(), TokenFault::Unreachable, "no JSON with an access_token"),
        (200, opaque, TokenFault::Unreachable, "neither expires_in"),
        (
            200,
            r#"{"access_token": "a b", "expires_in": 9}"#.into(),
            TokenFault::Unreachable,
            "char",
        ),
        (200, format!(r#"{{"access_token": "{past}"}}"#), TokenFault::Unusable, "ago; compare"),
    ];
    for (status, body, fault, told) in cases {
        let (url, _asked) = server(vec![(status, body)]);
        let error = Wallet::new(&source(&url)).expect("a wallet").token().await.expect_err(told);
        assert_eq!(error.fault, fault, "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(told) && text.contains(&url) && text.contains("fun nel"), "{text}");
        assert!(!text.contains("CANARY"), "{text}");
    }
    let gone = source("http://127.0.0.1:1/token");
    let error = Wallet::new(&gone).expect("a wallet").token().await.expect_err("nobody there");
    assert_eq!(error.fault, TokenFault::Unreachable);
    assert!(error.text.contains("does not answer") && error.text.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_until_it_ends() {
    let body = r#"{"access_token": "first", "expires_in": "0.9"}"#.to_owned();
    let (url, _asked) = server(vec![(200, body), (500, String::new())]);
    let wallet = Wallet::new(&source(&url)).expect("a wallet");
    assert_eq!(wallet.token().await.expect("a token").expose(), "first");
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(wallet.token().await.expect("still valid").expose(), "first");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(wallet.token().await.expect_err("ended").fault, TokenFault::Unreachable);
}

#[tokio::test]
async fn a_file_is_read_again_and_its_faults_are_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let origin = TokenOrigin::File(file.path().into());
    let source = TokenSource { origin, extensions: Default::default() };
    let error =
        || async { Wallet::new(&source).expect("a wallet").token().await.expect_err("bad") };
    let name = file.path().display().to_string();
    for (text, told) in [
        (String::new(), "no JWT"),
        ("CANARY".into(), "no JWT"),
        (jwt(r#"{"exp": 1}"#), "whoever renews the file has stopped"),
    ] {
        std::fs::write(file.path(), text).expect("written");
        let error = error().await;
        assert!(error.text.contains(told) && error.text.contains(&name), "{error}");
        assert!(!error.text.contains("CANARY"), "{error}");
    }
    let token = jwt(&format!(r#"{{"sub": "s", "exp": {}}}"#, soon(60)));
    std::fs::write(file.path(), format!("{token}\n")).expect("written");
    let got = Wallet::new(&source).expect("a wallet").token().await.expect("a token");
    assert_eq!(got.expose(), token);
}

#[tokio::test]
async fn a_role_is_taken_on_with_the_token_of_the_file() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "CANARY.web\n").expect("written");
    let answer = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>\
        <Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>se&amp;cret</SecretAccessKey>\
        <SessionToken>session</SessionToken><Expiration>2026-01-02T04:04:05Z</Expiration>\
        </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    let no = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>\
        <Message>bad CANARY.web</Message></Error></ErrorResponse>";
    let (url, asked) = server(vec![(200, answer.into()), (400, no.into())]);
    let http = endpoint::client(None).expect("a client");
    let environment = |name: &str| match name {
        "AWS_ROLE_ARN" => Some("arn:aws:iam::1:role/r".to_owned()),
        "AWS_WEB_IDENTITY_TOKEN_FILE" => Some(file.path().display().to_string()),
        "AWS_ENDPOINT_URL_STS" => Some(url.clone()),
        _ => None,
    };
    let of = AwsCredentials::Environment;
    let keys = aws::keys(&http, "eu-west-1", &of, &environment).await.expect("keys");
    assert_eq!((&*keys.id, keys.secret.expose()), ("ASIA1", "se&cret"));
    assert_eq!(keys.session.expect("one").expose(), "session");
    let request = asked.recv().expect("asked");
    for part in ["Action=AssumeRoleWithWebIdentity", "role%2Fr", "WebIdentityToken=CANARY.web"] {
        assert!(request.contains(part), "{request}");
    }
    let error = aws::keys(&http, "eu-west-1", &of, &environment).await.expect_err("refused");
    assert_eq!(error.fault, TokenFault::Refused);
    assert!(error.text.contains("InvalidIdentityToken bad [redacted]"), "{error}");
    let off = |name: &str| (name == "AWS_EC2_METADATA_DISABLED").then(|| "true".to_owned());
    let none = aws::keys(&http, "eu-west-1", &of, &off).await.expect_err("no keys");
    assert!(none.text.contains("AWS_ACCESS_KEY_ID"), "{none}");
}
