//! For one writer's schema: which bytes of a datum are decoded, which copied, and how the output's
//! are put together.
//!
//! A program looks at few fields of a record and changes fewer. Only those it looks at become
//! values. A field that it leaves as it is, and that has the same type in the output, is copied as
//! bytes, neighbours in one go.

use vrl::value::{KeyString, Value};

use super::Output;
use super::fields::Fields;
use super::program::Program;
use crate::avro::{Encoder, Field, Graph, NodeId, Reader, Record, Schema, decode};

/// Says why messages of a schema cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Writer and reader do not fit.
    #[error("field `{0}` of the input's schema has no default and the message's schema lacks it")]
    Missing(String),
    /// A default of the schema is not of its type.
    #[error("default of field `{0}`: {1}")]
    Default(String, String),
}

/// Says how messages of one input and one writer's schema are read and written.
#[derive(Debug)]
pub struct Plan {
    pub(super) input: usize,
    pub(super) writer: &'static Schema,
    pub(super) reader: Option<&'static Schema>,
    pub(super) read: Read,
    pub(super) write: Vec<Write>,
}

/// Says how a datum becomes `.`.
#[derive(Debug)]
pub(super) enum Read {
    /// Decoded as a whole, being no record.
    Whole,
    /// Field by field, in the order of the bytes, then what the writer does not have.
    Fields(Vec<Step>, Vec<(KeyString, Value)>),
}

/// Says what happens to one field of the writer's.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) node: NodeId,
    /// Its name in `.`; `None` when nobody looks at it.
    pub(super) decode: Option<KeyString>,
    /// Its type as the reader has it, when that is another.
    pub(super) resolve: Option<NodeId>,
}

/// Says how `.` becomes the datum of one output.
#[derive(Debug)]
pub(super) enum Write {
    /// Encoded as a whole, being no record.
    Whole,
    /// Field by field, in the order of the bytes.
    Fields(Vec<Put>),
}

/// Says where the bytes of one or more fields of the output come from.
#[derive(Debug)]
pub(super) enum Put {
    /// The writer's fields `first..=last`, as they are.
    Copy { first: usize, last: usize },
    /// These bytes: a default.
    Bytes(Vec<u8>),
    /// A field of `.`; if it is not there, its default.
    Field { name: KeyString, node: NodeId, absent: Option<Vec<u8>> },
}

impl Plan {
    pub(super) fn new(
        input: usize,
        program: &Program,
        reader: Option<&'static Schema>,
        writer: &'static Schema,
        outputs: &[Output],
    ) -> Result<Self, PlanError> {
        // A reader's schema that is the writer's changes nothing, and only Avro's resolve.
        let reader = reader.filter(|reader| !reader.same(reader.root(), writer, writer.root()));
        let reader = reader.filter(|reader| !reader.is_document() && !writer.is_document());
        let (read, write) = match writer.record() {
            Some(record) if reader.as_ref().is_none_or(|reader| reader.record().is_some()) => {
                let fields = InputFields { writer, record, reader };
                let mut decoded = program.reads.clone();
                let write = outputs
                    .iter()
                    .map(|output| fields.write(program, output, &mut decoded))
                    .collect::<Result<_, _>>()?;
                (fields.read(&decoded)?, write)
            }
            _ => {
                let write = outputs.iter().map(from_value).collect::<Result<_, _>>()?;
                (Read::Whole, write)
            }
        };
        Ok(Self { input, writer, reader, read, write })
    }
}

/// The writer's fields, seen as the reader wants them.
struct InputFields {
    writer: &'static Schema,
    record: &'static Record,
    reader: Option<&'static Schema>,
}

/// Where a field of `.` comes from.
enum Origin {
    /// The writer's field of this index.
    Written(usize),
    /// The reader's default, encoded by the reader's type.
    Default(Vec<u8>, NodeId),
    /// The reader wants it, the writer does not have it, and there is no default.
    Missing,
    /// There is no such field.
    Nowhere,
}

impl InputFields {
    fn reader_fields(&self) -> &[Field] {
        self.reader.and_then(|reader| reader.record()).map_or(&[], |record| &record.fields)
    }

