//! Bodies of other shapes, and requests of one message's own.

use futures::{FutureExt as _, stream};
use nubium_core::driver::{Fault, Step};
use nubium_local::{Answer, Request};
use serde_json::{Value, json};

use super::{BATCH, Test, done, exception, ids_of};

fn text(request: &Request) -> String {
    String::from_utf8(request.body.clone()).expect("UTF-8")
}

/// When an order was made, as JSON has it.
fn at(id: i64) -> String {
    format!("2023-11-14T22:13:20.00{id}Z")
}

#[test]
fn json_takes_any_shape_and_lies_where_the_api_wants_it() {
    let test = Test::new(|_, _| Answer::status(200));
    let request = "template: {key: 'order {{/id}}', at: '{{/at}}', no: '{{/no?}}'}, \
        around: {query: 'mutation', variables: {rows: '{{items}}'}}";
    let mut driver = test.driver(4, 1, request, BATCH);
    driver.run().expect("ran");
    let body: Value = serde_json::from_slice(&test.api.requests()[0].body).expect("JSON");
    let row = |id: i64| json!({"key": format!("order {id}"), "at": at(id)});
    let want =
        json!({"query": "mutation", "variables": {"rows": [row(0), row(2), row(1), row(3)]}});
    assert_eq!(body, want);
    assert!(done(&driver, 4));
}

