//! Who asks, and what happens when that is refused.

use std::path::Path;

use base64::Engine as _;
use nubium_batch_uploader::settings::Settings;
use nubium_local::{Answer, Api, Request};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::json;

use super::{BATCH, Test, done, exception, ids_of};

#[test]
fn access_tokens_are_kept_until_they_are_refused() {
    let tokens = Api::start(|request, before| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert_eq!(body, "grant_type=client_credentials&scope=orders.write");
        // "id:s%26" in base64: form-encoded before it becomes basic credentials.
        assert_eq!(request.header("authorization"), Some("Basic aWQ6cyUyNg=="));
        Answer::body(
            200,
            json!({"access_token": format!("t{before}"), "expires_in": 3600}).to_string(),
        )
    })
    .expect("token endpoint");
    let script = |request: &Request, before| match (before, request.header("authorization")) {
        (1, Some("Bearer t0")) => Answer::status(401),
        (0, Some("Bearer t0")) | (2.., Some("Bearer t1")) => Answer::status(200),
        _ => Answer::status(400),
    };
    let test = Test::new(script);
    std::fs::write(test.directory.path().join("s"), "s&\n").expect("file");
    let auth = format!(
        "auth: {{oauth2: {{token_url: '{}', client_id: id, client_secret_file: s, \
         scope: orders.write}}}}",
        tokens.url("/token")
    );
    let mut driver = test.driver(8, 1, "", &format!("batch: {{count: 2, seconds: 0}}\n{auth}"));
    driver.run().expect("ran");
    assert!(done(&driver, 8));
    assert!(ids_of(&driver, "failed").is_empty() && ids_of(&driver, "later").is_empty());
    assert_eq!(tokens.requests().len(), 2);
    assert_eq!(test.api.requests().len(), 5);
}

#[test]
fn refused_credentials_and_a_token_endpoint_that_is_down_lose_nothing() {
    let test = Test::new(|_, _| Answer::status(401));
    std::fs::write(test.directory.path().join("t"), "token").expect("file");
    let bearer = format!("{BATCH}\nauth: {{bearer: {{token_file: t}}}}");
    let mut driver = test.driver(4, 2, "", &bearer);
    driver.run().expect("ran");
    assert_eq!((test.api.requests().len(), ids_of(&driver, "later").len()), (2, 4));
    assert_eq!(test.api.requests()[0].header("authorization"), Some("Bearer token"));

    let tokens = Api::start(|_, _| Answer::body(500, "secret stuff")).expect("token endpoint");
    let test = Test::new(|_, _| Answer::status(200));
    std::fs::write(test.directory.path().join("s"), "hush").expect("file");
    let url = tokens.url("/token");
    let auth =
        format!("auth: {{oauth2: {{token_url: '{url}', client_id: i, client_secret_file: s}}}}");
    let mut driver = test.driver(4, 2, "", &format!("{BATCH}\n{auth}"));
    driver.run().expect("ran");
    let said = exception(&driver.delivered("later")[0]).to_string();
    assert!(said.contains("CredentialsError") && said.contains("500"), "{said}");
    assert!(!said.contains("hush"), "{said}");
    assert!(test.api.requests().is_empty());
}

#[test]
fn a_client_proves_itself_by_its_key_or_asks_for_a_user() {
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("key").serialize_pem();
    for (more, subject, name) in [
        ("client_auth: private_key_jwt, key_id: k1", "id", "client_assertion"),
        (
            "grant: jwt_bearer, subject: ada, assertion_audience: crm, key_id: k1",
            "ada",
            "assertion",
        ),
    ] {
        let tokens = Api::start(|_, _| Answer::body(200, json!({"access_token": "t"}).to_string()));
        let tokens = tokens.expect("token endpoint");
        let test = Test::new(|request, _| match request.header("authorization") {
            Some("Bearer t") => Answer::status(200),
            _ => Answer::status(400),
        });
        std::fs::write(test.directory.path().join("key.pem"), &key).expect("file");
        let url = tokens.url("/token");
        let auth = format!(
            "auth: {{oauth2: {{token_url: '{url}', client_id: id, client_key_file: key.pem, \
             scope: orders, {more}}}}}"
        );
        let mut driver = test.driver(4, 1, "", &format!("{BATCH}\n{auth}"));
        driver.run().expect("ran");
        assert!(done(&driver, 4) && ids_of(&driver, "failed").is_empty());
        let body = String::from_utf8(tokens.requests()[0].body.clone()).expect("UTF-8");
        let form = format!("&{body}");
        let token = form.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        let claims = token.and_then(|token| token.split('.').nth(1)).expect("claims");
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
        let claims: serde_json::Value =
            serde_json::from_slice(&claims.expect("base64")).expect("JSON");
        assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("id"), Some(subject)));
        let audience = if subject == "ada" { "crm" } else { url.as_str() };
        assert_eq!(claims["aud"].as_str(), Some(audience));
        let lasts = claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(exp, at)| exp - at);
        assert_eq!(lasts, Some(180));
        assert!(body.contains("scope=orders") && form.contains("jwt-bearer"), "{body}");
        assert!(test.api.requests()[0].header("authorization").is_some());
    }
}

#[test]
fn the_directory_of_the_file_is_where_secrets_are() {
    let text = "request: {url: 'http://x/'}\nauth: {bearer: {token_file: nowhere}}";
    assert!(Settings::parse("u.yaml", text, Path::new("/")).is_err());
}
