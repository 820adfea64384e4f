//! Reads the YAML of the receiver's settings.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use nubium_core::config::Problem;
use nubium_mapping::mapping::Source;
use nubium_service::document::{ReadFile, Value, show};

use super::fields::{Collector, Fields};
use super::{Cors, Route, SchemaFile, Settings, credential, limits, route};

const EXAMPLE: &str = "routes: [{path: /forms, topic: forms, schema: form.avsc}]";
const LISTEN: &str = "0.0.0.0:8080";

/// Reads a file that the settings name.
pub(super) struct Files<'r> {
    pub(super) read: ReadFile<'r>,
}

impl Files<'_> {
    /// Gives the text of the file that a field names.
    pub(super) fn text(
        &self,
        fields: &Fields<'_>,
        name: &'static str,
        example: &str,
    ) -> Option<(String, String)> {
        let file = fields.text(name, example)?;
        match (self.read)(&file) {
            Ok(text) => Some((file, text)),
            Err(error) => {
                let expected = format!("a file beside this one, but: {error}");
                fields.problem(name, &file, &expected, example);
                None
            }
        }
    }

    pub(super) fn schema(
        &self,
        fields: &Fields<'_>,
        name: &'static str,
        topic: Option<&str>,
    ) -> Option<SchemaFile> {
        let (file, json) = self.text(fields, name, "form.avsc")?;
        SchemaFile::of_topic(&file, json, topic.unwrap_or_default())
            .map_err(|why| {
                fields.problem(name, &file, &format!("a schema, but: {why}"), "form.avsc")
            })
            .ok()
    }

    pub(super) fn program(&self, fields: &Fields<'_>) -> Option<Arc<Source>> {
        let (name, text) = self.text(fields, "program", "forms.vrl")?;
        Some(Arc::new(Source { name, text }))
    }
}

pub(super) fn parse(name: &str, text: &str, read: ReadFile<'_>) -> Result<Settings, Vec<Problem>> {
    let collector = Collector::new(name);
    let root: Value = match serde_norway::from_str(text) {
        Ok(root) => root,
        Err(error) => {
            collector.problem("", "no YAML", &format!("YAML, but: {error}"), EXAMPLE);
            return Err(collector.into_problems());
        }
    };
    let settings = match root.as_mapping() {
        Some(map) => {
            let root = Fields::new(&collector, String::new(), map.clone());
            Some(settings(name, root, &Files { read }))
        }
        None => {
            collector.problem("", &show(&root), "a map with `routes`", EXAMPLE);
            None
        }
    };
    let problems = collector.into_problems();
    match settings {
        Some(settings) if problems.is_empty() => Ok(settings),
        _ => Err(problems),
    }
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