#[test]
fn url_query_and_method_come_from_the_message() {
    let test = Test::new(|_, _| Answer::status(200));
    let request = "body: single, item: envelope, query: {at: '{{/value/at}}'}, \
        method: {from: /value/id, values: {'0': PUT, '1': DELETE}, otherwise: PATCH}";
    let path = "/orders/{{/key}}/{{/value/id}}?x=1";
    let mut driver = test.driver_to(path, 3, 1, request, BATCH);
    driver.run().expect("ran");
    let mut seen: Vec<_> = test
        .api
        .requests()
        .iter()
        .map(|request| (request.method.clone(), request.path.clone(), request.body.is_empty()))
        .collect();
    seen.sort();
    let path = |id: i64| format!("/orders/key/{id}?x=1&at={}", at(id).replace(':', "%3A"));
    assert_eq!(
        seen,
        [
            ("DELETE".to_owned(), path(1), true),
            ("PATCH".to_owned(), path(2), false),
            ("PUT".to_owned(), path(0), false),
        ]
    );
    let metrics = test.metrics.text();
    assert!(metrics.contains(r#"request_endpoint="/orders/{{/key}}/{{/value/id}}""#), "{metrics}");
    assert!(metrics.contains(r#"request_type="DELETE""#), "{metrics}");
    assert!(done(&driver, 3));
}

#[test]
fn what_an_item_lacks_sends_it_to_the_failure_topic_alone() {
    let test = Test::new(|_, _| Answer::status(200));
    let request = "body: single, method: {from: /id, values: {'0': POST, '2': POST}}";
    let mut driver = test.driver(4, 1, request, BATCH);
    driver.run().expect("ran");
    assert_eq!(ids_of(&driver, "failed"), [1, 3]);
    let said = exception(&driver.delivered("failed")[0]).to_string();
    assert!(said.contains("TemplateError") && said.contains("/id"), "{said}");
    assert_eq!(test.api.requests().len(), 2);
    assert!(done(&driver, 4));
}

#[test]
fn forms_parts_and_xml_are_written_as_others_read_them() {
    let test = Test::new(|_, _| Answer::status(200));
    let request = "body: form, template: {id: 'n {{/id}}', raw: '{{/raw}}', no: '{{/no?}}'}";
    test.driver(1, 1, request, BATCH).run().expect("ran");
    let form = &test.api.requests()[0];
    assert_eq!(form.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(text(form), "id=n+0&raw=%00%C3%BF");

    let request = "body: text, content_type: text/xml, template: '<o id=\"{{/id}}\">{{.}}</o>'";
    test.driver(1, 1, &request.replace("{{.}}", "{{/at}}"), BATCH).run().expect("ran");
    let xml = test.api.requests().pop().expect("a request");
    assert_eq!(xml.header("content-type"), Some("text/xml"));
    assert_eq!(text(&xml), "<o id=\"0\">2023-11-14T22:13:20.000Z</o>");

    let request = "body: multipart, template: {\"a\\\"b\": '{{/id}}', \
        order: {file: o.json, type: application/json, value: '{{.}}'}, no: '{{/no?}}'}";
    test.driver(1, 1, request, BATCH).run().expect("ran");
    let parts = test.api.requests().pop().expect("a request");
    let kind = parts.header("content-type").expect("a type");
    let boundary = multer::parse_boundary(kind).expect("a boundary");
    let body = stream::iter([Ok::<_, std::convert::Infallible>(parts.body.clone())]);
    let read = async {
        let mut form = multer::Multipart::new(body, boundary);
        let mut read = Vec::new();
        while let Some(field) = form.next_field().await.expect("a form") {
            let name = field.name().map(str::to_owned);
            let file = field.file_name().map(str::to_owned);
            read.push((name, file, field.text().await.expect("text")));
        }
        read
    };
    let read = read.now_or_never().expect("all is there");
    assert_eq!((read[0].0.as_deref(), read[0].2.as_str()), (Some("a%22b"), "0"));
    assert_eq!((read[1].0.as_deref(), read[1].1.as_deref()), (Some("order"), Some("o.json")));
    let order: Value = serde_json::from_str(&read[1].2).expect("JSON");
    assert_eq!((order["id"].as_i64(), read.len()), (Some(0), 2));
}

const ANSWER: &str = r#"{"type": "record", "name": "Answer", "fields": [
    {"name": "id", "type": "long"}, {"name": "status", "type": "int"},
    {"name": "crm", "type": ["null", "string"], "default": null}]}"#;
const PRODUCE: &str = "produce: {topic: answers, schema: answer.avsc, value: {id: '{{/item/id}}', \
    status: '{{/status}}', crm: '{{/body/id?}}'}}";

#[test]
fn answers_are_produced_in_the_transaction_of_the_offsets() {
    let script = |request: &Request, before: usize| {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        match body["id"].as_i64() {
            Some(1) => Answer::body(422, "no"),
            Some(3) => Answer::body(201, "no JSON"),
            Some(id) => Answer::body(200, json!({"id": format!("crm-{id}-{before}")}).to_string()),
            None => Answer::status(400),
        }
    };
    let test = Test::new(script);
    std::fs::write(test.directory.path().join("answer.avsc"), ANSWER).expect("file");
    let mut driver = test.driver(4, 1, "body: single", &format!("{BATCH}\n{PRODUCE}"));
    driver.output("answers", 1, ANSWER).expect("output");
    driver.fail(Step::Commit, 1, Fault::Abort);
    driver.run().expect("ran");
    let mut answers: Vec<Value> = driver.values("answers").expect("values");
    answers.sort_by_key(|answer| answer["id"].as_i64());
    let ids: Vec<_> = answers.iter().filter_map(|answer| answer["id"].as_i64()).collect();
    assert_eq!(ids, [0, 2, 3], "once each, though the first commit was aborted: {answers:?}");
    assert!(answers[0]["crm"].as_str().is_some_and(|crm| crm.starts_with("crm-0-")));
    assert_eq!((&answers[2]["crm"], &answers[2]["status"]), (&Value::Null, &json!(201)));
    assert_eq!(driver.delivered("answers")[0].header("guid"), Some("orders-0-key"));
    assert_eq!(ids_of(&driver, "failed"), [1]);
    assert!(done(&driver, 4));
}

#[test]
fn results_of_items_are_produced_and_what_does_not_fit_is_not_sent_again() {
    let test = Test::new(|request, _| {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        let result = |item: &Value| match item["id"].as_i64() {
            Some(2) => json!({"status": 200, "crm": 7}),
            id => json!({"status": 200, "crm": format!("crm-{id:?}")}),
        };
        let results: Vec<_> = body.as_array().expect("items").iter().map(result).collect();
        Answer::body(200, json!({ "results": results }).to_string())
    });
    std::fs::write(test.directory.path().join("answer.avsc"), ANSWER).expect("file");
    let produce = PRODUCE.replace("/body/id?", "/result/crm");
    let answer = "answer: {items: /results, status: /status}";
    let mut driver = test.driver(4, 3, "", &format!("{BATCH}\n{produce}\n{answer}"));
    driver.output("answers", 1, ANSWER).expect("output");
    driver.run().expect("ran");
    let answers: Vec<Value> = driver.values("answers").expect("values");
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert_eq!(ids_of(&driver, "failed"), [2]);
    let said = exception(&driver.delivered("failed")[0]).to_string();
    assert!(said.contains("done by the API"), "{said}");
    assert_eq!(test.api.requests().len(), 1, "nothing is sent again");
}