    /// Finds the reader's name and type for a field of the writer's.
    fn seen_as<'f>(&'f self, field: &'f Field) -> Option<(&'f str, NodeId)> {
        let Some(_) = self.reader else {
            return Some((field.name.as_str(), field.node));
        };
        let fields = self.reader_fields();
        let named = fields.iter().find(|known| known.name == field.name);
        let aliased = || fields.iter().find(|known| known.is(&field.name));
        named.or_else(aliased).map(|known| (known.name.as_str(), known.node))
    }

    fn origin(&self, name: &str) -> Result<Origin, PlanError> {
        let seen = |field: &Field| self.seen_as(field).is_some_and(|(seen, _)| seen == name);
        if let Some(index) = self.record.fields.iter().position(seen) {
            return Ok(Origin::Written(index));
        }
        match (self.reader, self.reader_fields().iter().find(|field| field.name == name)) {
            (Some(_), Some(field)) => Ok(match default(field)? {
                Some(bytes) => Origin::Default(bytes, field.node),
                None => Origin::Missing,
            }),
            _ => Ok(Origin::Nowhere),
        }
    }

    /// Plans one output; adds to `decoded` what must be a value only because its type differs.
    fn write(
        &self,
        program: &Program,
        output: &Output,
        decoded: &mut Fields,
    ) -> Result<Write, PlanError> {
        let schema = &output.schema;
        let Some(record) = schema.record() else {
            return Ok(Write::Whole);
        };
        let mut puts: Vec<Put> = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let origin = match program.changes.contain(&field.name) {
                true => None,
                false => Some(self.origin(&field.name)?),
            };
            let next = match origin {
                Some(Origin::Written(index)) if self.copies(index, schema, field) => {
                    if let Some(Put::Copy { last, .. }) = puts.last_mut()
                        && *last + 1 == index
                    {
                        *last = index;
                        continue;
                    }
                    Put::Copy { first: index, last: index }
                }
                Some(Origin::Default(bytes, node))
                    if self.reader.is_some_and(|r| r.same(node, schema, field.node)) =>
                {
                    Put::Bytes(bytes)
                }
                origin => {
                    if !matches!(origin, None | Some(Origin::Nowhere)) {
                        let name = [field.name.clone()].into_iter().collect();
                        *decoded = decoded.clone().and(&Fields::Only(name));
                    }
                    put(schema, field)?
                }
            };
            puts.push(next);
        }
        Ok(Write::Fields(puts))
    }

    fn copies(&self, index: usize, output: &Graph, field: &Field) -> bool {
        self.writer.same(self.record.fields[index].node, output, field.node)
    }

    fn read(&self, decoded: &Fields) -> Result<Read, PlanError> {
        let steps = self.record.fields.iter().map(|field| {
            let seen = self.seen_as(field).filter(|(name, _)| decoded.contain(name));
            let resolve = match (seen, self.reader) {
                (Some((_, node)), Some(reader)) => {
                    (!self.writer.same(field.node, reader, node)).then_some(node)
                }
                _ => None,
            };
            Step { node: field.node, decode: seen.map(|(name, _)| name.into()), resolve }
        });
        let steps = steps.collect();
        let mut absent = Vec::new();
        for field in self.reader_fields() {
            let (bytes, node) = match self.origin(&field.name)? {
                Origin::Default(bytes, node) => (bytes, node),
                Origin::Missing => return Err(PlanError::Missing(field.name.clone())),
                Origin::Written(_) | Origin::Nowhere => continue,
            };
            if let Some(reader) = self.reader
                && decoded.contain(&field.name)
            {
                // The bytes were encoded from the default a moment ago.
                let value = decode(reader, node, &mut Reader::new(&bytes)).unwrap_or(Value::Null);
                absent.push((field.name.as_str().into(), value));
            }
        }
        Ok(Read::Fields(steps, absent))
    }
}

fn from_value(output: &Output) -> Result<Write, PlanError> {
    let schema = &output.schema;
    match schema.record() {
        Some(record) => {
            let puts = record.fields.iter().map(|field| put(schema, field));
            Ok(Write::Fields(puts.collect::<Result<_, _>>()?))
        }
        None => Ok(Write::Whole),
    }
}

fn put(schema: &Graph, field: &Field) -> Result<Put, PlanError> {
    let absent = match default(field)? {
        None if schema.is_nullable(field.node) => {
            let mut bytes = Vec::new();
            let null = Encoder::new(schema).encode(field.node, &Value::Null, &mut bytes);
            null.ok().map(|()| bytes)
        }
        default => default,
    };
    Ok(Put::Field { name: field.name.as_str().into(), node: field.node, absent })
}

/// Gives the bytes of a field's default; `None` when it has none.
fn default(field: &Field) -> Result<Option<Vec<u8>>, PlanError> {
    match field.default_bytes() {
        Ok(bytes) => Ok(bytes.map(<[u8]>::to_vec)),
        Err(why) => Err(PlanError::Default(field.name.clone(), why.into())),
    }
}
