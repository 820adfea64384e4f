//! From YAML to templates: what items and answers are made into.

use nubium_service::document::{Fields, SchemaFile, Value as Yaml};
use serde_json::Value;

use super::document::Directory;
use super::{Body, Part as FormPart, Produce, Template};
use crate::template::{Escape, Shape};

impl Directory<'_> {
    pub(super) fn template(
        &self,
        part: &Fields<'_>,
        body: Body,
        content_type: &str,
    ) -> Option<Template> {
        let example = match body {
            Body::Form => "template: {id: \"{{/id}}\"}",
            Body::Multipart => "template: {file: {file: order.json, value: \"{{.}}\"}}",
            Body::Text => "template: \"<id>{{/id}}</id>\"",
            _ => "template: {order: \"{{.}}\"}",
        };
        if !part.has("template") {
            if matches!(body, Body::Form | Body::Multipart | Body::Text) {
                let expected = "what the body is made of";
                part.problem("template", "nothing", expected, example);
            }
            return None;
        }
        match body {
            Body::JsonArray | Body::Ndjson | Body::Single => {
                let value = self.json(part, "template", example)?;
                match Shape::parse(&value) {
                    Ok(shape) => Some(Template::Json(shape)),
                    Err(why) => {
                        let expected = format!("JSON of any shape, but: {why}");
                        part.problem("template", "a template", &expected, example);
                        None
                    }
                }
            }
            Body::Form => {
                let mut fields = Vec::new();
                for (name, value) in part.pairs("template", example) {
                    let place = format!("template.{name}");
                    fields.extend(
                        self.with_places(part, &place, &value, example).map(|text| (name, text)),
                    );
                }
                Some(Template::Form(fields))
            }
            Body::Multipart => Some(Template::Multipart(self.parts(part, example))),
            Body::Text => {
                let text = part.text_or_empty("template", example)?;
                let text = self.with_places(part, "template", &text, example)?;
                Some(Template::Text(text, escape_of(content_type)))
            }
        }
    }

    /// Reads the parts of a multipart form: text, or a map with a file's name and type.
    fn parts(&self, part: &Fields<'_>, example: &str) -> Vec<FormPart> {
        let Some(inner) = part.section("template", example) else { return Vec::new() };
        let mut parts = Vec::new();
        for (name, value) in inner.pairs_of_values() {
            let (value, file, kind) = match value {
                Yaml::Mapping(_) => {
                    let Some(map) = inner.section(name, example) else { continue };
                    let value = map.needed("value", "text", "\"{{.}}\"").unwrap_or_default();
                    let file = map.text("file", "order.json");
                    let kind = map.text("type", "application/json");
                    map.finish();
                    (value, file, kind)
                }
                _ => match inner.text_or_empty(name, example) {
                    Some(text) => (text, None, None),
                    None => continue,
                },
            };
            let is_line = |text: &Option<String>| {
                text.as_ref().is_none_or(|text| !text.contains(['\r', '\n', '"']))
            };
            if !is_line(&file) || !is_line(&kind) {
                let expected = "a name and a type without quotes and line ends";
                inner.problem(name, "file or type", expected, example);
            }
            if let Some(value) = self.with_places(&inner, name, &value, example) {
                parts.push(FormPart { name: name.to_owned(), value, file, kind });
            }
        }
        parts
    }

    /// Reads what becomes of answers.
    pub(super) fn produce(&self, root: &Fields<'_>) -> Option<Produce> {
        let example =
            "produce: {topic: answers, schema: answer.avsc, value: {id: \"{{/item/id}}\"}}";
        let part = root.section("produce", example)?;
        let topic = part.needed("topic", "text", "answers").unwrap_or_default();
        let schema = match SchemaFile::without(&topic).filter(|_| !part.has("schema")) {
            Some(none) => Some(none.json),
            None => {
                let file = part.needed("schema", "text", "answer.avsc").unwrap_or_default();
                self.schema(&part, &file, &topic)
            }
        };
        if !part.has("value") {
            let expected = "what a record is made of";
            part.problem("value", "nothing", expected, example);
        }
        let value = self.json(&part, "value", example);
        part.finish();
        let value = Shape::parse(&value?).map_err(|why| {
            let expected = format!("JSON of any shape, but: {why}");
            part.problem("value", "a template", &expected, example);
        });
        Some(Produce { topic, schema: schema?, value: value.ok()? })
    }

    /// Reads the schema in a file.
    fn schema(&self, part: &Fields<'_>, file: &str, topic: &str) -> Option<String> {
        let read = nubium_host::text::read(self.directory.join(file)).map_err(|e| e.to_string());
        let read =
            read.and_then(|text| SchemaFile::of_topic(file, text, topic).map(|file| file.json));
        read.map_err(|why| {
            let expected = format!("a file with the schema of the topic, but: {why}");
            part.problem("schema", file, &expected, "schema: answer.avsc");
        })
        .ok()
    }

    /// Reads a value of any shape.
    pub(super) fn json(&self, part: &Fields<'_>, name: &str, example: &str) -> Option<Value> {
        let value: &Yaml = part.value(name)?;
        match serde_json::to_value(value) {
            Ok(value) => Some(value),
            Err(error) => {
                let expected = format!("what JSON can say, but: {error}");
                part.problem(name, "YAML", &expected, example);
                None
            }
        }
    }
}

fn escape_of(content_type: &str) -> Escape {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        kind if kind.ends_with("/xml") || kind.ends_with("+xml") => Escape::Xml,
        kind if kind.ends_with("/json") || kind.ends_with("+json") => Escape::Json,
        "application/x-www-form-urlencoded" => Escape::Query,
        _ => Escape::Plain,
    }
}
