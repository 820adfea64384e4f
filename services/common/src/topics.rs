//! The topics in a service's settings: what is consumed by which program, what is produced by which
//! schema.

use std::collections::BTreeSet;
use std::sync::Arc;

use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::{self, Source};

use crate::document::{Fields, Files, SchemaFile};

/// Names a topic to consume.
#[derive(Debug, Clone)]
pub struct Input {
    /// Topic.
    pub topic: String,
    /// Its mapping program.
    pub source: Arc<Source>,
    /// What the program sees its values as; `None`: the latest schema that the registry has for the
    /// topic.
    pub schema: Option<SchemaFile>,
}

/// Names a topic to produce to.
#[derive(Debug, Clone)]
pub struct Output {
    /// Topic.
    pub topic: String,
    /// Schema of its values.
    pub schema: SchemaFile,
}

/// Gives the inputs as the mapping wants them; `fetched` has, by input, the schemas of those that
/// name no file.
pub fn mapping_inputs(
    inputs: &[Input],
    fetched: &[Option<&'static Schema>],
) -> Vec<mapping::Input> {
    let inputs = inputs.iter().enumerate().map(|(index, input)| mapping::Input {
        topic: input.topic.clone(),
        source: Arc::clone(&input.source),
        schema: match &input.schema {
            Some(file) => Some(file.schema),
            None => fetched.get(index).cloned().flatten(),
        },
    });
    inputs.collect()
}

/// Gives the outputs as the mapping wants them.
pub fn mapping_outputs(outputs: &[Output]) -> Vec<mapping::Output> {
    let outputs = outputs.iter().map(|output| mapping::Output {
        topic: output.topic.clone(),
        schema: output.schema.schema,
    });
    outputs.collect()
}

/// Gives every topic that is consumed or produced to, once.
pub fn names<'a>(inputs: &'a [Input], outputs: &'a [Output]) -> BTreeSet<&'a str> {
    let inputs = inputs.iter().map(|input| input.topic.as_str());
    inputs.chain(outputs.iter().map(|output| output.topic.as_str())).collect()
}

/// Reads the list `outputs`: topics with the files of their schemas.
pub fn outputs(root: &Fields<'_>, files: &Files<'_>) -> Vec<Output> {
    let example = "outputs: [{topic: contacts, schema: contact.avsc}]";
    let mut outputs = Vec::new();
    for entry in root.entries("outputs", example) {
        outputs.extend(output(&entry, files, "contacts"));
        entry.finish();
    }
    outputs
}

/// Reads `topic` and `schema`; a topic whose format has no schema needs none.
pub fn output(fields: &Fields<'_>, files: &Files<'_>, example: &str) -> Option<Output> {
    let topic = fields.topic("topic", "the topic's name", example);
    let none = topic.as_deref().and_then(SchemaFile::without);
    let schema = match none {
        Some(none) if !fields.has("schema") => Some(none),
        _ => files.needed_schema(fields, "schema", "contact.avsc", topic.as_deref()),
    };
    Some(Output { topic: topic?, schema: schema? })
}

/// Reads `default_output`, which must be the topic of an output.
pub fn default_output(root: &Fields<'_>, outputs: &[Output]) -> Option<usize> {
    let topic = root.text("default_output", "contacts")?;
    let found = outputs.iter().position(|output| output.topic == topic);
    if found.is_none() {
        root.problem("default_output", &topic, "one of the outputs' topics", "contacts");
    }
    found
}

/// Reports a topic that is read twice, written twice, or read and written: it would double or
/// circle.
pub fn distinct(root: &Fields<'_>, inputs: &[Input], outputs: &[Output]) {
    let mut seen = BTreeSet::new();
    let topics = inputs.iter().map(|input| ("inputs", &input.topic));
    for (place, topic) in topics.chain(outputs.iter().map(|output| ("outputs", &output.topic))) {
        if !seen.insert(topic.as_str()) {
            let expected = "each topic once: an output that is an input too never ends";
            root.problem(place, topic, expected, "another topic");
        }
    }
}
