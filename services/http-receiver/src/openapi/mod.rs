//! The description of the interface, OpenAPI 3.1, made of the settings and their schemas.

mod schema;

use nubium_mapping::avro::Schema;
use serde_json::{Map, Value as Json, json};

use crate::settings::{Credential, CredentialKind, Route, Settings};

pub use schema::example;

/// Describes every route.
#[must_use]
pub fn describe(app_name: &str, settings: &Settings) -> Json {
    let mut components = Map::new();
    components.insert("Accepted".into(), accepted());
    components.insert("Problem".into(), problem());
    let mut paths = Map::new();
    for (index, route) in settings.routes.iter().enumerate() {
        let item = match item_schema(route) {
            Some(of) => schema::add(&mut components, of, route.ignore_unknown_fields, index),
            None => json!({"type": "object", "description": "What the route's program takes."}),
        };
        paths.insert(route.path.clone(), json!({ "post": post(settings, route, index, &item) }));
    }
    let schemes: Map<_, _> = settings.credentials.iter().flat_map(schemes).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": app_name,
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Takes records and answers 200 once Kafka has acknowledged them.",
        },
        "paths": paths,
        "components": { "schemas": components, "securitySchemes": schemes },
    })
}

/// Gives the schema of a route's items; `None` when its program takes anything.
#[must_use]
pub fn item_schema(route: &Route) -> Option<&Schema> {
    match (&route.program, &route.body) {
        (_, Some(body)) => Some(body.schema),
        (None, None) => route.outputs.first().map(|output| output.schema.schema),
        (Some(_), None) => None,
    }
}

fn post(settings: &Settings, route: &Route, index: usize, item: &Json) -> Json {
    let topics: Vec<_> = route.outputs.iter().map(|output| output.topic.as_str()).collect();
    let security: Vec<_> = route
        .auth
        .iter()
        .flat_map(|index| schemes(&settings.credentials[*index]))
        .map(|(name, _)| json!({ name: [] }))
        .collect();
    json!({
        "operationId": format!("post{index}"),
        "summary": format!("Produce to {}", topics.join(", ")),
        "parameters": [{
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Becomes the records' guid, so that readers can tell a request that \
                was sent again. X-Request-Id does the same; without both, a UUID is made.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 200 },
        }],
        "requestBody": {
            "required": true,
            "content": {
                "application/json": {
                    "schema": { "anyOf": [item, {
                        "type": "array", "items": item, "minItems": 1,
                        "maxItems": settings.limits.items,
                    }] },
                },
                "application/x-ndjson": { "schema": item },
                "application/x-www-form-urlencoded": { "schema": item },
                "multipart/form-data": { "schema": item },
            },
        },
        "responses": responses(route, &topics),
        "security": security,
    })
}

fn responses(route: &Route, topics: &[&str]) -> Json {
    let problem = |what: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let content = json!({ "application/problem+json": { "schema": schema } });
        json!({ "description": what, "content": content })
    };
    let retry = |what: &str| {
        let mut response = problem(what);
        response["headers"] = json!({ "Retry-After": {
            "description": "Seconds to wait.", "schema": { "type": "integer" } } });
        response
    };
    let schema = json!({ "$ref": "#/components/schemas/Accepted" });
    let done = format!("All records are in {}.", topics.join(", "));
    let mut responses = json!({
        "200": { "description": done, "content": { "application/json": { "schema": schema } } },
        "400": problem("The body is wrong, and nothing was produced."),
        "408": problem("The body did not arrive in time."),
        "413": problem("The body, or a record of it, is too large."),
        "415": problem("The content type or the content encoding is not supported."),
        "500": problem("The receiver or its program is wrong."),
        "503": retry("Kafka did not acknowledge all records; `items` says what became of each."),
        "429": retry("Too many requests."),
    });
    if !route.auth.is_empty() {
        responses["401"] = problem("The caller is not known.");
    }
    responses
}

/// Gives the security schemes of a credential: a key may come in its header or as bearer token.
fn schemes(credential: &Credential) -> Vec<(String, Json)> {
    let name = &credential.name;
    match &credential.kind {
        CredentialKind::ApiKey { header, .. } => vec![
            (name.clone(), json!({ "type": "apiKey", "in": "header", "name": header })),
            (format!("{name}-bearer"), json!({ "type": "http", "scheme": "bearer" })),
        ],
        CredentialKind::Hmac(hmac) => {
            let signed = match &hmac.timestamp {
                None => "the body".to_owned(),
                Some(timestamp) => format!("the text of {}, a dot and the body", timestamp.header),
            };
            let description = format!("HMAC-SHA-256 of {signed}, after {:?}", hmac.prefix);
            let scheme = json!({
                "type": "apiKey", "in": "header", "name": hmac.header, "description": description,
            });
            vec![(name.clone(), scheme)]
        }
    }
}

fn accepted() -> Json {
    json!({
        "type": "object",
        "required": ["success", "records"],
        "properties": {
            "success": { "const": true },
            "records": { "type": "integer", "description": "Records that were produced." },
            "dropped": { "type": "integer", "description": "Items that the program dropped." },
            "guid": { "type": "string", "description": "The guid of a single item." },
            "guids": { "type": "array", "items": { "type": "string" },
                "description": "The guids of a list's items, in order." },
        },
    })
}

fn problem() -> Json {
    json!({
        "type": "object",
        "description": "RFC 9457.",
        "required": ["title", "status", "exception", "detail"],
        "properties": {
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "exception": { "type": "string", "description": "As in the metric message_errors." },
            "detail": { "type": "string" },
            "problems": { "type": "array", "items": {
                "type": "object", "required": ["pointer", "reason"],
                "properties": {
                    "pointer": { "type": "string", "description": "JSON pointer into the body." },
                    "reason": { "type": "string" },
                } } },
            "items": { "type": "array", "items": {
                "type": "object", "required": ["index", "guid", "status"],
                "properties": {
                    "index": { "type": "integer" },
                    "guid": { "type": "string" },
                    "status": { "enum": ["acknowledged", "not_written", "unknown"] },
                    "reason": { "type": "string" },
                } } },
        },
    })
}

#[cfg(test)]
mod tests;
