//! Maps the Confluent registry's routes to the store.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};

use super::Shared;
use super::compatibility::Level;
use super::store::{Posted, Refusal, Version};

type Registry = State<Arc<Shared>>;

/// Answers with the registry's media type, also where it refuses.
struct Answer(Result<Value, Refusal>);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (status, body) = match self.0 {
            Ok(body) => (200, body),
            Err(no) => (no.status, json!({"error_code": no.code, "message": no.message})),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(CONTENT_TYPE, "application/vnd.schemaregistry.v1+json")];
        (status, kind, body.to_string()).into_response()
    }
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { Answer(Ok(json!({}))) }))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(lookup).delete(delete_subject))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version).delete(delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_schema))
        .route("/schemas/types", get(|| async { Answer(Ok(json!(["AVRO", "JSON", "PROTOBUF"]))) }))
        .route("/schemas/ids/{id}", get(schema))
        .route("/schemas/ids/{id}/subjects", get(schema_subjects))
        .route("/schemas/ids/{id}/versions", get(schema_versions))
        .route("/config", get(config).put(set_config))
        .route("/config/{subject}", get(subject_config).put(set_subject_config))
        .route("/compatibility/subjects/{subject}/versions", post(compatible_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatible))
        .route("/mode", get(|| async { Answer(Ok(json!({"mode": "READWRITE"}))) }))
        .route("/contexts", get(|| async { Answer(Ok(json!(["."]))) }))
        .route("/schemas/guids/{guid}", get(|| async { Answer(Err(unknown_route())) }))
        .route("/schemas/guids/{guid}", delete(|| async { Answer(Err(unknown_route())) }))
        .fallback(|| async { Answer(Err(unknown_route())) })
        .with_state(shared)
}

fn unknown_route() -> Refusal {
    Refusal::new(404, 404, "HTTP 404 Not Found")
}

/// Takes the schema out of a request's body.
fn posted(body: &[u8]) -> Result<Posted, Refusal> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(400, 400, format!("The body is not JSON: {error}")))?;
    let text = body["schema"].as_str();
    let text = text.ok_or_else(|| Refusal::new(422, 42201, "The field `schema` is missing"))?;
    Posted::new(body["schemaType"].as_str().unwrap_or("AVRO"), text, &body["references"])
}

fn described(subject: &str, version: &Version, posted: &Posted) -> Value {
    let mut said = posted.described();
    said.insert("subject".into(), subject.into());
    said.insert("version".into(), version.version.into());
    said.insert("id".into(), version.id.into());
    Value::Object(said)
}

async fn subjects(State(shared): Registry) -> Answer {
    Answer(Ok(json!(shared.store().subjects())))
}

async fn versions(State(shared): Registry, Path(subject): Path<String>) -> Answer {
    let numbers = |found: &[Version]| found.iter().map(|v| v.version).collect::<Vec<_>>();
    Answer(shared.store().versions(&subject).map(|found| json!(numbers(found))))
}

async fn register(State(shared): Registry, Path(subject): Path<String>, body: Bytes) -> Answer {
    let id = posted(&body).and_then(|posted| shared.store().register(&subject, posted));
    Answer(id.map(|id| json!({"id": id})))
}

async fn lookup(State(shared): Registry, Path(subject): Path<String>, body: Bytes) -> Answer {
    Answer(posted(&body).and_then(|posted| {
        let store = shared.store();
        let (version, schema) = store.lookup(&subject, &posted)?;
        Ok(described(&subject, &version, schema))
    }))
}

async fn version(
    State(shared): Registry,
    Path((subject, version)): Path<(String, String)>,
) -> Answer {
    let store = shared.store();
    Answer(store.version(&subject, &version).map(|(v, schema)| described(&subject, &v, schema)))
}

async fn version_schema(
    State(shared): Registry,
    Path((subject, version)): Path<(String, String)>,
) -> Answer {
    Answer(shared.store().version(&subject, &version).map(|(_, schema)| {
        let text = schema.text();
        serde_json::from_str(text).unwrap_or_else(|_| text.into())
    }))
}

async fn delete_subject(State(shared): Registry, Path(subject): Path<String>) -> Answer {
    Answer(shared.store().delete_subject(&subject).map(|gone| json!(gone)))
}

async fn delete_version(
    State(shared): Registry,
    Path((subject, version)): Path<(String, String)>,
) -> Answer {
    Answer(shared.store().delete_version(&subject, &version).map(|gone| json!(gone)))
}

async fn schema(State(shared): Registry, Path(id): Path<u32>) -> Answer {
    Answer(shared.store().entry(id).map(|posted| posted.described().into()))
}

async fn schema_subjects(State(shared): Registry, Path(id): Path<u32>) -> Answer {
    let store = shared.store();
    let names = || store.uses(id).into_iter().map(|(subject, _)| subject).collect::<Vec<_>>();
    Answer(store.entry(id).map(|_| json!(names())))
}

async fn schema_versions(State(shared): Registry, Path(id): Path<u32>) -> Answer {
    let store = shared.store();
    let pair = |(subject, version)| json!({"subject": subject, "version": version});
    let pairs = || store.uses(id).into_iter().map(pair).collect::<Vec<_>>();
    Answer(store.entry(id).map(|_| json!(pairs())))
}

async fn config(State(shared): Registry) -> Answer {
    Answer(Ok(json!({"compatibilityLevel": shared.store().level(None)})))
}

async fn subject_config(State(shared): Registry, Path(subject): Path<String>) -> Answer {
    Answer(Ok(json!({"compatibilityLevel": shared.store().level(Some(&subject))})))
}

async fn set_config(State(shared): Registry, body: Bytes) -> Answer {
    Answer(set_level(&shared, None, &body))
}

async fn set_subject_config(
    State(shared): Registry,
    Path(subject): Path<String>,
    body: Bytes,
) -> Answer {
    Answer(set_level(&shared, Some(subject), &body))
}

fn set_level(shared: &Shared, subject: Option<String>, body: &[u8]) -> Result<Value, Refusal> {
    let invalid = || Refusal::new(422, 42203, "Invalid compatibility level");
    let body: Value = serde_json::from_slice(body).map_err(|_| invalid())?;
    let level: Level =
        serde_json::from_value(body["compatibility"].clone()).map_err(|_| invalid())?;
    shared.store().set_level(subject, level);
    Ok(json!({"compatibility": level}))
}

async fn compatible_all(
    State(shared): Registry,
    Path(subject): Path<String>,
    body: Bytes,
) -> Answer {
    Answer(check(&shared, &subject, None, &body))
}

async fn compatible(
    State(shared): Registry,
    Path((subject, version)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    Answer(check(&shared, &subject, Some(&version), &body))
}

fn check(
    shared: &Shared,
    subject: &str,
    version: Option<&str>,
    body: &[u8],
) -> Result<Value, Refusal> {
    let posted = posted(body)?;
    let store = shared.store();
    let version = version.map(|v| store.version(subject, v)).transpose()?.map(|(found, _)| found);
    Ok(match store.check(subject, &posted, version.as_ref()) {
        Ok(()) => json!({"is_compatible": true}),
        Err(why) => json!({"is_compatible": false, "messages": [why]}),
    })
}
