//! Runs a mapping on messages, one after the other.

use std::ops::Range;
use std::sync::Arc;

use vrl::compiler::runtime::{Runtime, Terminate};
use vrl::compiler::{ExpressionError, TargetValueRef, TimeZone};
use vrl::value::{ObjectMap, Secrets, Value};

use super::destination::{key_text, new_key, route};
use super::entry::{Previous, Stored};
use super::envelope::{self, Envelope};
use super::error::MappingError;
use super::plan::{Plan, Put, Read, Write};
use super::program::Program;
use super::{Mapping, emit};
use crate::avro::encode::{AsBytesRef, EncodeError};
use crate::avro::{Encoder, Graph, Reader, decode, skip};

/// Says what became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// [`Mapper::made`] has the records, perhaps none.
    Produce,
    /// The program dropped it with `abort`, perhaps saying why.
    Drop(Option<String>),
}

/// Says which key a record has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The message's, byte for byte.
    Keep,
    /// This text.
    Text(String),
    /// None.
    None,
}

/// Describes one record that a message became.
#[derive(Debug)]
pub struct Made {
    /// Index of the output.
    pub output: usize,
    /// Key.
    pub key: Key,
    value: Range<usize>,
}

/// Runs a mapping; one for each thread, as it keeps its buffers from message to message.
#[derive(Debug)]
pub struct Mapper {
    mapping: Arc<Mapping>,
    runtime: Runtime,
    secrets: Secrets,
    timezone: TimeZone,
    /// Where each field of the writer's lies in the datum.
    ranges: Vec<Range<usize>>,
    made: Vec<Made>,
    values: Vec<u8>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    stored: Stored,
    scratch: Vec<u8>,
}

impl Mapper {
    /// Makes a mapper.
    pub fn new(mapping: Arc<Mapping>) -> Self {
        Self {
            mapping,
            runtime: Runtime::default(),
            secrets: Secrets::new(),
            // Times without a zone are UTC, wherever the process runs.
            timezone: TimeZone::parse("UTC").unwrap_or_default(),
            ranges: Vec::new(),
            made: Vec::new(),
            values: Vec::new(),
            headers: Vec::new(),
            stored: Stored::Keep,
            scratch: Vec::new(),
        }
    }

    /// Maps one message; its records are then in [`Self::made`], until the next call.
    ///
    /// Nothing is kept from message to message. All records are encoded before this returns, so a
    /// message has all of its records or none.
    ///
    /// # Errors
    /// When the message cannot be mapped, now or later: it belongs on the failure topic.
    pub fn map(&mut self, plan: &Plan, message: &impl Envelope) -> Result<Verdict, MappingError> {
        self.map_entry(plan, message, None)
    }

    /// Maps one message of a table, as [`Self::map`] does; what becomes of the entry is then in
    /// [`Self::stored`].
    ///
    /// # Errors
    /// When the message cannot be mapped, now or later: it belongs on the failure topic.
    pub fn map_entry(
        &mut self,
        plan: &Plan,
        message: &impl Envelope,
        previous: Option<Previous>,
    ) -> Result<Verdict, MappingError> {
        self.clear();
        let value = self.read(plan, message.datum())?;
        self.run_on(plan.input, Some(plan), value, message, previous)
    }

