//! JSON Schema.

use jsonschema::{Retrieve, Uri, Validator};
use nubium_avro::{Form, SchemaError};
use serde_json::Value as Json;

use crate::Reference;

/// The registry's name of the type.
pub(crate) const KIND: &str = "JSON";

/// The schema that keys are registered with. It says what it is: without that, some registries take
/// it for Avro and refuse it.
pub(crate) const KEY: &str =
    r#"{"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"}"#;

/// Problems that are told of one document; more help nobody.
const MOST: usize = 3;

/// What is said of a reference that nobody has.
const UNKNOWN: &str = "is referred to, and no reference has that name";

/// A JSON Schema with those that it refers to.
#[derive(Debug)]
pub(crate) struct JsonSchema {
    shape: Json,
    validator: Validator,
}

impl JsonSchema {
    pub(crate) fn new(text: &str, references: &[Reference]) -> Result<Self, SchemaError> {
        let bad = |why: &dyn std::fmt::Display| SchemaError::of("JSON Schema", why);
        let shape: Json = serde_json::from_str(text).map_err(|error| bad(&error))?;
        let mut documents = Vec::new();
        for reference in references {
            let document = serde_json::from_str(&reference.text);
            let document =
                document.map_err(|error| bad(&format!("{}: {error}", reference.name)))?;
            documents.push((reference.name.clone(), document));
        }
        let options = jsonschema::options().with_retriever(Others(documents));
        let validator = options.build(&shape).map_err(|error| {
            let text = error.to_string();
            let error = bad(&text);
            if text.contains(UNKNOWN) { error.missing() } else { error }
        })?;
        Ok(Self { shape, validator })
    }
}

impl Form for JsonSchema {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn name(&self) -> Option<&str> {
        self.shape.get("title").and_then(Json::as_str)
    }

    fn shape(&self) -> &Json {
        &self.shape
    }

    fn check(&self, document: &Json) -> Result<(), String> {
        let told = |error: jsonschema::ValidationError<'_>| match error.instance_path().as_str() {
            "" => error.to_string(),
            place => format!("{place}: {error}"),
        };
        let problems: Vec<_> = self.validator.iter_errors(document).take(MOST).map(told).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    fn read(&self, body: &[u8]) -> Result<Vec<u8>, String> {
        let document: Json = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        self.check(&document)?;
        Ok(body.to_vec())
    }

    fn write(&self, document: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(document);
        Ok(())
    }
}

/// Hands out the schemas that the registry has named, and nothing of the network's.
struct Others(Vec<(String, Json)>);

impl Retrieve for Others {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Json, Box<dyn std::error::Error + Send + Sync>> {
        let whole = uri.as_str();
        // A `$ref` without a scheme has been made absolute.
        let named = |name: &str| whole == name || whole.ends_with(&format!("/{name}"));
        let found = self.0.iter().find(|(name, _)| named(name));
        let missing = || format!("{whole} {UNKNOWN}").into();
        found.map(|(_, document)| document.clone()).ok_or_else(missing)
    }
}
