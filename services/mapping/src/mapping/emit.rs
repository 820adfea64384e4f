//! The function `emit(topic, value, key)`: one more record beside `.`.

use std::fmt;

use vrl::compiler::prelude::*;
use vrl::diagnostic::Label;
use vrl::path::{OwnedSegment, OwnedTargetPath, OwnedValuePath};

use super::Output;
use crate::avro::kind as avro_kind;

/// Where emitted records wait in `%` until the program has ended; no program can name it
/// (`Program::compile` checks).
const WAITING: &str = "emitted";

/// Compiles calls of `emit`.
#[derive(Debug)]
pub(super) struct Emit {
    pub(super) outputs: std::sync::Arc<[Output]>,
}

impl Function for Emit {
    fn identifier(&self) -> &'static str {
        "emit"
    }

    fn usage(&self) -> &'static str {
        "Produces `value` to `topic`, beside what `.` becomes."
    }

    fn category(&self) -> &'static str {
        Category::System.as_ref()
    }

    fn return_kind(&self) -> u16 {
        kind::NULL
    }

    fn pure(&self) -> bool {
        false
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required("topic", kind::BYTES, "An output topic, as a constant."),
            Parameter::required("value", kind::ANY, "The record's value."),
            Parameter::optional("key", kind::BYTES, "The record's key; the message's if absent."),
        ];
        PARAMETERS
    }

    fn compile(
        &self,
        state: &state::TypeState,
        ctx: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let topics: Vec<Value> =
            self.outputs.iter().map(|output| Value::from(output.topic.as_str())).collect();
        let topic = arguments.required_enum("topic", &topics, state)?;
        let output = topics.iter().position(|known| *known == topic).unwrap_or_default();
        let value = arguments.required("value");
        let given = value.type_info(state).result;
        let schema = &self.outputs[output].schema;
        if let Some(why) = avro_kind::conflict(schema, schema.root(), given.kind()) {
            return Err(Box::new(Conflict {
                topic: self.outputs[output].topic.clone(),
                why,
                span: ctx.span(),
            }));
        }
        Ok(Call { output, value, key: arguments.optional("key") }.as_expr())
    }
}

#[derive(Debug, Clone)]
struct Call {
    output: usize,
    value: Box<dyn Expression>,
    key: Option<Box<dyn Expression>>,
}

impl FunctionExpression for Call {
    fn resolve(&self, ctx: &mut Context<'_>) -> Resolved {
        let value = self.value.resolve(ctx)?;
        let key = match &self.key {
            Some(key) => key.resolve(ctx)?,
            None => Value::Null,
        };
        let record = Value::Array(vec![Value::Integer(self.output as i64), value, key]);
        let path = waiting();
        let target = ctx.target_mut();
        match target.target_get_mut(&path)? {
            Some(Value::Array(records)) => records.push(record),
            _ => target.target_insert(&path, Value::Array(vec![record]))?,
        }
        Ok(Value::Null)
    }

    fn type_def(&self, _: &state::TypeState) -> TypeDef {
        TypeDef::null().infallible().impure()
    }
}

/// Takes the emitted records out of `%`: output, value and key.
pub(super) fn take(metadata: &mut ObjectMap) -> impl Iterator<Item = (usize, Value, Value)> {
    let records = match metadata.remove(WAITING) {
        Some(Value::Array(records)) => records,
        _ => Vec::new(),
    };
    records.into_iter().filter_map(|record| {
        let Value::Array(parts) = record else { return None };
        let [output, value, key] = <[Value; 3]>::try_from(parts).ok()?;
        let output = usize::try_from(output.as_integer()?).ok()?;
        Some((output, value, key))
    })
}

fn waiting() -> OwnedTargetPath {
    OwnedTargetPath::metadata(OwnedValuePath {
        segments: vec![OwnedSegment::Field(KeyString::from(WAITING))],
    })
}

#[derive(Debug)]
struct Conflict {
    topic: String,
    why: String,
    span: Span,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the emitted value does not fit the schema of `{}`: {}", self.topic, self.why)
    }
}

impl std::error::Error for Conflict {}

impl DiagnosticMessage for Conflict {
    fn code(&self) -> usize {
        0
    }

    fn labels(&self) -> Vec<Label> {
        vec![Label::primary("emitted here", self.span)]
    }
}