    /// Maps a message that is JSON instead of Avro, as the program of an input without a schema
    /// sees it; else as [`Self::map`] does.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn map_json(
        &mut self,
        input: usize,
        json: serde_json::Value,
        message: &impl Envelope,
    ) -> Result<Verdict, MappingError> {
        self.clear();
        self.run_on(input, None, Value::from(json), message, None)
    }

    fn clear(&mut self) {
        self.made.clear();
        self.values.clear();
        self.headers.clear();
        self.stored = Stored::Keep;
    }

    fn run_on(
        &mut self,
        input: usize,
        plan: Option<&Plan>,
        mut value: Value,
        message: &impl Envelope,
        previous: Option<Previous>,
    ) -> Result<Verdict, MappingError> {
        let mapping = Arc::clone(&self.mapping);
        let program = &mapping.inputs[input].1;
        let mut metadata =
            envelope::build(message, &program.envelope).map_err(MappingError::Envelope)?;
        if let Some(entry) = &mapping.entry {
            entry.build(program, previous, &mut metadata)?;
        }
        let mut metadata = Value::Object(metadata);
        if let Some(dropped) = self.run(program, &mut value, &mut metadata)? {
            return Ok(dropped);
        }
        let Value::Object(mut metadata) = metadata else {
            return Err(MappingError::Envelope("`%` is no object any more".into()));
        };
        let key = new_key(program, &metadata, message)?;
        for (output, value, emitted_key) in emit::take(&mut metadata) {
            let key = match emitted_key {
                Value::Null => key.clone(),
                text => Key::Text(key_text(&text)?),
            };
            self.made_whole(output, key, &value)?;
        }
        if let Some(output) = route(&mapping, program, &metadata, message)? {
            match plan {
                Some(plan) => self.made_by_plan(plan, output, key, &value, message.datum())?,
                None => self.made_whole(output, key, &value)?,
            }
        }
        if program.sets_headers {
            self.change_headers(program, &metadata, message)?;
        }
        if let Some(entry) = &mapping.entry {
            self.stored = entry.take(&mut metadata, value)?;
        }
        Ok(Verdict::Produce)
    }

    /// Gives the records of the last message, in the order in which the program made them; `.` is
    /// the last.
    pub fn made(&self) -> &[Made] {
        &self.made
    }

    /// Gives the Avro datum of one of them.
    pub fn value(&self, made: &Made) -> &[u8] {
        &self.values[made.value.clone()]
    }

    /// Gives the headers that differ from the message's; `None` drops one. All others pass through.
    pub fn headers(&self) -> &[(String, Option<Vec<u8>>)] {
        &self.headers
    }

    /// Says what becomes of the table's entry.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    fn read(&mut self, plan: &Plan, datum: &[u8]) -> Result<Value, MappingError> {
        let mut reader = Reader::new(datum);
        let (steps, absent) = match &plan.read {
            Read::Whole => {
                let value = decode(plan.writer, plan.writer.root(), &mut reader)?;
                reader.finish()?;
                return match plan.reader {
                    Some(schema) => resolve(schema, schema.root(), &value, &mut self.scratch),
                    None => Ok(value),
                };
            }
            Read::Fields(steps, absent) => (steps, absent),
        };
        self.ranges.clear();
        let mut map = ObjectMap::new();
        for step in steps {
            let start = reader.at();
            match &step.decode {
                None => skip(plan.writer, step.node, &mut reader)?,
                Some(name) => {
                    let mut value = decode(plan.writer, step.node, &mut reader)?;
                    if let (Some(node), Some(schema)) = (step.resolve, plan.reader) {
                        value = resolve(schema, node, &value, &mut self.scratch)?;
                    }
                    map.insert(name.clone(), value);
                }
            }
            self.ranges.push(start..reader.at());
        }
        reader.finish()?;
        map.extend(absent.iter().cloned());
        Ok(Value::Object(map))
    }

    fn run(
        &mut self,
        program: &Program,
        value: &mut Value,
        metadata: &mut Value,
    ) -> Result<Option<Verdict>, MappingError> {
        self.runtime.clear();
        let mut target = TargetValueRef { value, metadata, secrets: &mut self.secrets };
        match self.runtime.resolve(&mut target, &program.vrl, &self.timezone) {
            Ok(_) => Ok(None),
            Err(Terminate::Abort(ExpressionError::Abort { message, .. })) => {
                Ok(Some(Verdict::Drop(message)))
            }
            Err(stop) => {
                Err(MappingError::of_program(&program.source, stop.get_expression_error()))
            }
        }
    }

    fn made_whole(&mut self, output: usize, key: Key, value: &Value) -> Result<(), MappingError> {
        let start = self.values.len();
        let described = &self.mapping.outputs[output];
        Encoder::new(described.schema)
            .encode(described.schema.root(), value, &mut self.values)
            .map_err(|error| MappingError::Encode { topic: described.topic.clone(), error })?;
        self.made.push(Made { output, key, value: start..self.values.len() });
        Ok(())
    }

    fn made_by_plan(
        &mut self,
        plan: &Plan,
        output: usize,
        key: Key,
        value: &Value,
        datum: &[u8],
    ) -> Result<(), MappingError> {
        let (Write::Fields(puts), Value::Object(map)) = (&plan.write[output], value) else {
            return self.made_whole(output, key, value);
        };
        let start = self.values.len();
        let described = &self.mapping.outputs[output];
        let encoder = Encoder::new(described.schema);
        for put in puts {
            match put {
                Put::Copy { first, last } => {
                    let bytes = self.ranges[*first].start..self.ranges[*last].end;
                    self.values.extend_from_slice(&datum[bytes]);
                }
                Put::Bytes(bytes) => self.values.extend_from_slice(bytes),
                Put::Field { name, node, absent } => {
                    let encoded = match (map.get(name), absent) {
                        (Some(value), _) => encoder.encode(*node, value, &mut self.values),
                        (None, Some(bytes)) => {
                            self.values.extend_from_slice(bytes);
                            Ok(())
                        }
                        (None, None) => {
                            Err(EncodeError::new("the field is missing and has no default"))
                        }
                    };
                    encoded.map_err(|error| MappingError::Encode {
                        topic: described.topic.clone(),
                        error: error.within(name.as_str()),
                    })?;
                }
            }
        }
        self.made.push(Made { output, key, value: start..self.values.len() });
        Ok(())
    }

    fn change_headers(
        &mut self,
        program: &Program,
        metadata: &ObjectMap,
        message: &impl Envelope,
    ) -> Result<(), MappingError> {
        let before = match program.envelope.contain("headers") {
            true => envelope::headers(message),
            false => ObjectMap::new(),
        };
        let nothing = ObjectMap::new();
        let after = match metadata.get("headers") {
            Some(Value::Object(map)) => map,
            None | Some(Value::Null) => &nothing,
            Some(_) => {
                return Err(MappingError::Envelope("`%headers` is no object any more".into()));
            }
        };
        for (name, value) in after {
            if before.get(name) == Some(value) {
                continue;
            }
            let bytes = match value {
                Value::Bytes(_) | Value::String(_) => Some(value.as_bytes_ref().to_vec()),
                Value::Null => None,
                other => {
                    let what = format!("`%headers.{name}` is {}, not a string", other.kind_str());
                    return Err(MappingError::Envelope(what));
                }
            };
            self.headers.push((name.to_string(), bytes));
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            self.headers.push((name.to_string(), None));
        }
        Ok(())
    }
}

/// Brings a value that was written with another schema into the reader's: defaults, wider numbers,
/// aliases.
///
/// Only schemas that have changed come here, so writing it by the reader's schema and reading it
/// back is fast enough.
fn resolve(
    schema: &Graph,
    node: usize,
    value: &Value,
    scratch: &mut Vec<u8>,
) -> Result<Value, MappingError> {
    scratch.clear();
    Encoder::resolving(schema).encode(node, value, scratch).map_err(MappingError::Resolve)?;
    Ok(decode(schema, node, &mut Reader::new(scratch))?)
}
