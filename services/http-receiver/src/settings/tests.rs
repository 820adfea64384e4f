use std::io;

use super::*;

const SCHEMA: &str = r#"{"type": "record", "name": "F", "fields": [
    {"name": "email", "type": "string"}]}"#;

fn read(name: &str) -> io::Result<String> {
    match name {
        "form.avsc" => Ok(SCHEMA.to_owned()),
        "other.avsc" => Ok(SCHEMA.replace("email", "mail")),
        "forms.vrl" => Ok(".email = downcase!(.email)".to_owned()),
        "crm.keys" => {
            Ok("# rotated in May\n\n0123456789abcdef0\n  fedcba98765432100 \n".to_owned())
        }
        "short.keys" => Ok("secret\n".to_owned()),
        other => Err(io::Error::new(io::ErrorKind::NotFound, format!("no {other}"))),
    }
}

fn parse(text: &str) -> Result<Settings, String> {
    Settings::parse("http-receiver.yaml", text, &read).map_err(|problems| {
        problems.iter().map(|p| format!("{}: {} | {}\n", p.place, p.read, p.expected)).collect()
    })
}

#[test]
fn the_least_is_a_route_with_topic_and_schema() {
    let settings = parse("routes: [{path: /forms, topic: forms, schema: form.avsc}]").unwrap();
    assert_eq!(settings.limits, Limits::default());
    assert!(settings.page && settings.cors.is_none() && settings.credentials.is_empty());
    assert_eq!(settings.listen.port(), 8080);
    assert_eq!(settings.outputs().len(), 1);
}

#[test]
fn everything_is_read() {
    let settings = parse(
        "
listen: 127.0.0.1:9000
last_updated_by: web
page: false
limits: {body_kib: 2, in_flight_mib: 1, items: 3, connections: 4, header_seconds: 5,
  body_seconds: 6, delivery_seconds: 7, drain_delay_seconds: 0}
cors: {origins: ['https://www.example.org'], headers: [X-Campaign], max_age_seconds: 60}
credentials:
  crm: {api_key_file: crm.keys, rate_limit: {requests_per_second: 0.5, burst: 2}}
  shop: {hmac_file: crm.keys, header: X-Hub-Signature-256, prefix: 'sha256=',
    timestamp_header: X-Time, tolerance_seconds: 60}
routes:
  - path: /forms
    outputs: [{topic: a, schema: form.avsc}, {topic: b, schema: other.avsc}]
    program: forms.vrl
    body: form.avsc
    key: /email
    headers: {source: web}
    copy_headers: [X-Campaign]
    ignore_unknown_fields: true
    auth: [shop, crm]
    rate_limit: {requests_per_second: 10}
",
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.limits.body_bytes, 2048);
    assert_eq!(settings.limits.delivery, Duration::from_secs(7));
    let route = &settings.routes[0];
    assert_eq!(route.auth, [1, 0]);
    assert_eq!(route.rate, Some(Rate { per_second: 10.0, burst: 10 }));
    assert_eq!(route.copy_headers, ["x-campaign"]);
    let CredentialKind::ApiKey { keys, .. } = &settings.credentials[0].kind else { panic!() };
    assert_eq!(keys.len(), 2, "comments and empty lines are left out");
    assert_eq!(keys[1].expose(), "fedcba98765432100");
    assert_eq!(settings.credentials[0].rate, Some(Rate { per_second: 0.5, burst: 2 }));
    let CredentialKind::Hmac(hmac) = &settings.credentials[1].kind else { panic!() };
    assert_eq!(hmac.header, "x-hub-signature-256");
    assert_eq!(hmac.timestamp.as_ref().unwrap().tolerance, Duration::from_secs(60));
    assert!(!format!("{settings:?}").contains("fedcba"), "keys never print");
}

#[test]
fn all_problems_are_named_at_once_with_their_places() {
    let problems = parse(
        "
listne: 1
listen: nowhere
limits: {body_kib: 0, bodies: 1}
cors: {origins: ['www.example.org', '*']}
credentials:
  crm: {api_key_file: gone.keys}
  short: {api_key_file: short.keys}
  none: {}
routes:
  - {path: forms, topic: forms, schema: gone.avsc, key: email, copy_headers: [guid]}
  - {path: /openapi.json, topic: 'a b', schema: form.avsc}
  - {path: /a, topic: a, schema: form.avsc, auth: [who]}
  - {path: /a, topic: a, schema: other.avsc, body: form.avsc, programm: x}
  - {path: /b, outputs: [{topic: a, schema: form.avsc}, {topic: b, schema: form.avsc}]}
  - 7
",
    )
    .unwrap_err();
    for expected in [
        ": listne | one of",
        "listen: nowhere |",
        "limits.body_kib: 0 | a whole number from 1",
        "limits: bodies |",
        "cors.origins: www.example.org |",
        "credentials.crm.api_key_file: gone.keys | a file beside this one",
        "credentials.short.api_key_file: short.keys | keys of 16 characters",
        "credentials.none.api_key_file: none or both |",
        "routes[0].path: forms |",
        "routes[0].schema: gone.avsc |",
        "routes[0].key: email | a JSON pointer",
        "routes[0].copy_headers: guid |",
        "routes[1].path: /openapi.json |",
        "routes[1].topic: a b |",
        "routes[2].auth: who | one of crm",
        "routes[3].body: a schema | a program too",
        "routes[3]: programm |",
        "routes[4].outputs: several |",
        "routes[5]: 7 | a map",
        "routes: /a | each path once",
        "routes: a | one schema for each topic",
    ] {
        assert!(problems.contains(expected), "no `{expected}` in\n{problems}");
    }
    assert!(!problems.contains("secret"), "keys never print");
}

#[test]
fn a_file_that_is_no_map_is_refused() {
    assert!(parse("[]").unwrap_err().contains("a map with `routes`"));
    assert!(parse("a: [").unwrap_err().contains("YAML"));
    assert!(parse("routes: []").unwrap_err().contains("a list with one entry at least"));
    let missing = Settings::load(Path::new("/no/such/file.yaml")).unwrap_err();
    assert_eq!(missing[0].setting, "NU_HTTP_RECEIVER_CONFIG");
}
