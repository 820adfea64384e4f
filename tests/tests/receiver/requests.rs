//! What a client and an operator see: formats, callers, limits, answers, counters, description.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use nubium_test_kit::exposition::{parse, sum_by};
use nubium_test_kit::receiver::{Answer, Receiver, forms};
use nubium_test_kit::services::shared;
use nubium_test_kit::topics;
use serde_json::json;

use crate::RECEIVER;

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A receiver of `settings`, in which `TOPIC` stands for a topic of its own.
fn receiver(settings: &str, files: &[(&str, &str)]) -> Result<(Receiver, String)> {
    let services = shared();
    let topic = topics::unique("forms");
    topics::create(&services.bootstrap, &[(&topic, 2)])?;
    let settings = settings.replace("TOPIC", &topic);
    let cluster = (services.bootstrap.as_str(), services.registry.as_str());
    Ok((Receiver::start(RECEIVER, cluster, &settings, files)?, topic))
}

fn expect(answer: &Answer, status: u16, words: &[&str]) -> Result<()> {
    ensure!(answer.status == status, "{status} expected: {answer:?}");
    for word in words {
        ensure!(answer.body.contains(word), "no {word:?} in {answer:?}");
    }
    Ok(())
}

#[test]
fn objects_lists_lines_and_forms_are_produced_with_key_and_headers() -> Result<()> {
    let (receiver, topic) = receiver(
        "last_updated_by: website\n\
         routes: [{path: /forms, topic: TOPIC, schema: form.avsc, key: /id,\n  \
         headers: {source: web}, copy_headers: [X-Campaign]}]\n",
        &[],
    )?;
    let one = [JSON, ("x-request-id", "r-1"), ("x-campaign", "spring")];
    let answer = receiver.send("POST", "/forms", &one, r#"{"id": "a", "n": 1}"#)?;
    expect(&answer, 200, &["\"success\":true", "\"guid\":\"r-1\""])?;
    let list = [JSON, ("idempotency-key", "k"), ("x-request-id", "r-2")];
    let answer =
        receiver.send("POST", "/forms", &list, r#"[{"id":"b","n":2},{"id":"c","n":3}]"#)?;
    expect(&answer, 200, &["[\"k-0\",\"k-1\"]", "\"records\":2"])?;
    let lines = [("content-type", "application/x-ndjson")];
    let answer = receiver.send(
        "POST",
        "/forms",
        &lines,
        "{\"id\":\"d\",\"n\":4}\n{\"id\":\"e\",\"n\":5}\n",
    )?;
    expect(&answer, 200, &["\"records\":2"])?;
    let made: Vec<_> = answer.json()?["guids"].as_array().context("guids")?.clone();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    expect(&receiver.send("POST", "/forms", &form, "id=f+g%21&n=6")?, 200, &["guid"])?;

    let found = forms(&shared().bootstrap, &topic)?;
    let by_n: BTreeMap<_, _> = found.iter().map(|form| (form.n, form)).collect();
    ensure!(found.len() == 6 && by_n.len() == 6, "{found:?}");
    for (n, id, guid) in [
        (1, "a", Some("r-1")),
        (2, "b", Some("k-0")),
        (3, "c", Some("k-1")),
        (4, "d", made[0].as_str()),
        (5, "e", made[1].as_str()),
    ] {
        let form = by_n[&n];
        ensure!((form.id.as_str(), form.key.as_deref()) == (id, Some(id)), "{form:?}");
        ensure!(form.raw.header("guid") == guid, "{form:?}");
        ensure!(form.raw.header("last_updated_by") == Some("website"), "{form:?}");
        ensure!(form.raw.header("source") == Some("web"), "{form:?}");
    }
    ensure!(by_n[&1].raw.header("x-campaign") == Some("spring"));
    ensure!(by_n[&2].raw.header("x-campaign").is_none());
    ensure!(by_n[&6].id == "f g!", "{:?}", by_n[&6]);

    let samples = parse(&receiver.probe("/metrics")?.1)?;
    ensure!(sum_by(&samples, "messages_produced", "topic")[&topic] == 6.0);
    ensure!(sum_by(&samples, "http_receiver_requests_total", "status")["200"] == 4.0);
    Ok(())
}

#[test]
fn every_failure_is_answered_with_its_reason_and_counted_by_its_name() -> Result<()> {
    let (receiver, topic) = receiver(
        "limits: {body_kib: 4, items: 3}\n\
         routes: [{path: /forms, topic: TOPIC, schema: form.avsc, key: /id}]\n",
        &[],
    )?;
    let post = |headers: &[(&str, &str)], body: &str| {
        receiver.send("POST", "/forms", headers, body.to_owned())
    };
    let wrong = r#"[{"id": "a", "n": 1}, {"id": 7, "m": 1}]"#;
    let answer = post(&[JSON], wrong)?;
    expect(&answer, 400, &["/1/n", "/1/id", "/1/m", "nothing was produced"])?;
    ensure!(answer.headers["content-type"] == "application/problem+json");
    expect(&post(&[JSON], "{\"id\": \"a\", ")?, 400, &["EOF"])?;
    expect(&post(&[JSON, ("idempotency-key", "")], "{}")?, 400, &["idempotency-key"])?;
    expect(&receiver.post("/elsewhere", &json!({}))?, 404, &["/elsewhere", "NotFound"])?;
    let get = receiver.send("GET", "/forms", &[], "")?;
    expect(&get, 405, &["POST"])?;
    ensure!(get.headers["allow"] == "POST");
    expect(&post(&[JSON], &" ".repeat(5_000))?, 413, &["4096"])?;
    expect(&post(&[JSON], "[1,2,3,4]")?, 413, &["more than 3 items"])?;
    expect(&post(&[("content-type", "text/plain")], "{}")?, 415, &["text/plain"])?;
    expect(&post(&[JSON, ("content-encoding", "br")], "{}")?, 415, &["br", "gzip"])?;

    ensure!(forms(&shared().bootstrap, &topic)?.is_empty(), "nothing of it was produced");
    let samples = parse(&receiver.probe("/metrics")?.1)?;
    let errors = sum_by(&samples, "message_errors", "exception");
    for (exception, count) in [
        ("BadRequest", 3.0),
        ("NotFound", 1.0),
        ("MethodNotAllowed", 1.0),
        ("RequestEntityTooLarge", 2.0),
        ("UnsupportedMediaType", 2.0),
    ] {
        ensure!(errors.get(exception) == Some(&count), "{exception}: {errors:?}");
    }
    Ok(())
}

#[test]
fn a_program_takes_any_form_routes_drops_and_refuses() -> Result<()> {
    let program = r#"
        if exists(.bot) { abort "a bot" }
        assert!(exists(.email), "no address")
        %headers.kind = "form"
        emit("TOPIC", {"id": "copy", "n": 0}, key: "copy")
        . = {"id": string!(.email), "n": length(object!(.))}
        %key = .id
    "#;
    let services = shared();
    let topic = topics::unique("forms");
    topics::create(&services.bootstrap, &[(&topic, 2)])?;
    let settings =
        format!("routes: [{{path: /, topic: {topic}, schema: form.avsc, program: forms.vrl}}]");
    let cluster = (services.bootstrap.as_str(), services.registry.as_str());
    let program = program.replace("TOPIC", &topic);
    let receiver =
        Receiver::start(RECEIVER, cluster, &settings, &[("forms.vrl", program.as_str())])?;
    let answer = receiver.post("/", &json!({"email": "a@b", "x": [1], "y": null}))?;
    expect(&answer, 200, &["\"records\":2"])?;
    let answer = receiver.post("/", &json!([{"bot": 1}, {"email": "c@d"}]))?;
    expect(&answer, 200, &["\"records\":2", "\"dropped\":1"])?;
    let answer = receiver.post("/", &json!([{"email": "e@f"}, {"x": 1}]))?;
    expect(&answer, 400, &["no address", "\"/1\""])?;

    let found = forms(&shared().bootstrap, &topic)?;
    let mut seen: Vec<_> = found
        .iter()
        .map(|form| (form.id.as_str(), form.n, form.key.as_deref(), form.raw.header("kind")))
        .collect();
    seen.sort_unstable();
    let kind = Some("form");
    let copy = ("copy", 0, Some("copy"), kind);
    let expected = [("a@b", 3, Some("a@b"), kind), ("c@d", 1, Some("c@d"), kind), copy, copy];
    ensure!(seen == expected, "{seen:?}");
    Ok(())
}

#[test]
fn callers_are_known_by_key_or_signature_and_their_rate_is_held() -> Result<()> {
    let settings = "
credentials:
  crm: {api_key_file: crm.keys, rate_limit: {requests_per_second: 0.001, burst: 2}}
  shop: {hmac_file: shop.keys, header: X-Signature}
routes:
  - {path: /keyed, topic: TOPIC, schema: form.avsc, auth: [crm]}
  - {path: /signed, topic: TOPIC, schema: form.avsc, auth: [shop]}
";
    let keys = format!("another key of enough length\n{KEY}\n");
    let files = [("crm.keys", keys.as_str()), ("shop.keys", "what do ya want for nothing?")];
    let (receiver, topic) = receiver(settings, &files)?;
    let body = r#"{"id":"a","n":1}"#;
    let post = |path: &str, header: (&str, &str)| {
        receiver.send("POST", path, &[JSON, header], body.to_owned())
    };
    expect(&post("/keyed", ("x-api-key", "wrong"))?, 401, &["Unauthorized"])?;
    expect(&post("/keyed", ("x-other", KEY))?, 401, &["x-api-key"])?;
    let large = receiver.send("POST", "/keyed", &[JSON], "x".repeat(200_000))?;
    expect(&large, 401, &["x-api-key"])?;
    expect(&post("/keyed", ("x-api-key", KEY))?, 200, &[])?;
    expect(&post("/keyed", ("authorization", &format!("Bearer {KEY}")))?, 200, &[])?;
    let limited = post("/keyed", ("x-api-key", KEY))?;
    expect(&limited, 429, &["TooManyRequests"])?;
    ensure!(limited.headers["retry-after"].parse::<u64>()? > 100, "{limited:?}");
    // HMAC-SHA-256 of the body with that key, made by `openssl dgst -sha256 -hmac`.
    let signature = "49e86628930676f07ad1cb2e39c0fe0f00a0b2f967d7a39697e5c7f46aa11241";
    expect(&post("/signed", ("x-signature", signature))?, 200, &[])?;
    for bad in ["", "zz", &signature.replace('a', "b"), &signature[..62]] {
        expect(&post("/signed", ("x-signature", bad))?, 401, &["Unauthorized"])?;
    }
    ensure!(forms(&shared().bootstrap, &topic)?.len() == 3, "what was refused is not produced");
    let log = receiver.process().log();
    ensure!(!log.contains(KEY) && !log.contains("for nothing"), "keys never print");
    Ok(())
}

#[test]
fn the_description_and_the_page_name_every_route_and_browsers_are_told_who_may_call() -> Result<()>
{
    let (receiver, topic) = receiver(
        "cors: {origins: ['https://www.example.org']}\n\
         routes: [{path: /forms, topic: TOPIC, schema: form.avsc}]\n",
        &[],
    )?;
    let description = receiver.send("GET", "/openapi.json", &[], "")?.json()?;
    ensure!(description["openapi"] == "3.1.0");
    ensure!(description["paths"]["/forms"]["post"]["summary"] == format!("Produce to {topic}"));
    let form = &description["components"]["schemas"]["Form"];
    ensure!(form["required"] == json!(["id", "n"]), "{form}");
    let page = receiver.send("GET", "/", &[], "")?;
    expect(&page, 200, &["POST /forms", &topic, "page.js"])?;
    ensure!(page.headers["content-security-policy"].contains("default-src 'none'"));
    ensure!(!page.body.contains("http://") && !page.body.contains("https://"), "nothing external");
    for file in ["/page.js", "/page.css"] {
        expect(&receiver.send("GET", file, &[], "")?, 200, &[])?;
    }
    let preflight = |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        receiver.send("OPTIONS", "/forms", &headers, "")
    };
    let allowed = preflight("https://www.example.org")?;
    ensure!(allowed.headers["access-control-allow-origin"] == "https://www.example.org");
    let other = preflight("https://evil.example")?;
    ensure!(!other.headers.contains_key("access-control-allow-origin"), "{other:?}");
    Ok(())
}
