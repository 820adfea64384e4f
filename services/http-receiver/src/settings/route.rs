//! Reads one route.

use nubium_service::document::{Fields, Files};
use nubium_service::topics;

use super::{Output, Route, limits};

/// Names that the receiver serves itself.
const RESERVED: [&str; 3] = ["/openapi.json", "/page.js", "/page.css"];
/// Headers that it sets itself.
const OWN_HEADERS: [&str; 2] = ["guid", "last_updated_by"];

/// Reads a route; `None` when it cannot be used.
pub(super) fn read(fields: Fields<'_>, files: &Files<'_>, credentials: &[String]) -> Option<Route> {
    let path = path(&fields);
    let outputs = outputs(&fields, files);
    let program = files.program(&fields);
    let body = files.schema(&fields, "body", "form.avsc", None);
    if body.is_some() && !fields.has("program") {
        let expected = "a program too: without one, an item has the schema of the topic";
        fields.problem("body", "a schema", expected, "program: forms.vrl");
    }
    if outputs.len() > 1 && !fields.has("program") {
        let expected = "one topic, or a program that says which";
        fields.problem("outputs", "several", expected, "program: forms.vrl");
    }
    let key = fields.text("key", "/email");
    if let Some(pointer) = &key
        && !pointer.starts_with('/')
    {
        fields.problem("key", pointer, "a JSON pointer (RFC 6901)", "/email");
    }
    let copy_headers = fields.texts("copy_headers", "[X-Campaign]");
    for header in &copy_headers {
        check_header(&fields, "copy_headers", header);
        own(&fields, "copy_headers", &header.to_ascii_lowercase());
    }
    let headers = fields.pairs("headers", "{source: web}");
    headers.iter().for_each(|(name, _)| own(&fields, "headers", name));
    let auth = auth(&fields, credentials);
    let route = Route {
        path: path.clone().unwrap_or_default(),
        outputs,
        key,
        body,
        program,
        headers,
        copy_headers: copy_headers.iter().map(|name| name.to_ascii_lowercase()).collect(),
        ignore_unknown_fields: fields.flag("ignore_unknown_fields", false),
        auth,
        rate: limits::rate(&fields),
    };
    fields.finish();
    path.filter(|_| !route.outputs.is_empty()).map(|_| route)
}

fn path(fields: &Fields<'_>) -> Option<String> {
    let path = fields.needed("path", "the path of the route", "/forms")?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    if !path.starts_with('/') || !path.chars().all(legal) || RESERVED.contains(&path.as_str()) {
        let expected = format!(
            "a path of letters, digits and / - _ . ~ that begins with /, and none of {}",
            RESERVED.join(", ")
        );
        fields.problem("path", &path, &expected, "/forms");
        return None;
    }
    Some(path)
}

/// Either `topic` and `schema`, or a list `outputs` of such.
fn outputs(fields: &Fields<'_>, files: &Files<'_>) -> Vec<Output> {
    if !fields.has("outputs") {
        return topics::output(fields, files, "forms").into_iter().collect();
    }
    if fields.has("topic") || fields.has("schema") {
        let expected = "outputs, or topic and schema, not both";
        fields.problem("outputs", "both", expected, "[{topic: forms, schema: form.avsc}]");
    }
    let mut outputs: Vec<Output> = Vec::new();
    for entry in fields.entries("outputs", "[{topic: forms, schema: form.avsc}]") {
        let output = topics::output(&entry, files, "forms");
        if let Some(twice) = output.as_ref().filter(|o| outputs.iter().any(|k| k.topic == o.topic))
        {
            entry.problem("topic", &twice.topic, "each topic once", "another topic");
        }
        outputs.extend(output);
        entry.finish();
    }
    outputs
}

fn auth(fields: &Fields<'_>, credentials: &[String]) -> Vec<usize> {
    let mut indices = Vec::new();
    for name in fields.texts("auth", "[crm]") {
        match credentials.iter().position(|known| *known == name) {
            Some(index) => indices.push(index),
            None => {
                let expected = match credentials.is_empty() {
                    true => "a name of `credentials`, which has none".to_owned(),
                    false => format!("one of {}", credentials.join(", ")),
                };
                fields.problem("auth", &name, &expected, "[crm]");
            }
        }
    }
    if fields.has("auth") && indices.is_empty() {
        let expected = "one credential at least; leave `auth` out to let anybody in";
        fields.problem("auth", "an empty list", expected, "[crm]");
    }
    indices
}

fn own(fields: &Fields<'_>, name: &str, header: &str) {
    if OWN_HEADERS.contains(&header) {
        let expected = "another header: the receiver sets this one";
        fields.problem(name, header, expected, "source");
    }
}

/// Notes a name that no HTTP header can have.
pub(super) fn check_header(fields: &Fields<'_>, name: &str, header: &str) {
    if axum::http::HeaderName::try_from(header).is_err() {
        fields.problem(name, header, "the name of an HTTP header", "X-Campaign");
    }
}
