//! What can be written by a schema: types that are known when the program is compiled, and values.

use serde::Serialize;
use serde_avro_fast::ser::SerializerConfig;

use crate::datum::Datum;
use crate::draft::Draft;
use crate::fit::{self, Rules};
use crate::{Node, Schema, SchemaError, Value, write};

/// Can be written as a datum: every [`Serialize`] type, [`Value`] and [`Dynamic`].
///
/// A `Serialize` type writes what serde gives: missing nullable fields become null, other missing
/// or additional fields are errors. A dynamic value is fitted to the schema: missing fields get
/// their default (or null), numbers are widened where Avro would, a union's branch is chosen by the
/// value's type, and of record branches the first whose fields fit best (or the one named, as in
/// `{"full.Name": {…}}`). Fields that the schema lacks are errors: most are typing errors.
pub trait Encode {
    /// Writes the value.
    ///
    /// # Errors
    /// A text that says what does not fit.
    fn encode(&self, body: Body<'_>) -> Result<(), String>;
}

/// Holds what serde_avro_fast uses again for each datum of one schema.
pub struct Typed {
    schema: &'static Schema,
    draft: Option<&'static Result<Draft, SchemaError>>,
    config: SerializerConfig<'static>,
    scratch: Vec<u8>,
}

impl Typed {
    /// Makes it for a schema.
    #[must_use]
    pub fn new(schema: &'static Schema) -> Self {
        let draft = schema.draft();
        let fast = match draft {
            Some(Ok(draft)) => &draft.fast,
            Some(Err(_)) | None => schema.fast(),
        };
        Self { schema, draft, config: SerializerConfig::new(fast), scratch: Vec::new() }
    }
}

/// Takes one value and writes it with its schema.
pub struct Body<'e> {
    typed: &'e mut Typed,
    out: &'e mut Vec<u8>,
}

impl<'e> Body<'e> {
    /// Appends to `out`.
    pub fn new(typed: &'e mut Typed, out: &'e mut Vec<u8>) -> Self {
        Self { typed, out }
    }
}

impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("schema", self.typed.schema).finish_non_exhaustive()
    }
}

impl<T: Serialize + ?Sized> Encode for T {
    fn encode(&self, body: Body<'_>) -> Result<(), String> {
        let Typed { schema, draft, config, scratch } = body.typed;
        if let Node::Json(form) = schema.node(schema.root()) {
            let document = serde_json::to_value(self).map_err(|error| error.to_string())?;
            return write::put_document(&document, *form, body.out);
        }
        let Some(draft) = draft else {
            let written = serde_avro_fast::to_datum(self, body.out, config);
            return written.map(drop).map_err(|error| error.to_string());
        };
        let draft = draft.as_ref().map_err(ToString::to_string)?;
        scratch.clear();
        serde_avro_fast::to_datum(self, &mut *scratch, config)
            .map(drop)
            .map_err(|error| error.to_string())?;
        draft.finish(schema, scratch, body.out)
    }
}

impl Encode for Value {
    fn encode(&self, body: Body<'_>) -> Result<(), String> {
        Dynamic(self).encode(body)
    }
}

impl Encode for &Value {
    fn encode(&self, body: Body<'_>) -> Result<(), String> {
        Dynamic(*self).encode(body)
    }
}

/// Encodes a dynamic value of another library, such as `&serde_json::Value`, against the schema.
#[derive(Debug, Clone, Copy)]
pub struct Dynamic<D>(pub D);

impl<'a, D: Datum<'a>> Encode for Dynamic<D> {
    fn encode(&self, body: Body<'_>) -> Result<(), String> {
        let schema = body.typed.schema;
        let encoded = fit::encode(schema, schema.root(), self.0, Rules::JSON, body.out);
        encoded.map_err(|misfit| misfit.to_string())
    }
}
