use super::*;

fn parse(text: &str) -> Result<Settings, Vec<Problem>> {
    let directory = tempfile::tempdir().expect("directory");
    std::fs::write(directory.path().join("secret"), "s3cret\n").expect("file");
    std::fs::write(directory.path().join("empty"), "\n").expect("file");
    Settings::parse("u.yaml", text, directory.path())
}

#[test]
fn a_whole_file_is_read() {
    let settings = parse(
        "topics: [orders, returns]
request:
  url: https://api.example.com/v1/orders?x=1
  method: PUT
  headers: {x-tenant: '7'}
  name: crm
  body: json_array
  item: envelope
  wrap: /data/rec~1ords
  gzip: true
  timeout_seconds: 2.5
  idempotency_header: Idempotency-Key
auth:
  oauth2:
    token_url: https://login.example.com/token
    client_id: uploader
    client_secret_file: secret
    scope: orders.write
    client_auth: body
batch: {count: 500, megabytes: 2, seconds: 0.5}
limits: {concurrency: 4, requests_per_second: 20}
retry: {tries: 3, backoff_seconds: 0.5}
answer: {items: /results, status: /code, done: [ok], id: /ref, item_id: /id}",
    )
    .expect("settings");
    assert_eq!(settings.topics, ["orders", "returns"]);
    assert_eq!(settings.request.method, Method::PUT);
    assert_eq!(settings.request.endpoint, "/v1/orders");
    let around = ("{\"data\":{\"rec/ords\":".to_owned(), "}}".to_owned());
    assert_eq!(settings.request.around, around);
    assert_eq!(settings.batch.bytes, 2_000_000);
    assert_eq!(settings.retry.tries, Some(3));
    assert_eq!(settings.retry.backoff_max, Duration::from_secs(60));
    let Auth::OAuth2(oauth) = &settings.auth else { panic!("{:?}", settings.auth) };
    assert!(matches!(oauth.proof, Proof::Secret { in_body: true, .. }), "{oauth:?}");
    assert!(oauth.scope.is_some() && oauth.audience.is_none());
    assert_eq!(settings.answer.expect("answer").ids.expect("ids").item, "/id");
}

#[test]
fn little_is_needed() {
    let settings = parse("request: {url: 'http://localhost:8000/in'}").expect("settings");
    assert_eq!((settings.batch.count, settings.limits.concurrency), (100, 1));
    assert_eq!(
        (settings.request.name.as_str(), settings.request.body),
        ("localhost", Body::JsonArray)
    );
    assert!(settings.retry.tries.is_none(), "follows from the topics");
    assert!(matches!(settings.auth, Auth::None));
}

#[test]
fn every_problem_is_named_at_once_with_its_place() {
    let problems = parse(
        "topics: [1]
requests: 1
request:
  url: ftp://x
  method: HEAD
auth: {basic: {password_file: empty}, bearer: {token_file: nowhere}}
batch: {count: 0, seconds: -1}
limits: {concurrency: many}
retry: {tries: -1, backoff_seconds: 5, backoff_max_seconds: 1}
answer: {items: results, id: /id}",
    )
    .expect_err("problems");
    let said: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.place, p.read)).collect();
    for wanted in [
        ": requests",
        "topics[0]: 1",
        "request.url: ftp://x",
        "auth: basic and bearer",
        "batch.count: 0",
        "batch.seconds: -1",
        "limits.concurrency: many",
        "retry.tries: -1",
        "retry.backoff_max_seconds: 1",
        "answer.items: results",
        "answer.item_id: nothing",
    ] {
        assert!(said.contains(&wanted.to_owned()), "no {wanted} in {said:#?}");
    }
}

#[test]
fn secrets_come_from_files_that_are_there_and_never_print() {
    let base = "request: {url: 'http://x/'}\nauth: ";
    for (auth, place) in [
        ("{basic: {username: u, password_file: empty}}", "auth.basic.password_file"),
        ("{bearer: {token_file: nowhere}}", "auth.bearer.token_file"),
        ("{oauth2: {client_id: c}}", "auth.oauth2.client_secret_file"),
        (
            "{oauth2: {client_id: c, client_auth: private_key_jwt, client_key_file: secret}}",
            "auth.oauth2.client_key_file",
        ),
        ("{oauth2: {client_secret_file: secret, key_id: k}}", "auth.oauth2.key_id"),
    ] {
        let problems = parse(&format!("{base}{auth}")).expect_err("problems");
        assert!(problems.iter().any(|p| p.place == place), "{problems:?}");
    }
    let with_login =
        parse("request: {url: 'http://u:hunter2@x/', headers: {Authorization: hunter2}}");
    let problems = format!("{:?}", with_login.expect_err("problems"));
    assert!(problems.contains("request.url") && !problems.contains("hunter2"), "{problems}");
    let headers = parse("request: {url: 'http://x/', headers: {Authorization: hunter2}}");
    let problems = format!("{:?}", headers.expect_err("problems"));
    assert!(problems.contains("request.headers") && !problems.contains("hunter2"), "{problems}");
}

#[test]
fn rules_between_settings_hold() {
    for (text, place) in [
        ("request: {url: 'http://x/', body: single}\nanswer: {items: /r}", "answer"),
        ("request: {url: 'http://x/', body: ndjson, wrap: /r}", "request.wrap"),
        ("request: {url: 'http://x/', body: ndjson, around: {r: '{{items}}'}}", "request.around"),
        ("request: {url: 'http://x/', around: {r: 1}}", "request.around"),
        ("request: {url: 'http://x/', around: ['{{items}}', '{{items}}']}", "request.around"),
        ("request: {url: 'http://x/', around: '{{items}}', wrap: /r}", "request.around"),
        ("request: {url: 'http://x/{{/id}}'}", "request.body"),
        ("request: {url: 'http://{{/host}}/', body: single}", "request.url"),
        ("request: {url: 'http://x/{{id}}', body: single}", "request.url"),
        ("request: {url: 'http://x/', query: {a: '{{/a}}'}}", "request.body"),
        ("request: {url: 'http://x/', body: single, query: {a: '{{'}}", "request.query.a"),
        ("request: {url: 'http://x/', body: single, method: {from: /op}}", "request.method.from"),
        (
            "request: {url: 'http://x/', body: single, method: {from: /o, values: {a: GO}}}",
            "request.method.values.a",
        ),
        ("request: {url: 'http://x/'}\nlimits: {reset_header: X-R}", "limits.remaining_header"),
        ("request: {url: 'http://x/', body: form}", "request.template"),
        ("request: {url: 'http://x/', body: form, template: {a: '{{a}}'}}", "request.template.a"),
        ("request: {url: 'http://x/', body: text, template: {a: b}}", "request.template"),
        ("request: {url: 'http://x/', template: {a: '{{a}}'}}", "request.template"),
        (
            "request: {url: 'http://x/', body: multipart, content_type: a/b, template: {a: b}}",
            "request.content_type",
        ),
    ] {
        let problems = parse(text).expect_err("problems");
        assert_eq!(problems[0].place, place);
    }
}
