//! Speaks to the in-memory registry as a Confluent client does.

use nubium_local::{Fault, Registry};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const V1: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
const V2: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
    {"name":"b","type":"string","default":""}]}"#;
const BAD: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
    {"name":"c","type":"string"}]}"#;

/// Sends a request and returns status and JSON body.
async fn call(registry: &Registry, method: Method, path: &str, body: Value) -> (u16, Value) {
    let mut request = Client::new().request(method, format!("{}{path}", registry.url()));
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("a JSON body"))
}

async fn register(registry: &Registry, subject: &str, schema: &str) -> (u16, Value) {
    let path = format!("/subjects/{subject}/versions");
    call(registry, Method::POST, &path, json!({"schema": schema})).await
}

#[tokio::test]
async fn schemas_are_registered_found_and_checked() {
    let registry = Registry::start().expect("registry");
    assert_eq!(register(&registry, "t-value", V1).await, (200, json!({"id": 1})));
    assert_eq!(register(&registry, "t-value", V1).await, (200, json!({"id": 1})));
    assert_eq!(register(&registry, "t-value", V2).await, (200, json!({"id": 2})));
    assert_eq!(register(&registry, "other-value", V1).await, (200, json!({"id": 1})));
    let (status, body) = register(&registry, "t-value", BAD).await;
    assert_eq!((status, &body["error_code"]), (409, &json!(409)));
    let (status, body) = register(&registry, "t-value", "{").await;
    assert_eq!((status, &body["error_code"]), (422, &json!(42201)));

    let get = |path: &'static str| call(&registry, Method::GET, path, Value::Null);
    assert_eq!(get("/schemas/ids/1").await, (200, json!({"schema": V1})));
    let latest = json!({"subject": "t-value", "version": 2, "id": 2, "schema": V2});
    assert_eq!(get("/subjects/t-value/versions/latest").await, (200, latest.clone()));
    assert_eq!(get("/subjects/t-value/versions").await, (200, json!([1, 2])));
    assert_eq!(get("/subjects").await, (200, json!(["other-value", "t-value"])));
    let uses =
        json!([{"subject": "other-value", "version": 1}, {"subject": "t-value", "version": 1}]);
    assert_eq!(get("/schemas/ids/1/versions").await, (200, uses));
    assert_eq!(get("/schemas/ids/9").await.1["error_code"], json!(40403));
    assert_eq!(get("/subjects/none/versions/latest").await.1["error_code"], json!(40401));
    assert_eq!(get("/subjects/t-value/versions/9").await.1["error_code"], json!(40402));

    let lookup = |subject: &'static str, schema: &'static str| {
        call(&registry, Method::POST, subject, json!({"schema": schema}))
    };
    assert_eq!(lookup("/subjects/t-value", V2).await, (200, latest));
    assert_eq!(lookup("/subjects/other-value", V2).await.1["error_code"], json!(40403));
    assert_eq!(lookup("/subjects/none", V2).await.1["error_code"], json!(40401));
    let path = "/compatibility/subjects/t-value/versions/latest";
    assert_eq!(lookup(path, BAD).await.1["is_compatible"], json!(false));
    assert_eq!(lookup(path, V1).await.1["is_compatible"], json!(true));
}

#[tokio::test]
async fn levels_deletion_and_slashes_work() {
    let registry = Registry::start().expect("registry");
    register(&registry, "a%2Fb-value", V1).await;
    let none = json!({"compatibility": "NONE"});
    assert_eq!(
        call(&registry, Method::PUT, "/config/a%2Fb-value", none.clone()).await,
        (200, none)
    );
    assert_eq!(register(&registry, "a%2Fb-value", BAD).await.0, 200);
    let level = call(&registry, Method::GET, "/config", Value::Null).await.1;
    assert_eq!(level, json!({"compatibilityLevel": "BACKWARD"}));
    let wrong = call(&registry, Method::PUT, "/config", json!({"compatibility": "X"})).await;
    assert_eq!(wrong.1["error_code"], json!(42203));
    let gone =
        call(&registry, Method::DELETE, "/subjects/a%2Fb-value/versions/1", Value::Null).await;
    assert_eq!(gone, (200, json!(1)));
    let gone = call(&registry, Method::DELETE, "/subjects/a%2Fb-value", Value::Null).await;
    assert_eq!(gone, (200, json!([2])));
    assert_eq!(call(&registry, Method::GET, "/subjects", Value::Null).await.1, json!([]));
}

#[tokio::test]
async fn faults_happen_as_often_as_asked_and_logins_are_checked() {
    let registry = Registry::start().expect("registry");
    registry.inject(Fault::status(503), 1);
    registry.inject(Fault::Close, 1);
    let get = || Client::new().get(format!("{}/subjects", registry.url())).send();
    assert_eq!(get().await.expect("an answer").status(), 503);
    assert!(get().await.is_err(), "the connection is closed without an answer");
    assert_eq!(get().await.expect("an answer").status(), 200);
    registry.require_login("ann", "secret?>");
    assert_eq!(get().await.expect("an answer").status(), 401);
    let request = Client::new().get(format!("{}/subjects", registry.url()));
    let answer = request.basic_auth("ann", Some("secret?>")).send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
    assert_eq!(registry.requests().len(), 5);
}

#[tokio::test]
async fn a_recursive_schema_can_be_compared() {
    let list = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
    let longer = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]},
        {"name":"n","type":"int","default":0}]}"#;
    let registry = Registry::start().expect("registry");
    assert_eq!(register(&registry, "l-value", list).await.0, 200);
    assert_eq!(register(&registry, "l-value", longer).await.0, 200);
}

#[tokio::test]
async fn other_types_come_back_with_their_type_and_references() {
    let registry = Registry::start().expect("registry");
    let references = json!([{"name": "a.proto", "subject": "a", "version": 1}]);
    let post = |schema: &str, kind: &str, references: &Value| {
        let body = json!({"schema": schema, "schemaType": kind, "references": references});
        call(&registry, Method::POST, "/subjects/s/versions", body)
    };
    let proto = "syntax = \"proto3\"; message M {}";
    assert_eq!(post(proto, "PROTOBUF", &references).await, (200, json!({"id": 1})));
    assert_eq!(post(proto, "PROTOBUF", &references).await, (200, json!({"id": 1})));
    assert_eq!(post("{\"type\": \"object\"}", "JSON", &Value::Null).await.1, json!({"id": 2}));
    assert_eq!(post("{", "JSON", &Value::Null).await.0, 422);
    assert_eq!(post(proto, "THRIFT", &Value::Null).await.0, 422);
    let found = call(&registry, Method::GET, "/schemas/ids/1", Value::Null).await;
    let whole = json!({"schema": proto, "schemaType": "PROTOBUF", "references": references});
    assert_eq!(found, (200, whole));
}
