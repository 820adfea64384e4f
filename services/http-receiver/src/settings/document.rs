//! Reads the YAML of the receiver's settings.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use nubium_service::document::{Document, Fields, Files, Problem, ReadFile};

use super::{Cors, Route, Settings, credential, limits, route};

const EXAMPLE: &str = "routes: [{path: /forms, topic: forms, schema: form.avsc}]";
const LISTEN: &str = "0.0.0.0:8080";

pub(super) fn parse(name: &str, text: &str, read: ReadFile<'_>) -> Result<Settings, Vec<Problem>> {
    let (document, files) = (Document::new(name), Files::new(read));
    let root = document.root(text, "a map with `routes`", EXAMPLE);
    let settings = root.map(|root| settings(name, root, &files));
    document.finish(settings)
}

fn settings(name: &str, root: Fields<'_>, files: &Files<'_>) -> Settings {
    let listen = address(&root);
    let (credentials, names) = credential::read(&root, files);
    let mut routes = Vec::new();
    for entry in root.entries("routes", EXAMPLE) {
        routes.extend(route::read(entry, files, &names));
    }
    distinct(&root, &routes);
    let settings = Settings {
        name: name.to_owned(),
        listen,
        last_updated_by: root.text("last_updated_by", "web-forms"),
        page: root.flag("page", true),
        limits: limits::read(&root),
        cors: cors(&root),
        credentials,
        routes,
    };
    root.finish();
    settings
}

fn address(root: &Fields<'_>) -> SocketAddr {
    let default = SocketAddr::from(([0, 0, 0, 0], 8080));
    let Some(text) = root.text("listen", LISTEN) else { return default };
    text.parse().unwrap_or_else(|_| {
        root.problem("listen", &text, "an address and a port", LISTEN);
        default
    })
}

fn cors(root: &Fields<'_>) -> Option<Cors> {
    let example = "cors: {origins: [\"https://www.example.org\"]}";
    let fields = root.section("cors", example)?;
    let origins = fields.texts("origins", "[\"https://www.example.org\"]");
    if origins.is_empty() {
        fields.problem("origins", "nothing", "one origin at least, or \"*\"", example);
    }
    for origin in &origins {
        let shaped = origin == "*"
            || (origin.starts_with("https://") || origin.starts_with("http://"))
                && origin.matches('/').count() == 2
                && origin.is_ascii();
        if !shaped {
            let expected = "scheme and host, without a path; or \"*\" alone";
            fields.problem("origins", origin, expected, "https://www.example.org");
        }
    }
    if origins.len() > 1 && origins.iter().any(|origin| origin == "*") {
        fields.problem("origins", "\"*\" and others", "\"*\" alone, or a list", "[\"*\"]");
    }
    let headers = fields.texts("headers", "[X-Campaign]");
    for header in &headers {
        route::check_header(&fields, "headers", header);
    }
    let max_age = fields.seconds("max_age_seconds", 600.0, 0.0..=86_400.0);
    fields.finish();
    Some(Cors { origins, headers, max_age })
}

/// Each path once, and each topic with one schema.
fn distinct(root: &Fields<'_>, routes: &[Route]) {
    let mut paths = BTreeSet::new();
    for route in routes.iter().filter(|route| !paths.insert(route.path.as_str())) {
        root.problem("routes", &route.path, "each path once", "another path");
    }
    let mut schemas = BTreeMap::new();
    for output in routes.iter().flat_map(|route| &route.outputs) {
        let known = schemas.entry(output.topic.as_str()).or_insert(output.schema.json.as_str());
        if *known != output.schema.json {
            let expected = "one schema for each topic: two routes give it different ones";
            root.problem("routes", &output.topic, expected, "the same file");
        }
    }
}
