//! JSON Schemas as types of the mapping language: what JSON Schema's and Protobuf's documents are.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use vrl::value::Kind;
use vrl::value::kind::{Collection, Field, Index};

/// How deep types are looked into; beyond, anything may be.
const DEPTH: usize = 12;

/// Gives the type of documents, or what may become one where `accepts` is set.
pub(super) fn of(shape: &Json, accepts: bool) -> Kind {
    Reader { root: shape, accepts }.kind(shape, DEPTH)
}

/// Says which field a document needs that `given` surely lacks, or has as another type.
pub(super) fn missing(shape: &Json, given: &Kind) -> Option<String> {
    let reader = Reader { root: shape, accepts: true };
    reader.conflict(shape, given, DEPTH)
}

struct Reader<'s> {
    root: &'s Json,
    accepts: bool,
}

impl Reader<'_> {
    fn kind(&self, shape: &Json, depth: usize) -> Kind {
        let Some(depth) = depth.checked_sub(1) else { return Kind::any() };
        let Json::Object(shape) = shape else { return Kind::any() };
        if let Some(target) = shape.get("$ref") {
            return self.target(target).map_or_else(Kind::any, |found| self.kind(found, depth));
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(Json::Array(choices)) = shape.get(choice) {
                return union(choices.iter().map(|one| self.kind(one, depth)));
            }
        }
        if let Some(Json::Array(values)) = shape.get("enum") {
            return union(values.iter().map(|value| self.value(value)));
        }
        if let Some(value) = shape.get("const") {
            return self.value(value);
        }
        match shape.get("type") {
            Some(Json::String(name)) => self.named(name, shape, depth),
            Some(Json::Array(names)) => {
                let names = names.iter().filter_map(Json::as_str);
                union(names.map(|name| self.named(name, shape, depth)))
            }
            _ => Kind::any(),
        }
    }

    /// Follows a reference into the schema itself; those to others are anything.
    fn target(&self, target: &Json) -> Option<&Json> {
        self.root.pointer(target.as_str()?.strip_prefix('#')?)
    }

    fn named(&self, name: &str, shape: &Map<String, Json>, depth: usize) -> Kind {
        match name {
            "null" => Kind::null(),
            "boolean" => Kind::boolean(),
            // 1.0 is whole to JSON Schema, and Protobuf's 64 bits may come as text.
            "integer" if self.accepts => Kind::integer().or_float().or_bytes(),
            "integer" => Kind::integer(),
            "number" => Kind::integer().or_float(),
            "string" if self.accepts => Kind::bytes().or_timestamp(),
            "string" => Kind::bytes(),
            "array" => match shape.get("items") {
                Some(items) => {
                    Kind::array(Collection::<Index>::from_unknown(self.kind(items, depth)))
                }
                None => Kind::array(Collection::<Index>::any()),
            },
            // Fields are compared one by one, so that the message can name them.
            "object" if self.accepts => Kind::any_object(),
            "object" => self.object(shape, depth),
            _ => Kind::any(),
        }
    }

    fn object(&self, shape: &Map<String, Json>, depth: usize) -> Kind {
        let mut known = BTreeMap::new();
        for (name, property) in properties(shape) {
            let kind = self.kind(property, depth);
            let kind = if is_there(shape, name) { kind } else { kind.or_undefined() };
            known.insert(Field::from(name.as_str()), kind);
        }
        let rest = match shape.get("additionalProperties") {
            Some(Json::Bool(false)) => Kind::undefined(),
            Some(rest @ Json::Object(_)) => self.kind(rest, depth).or_undefined(),
            _ => Kind::any().or_undefined(),
        };
        Kind::object(Collection::from_parts(known, rest))
    }

    fn value(&self, value: &Json) -> Kind {
        match value {
            Json::Null => Kind::null(),
            Json::Bool(_) => Kind::boolean(),
            Json::Number(_) => Kind::integer().or_float(),
            Json::String(_) => Kind::bytes(),
            Json::Array(_) => Kind::array(Collection::<Index>::any()),
            Json::Object(_) => Kind::any_object(),
        }
    }

    fn conflict(&self, shape: &Json, given: &Kind, depth: usize) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        if given.is_any() {
            return None;
        }
        let wanted = self.kind(shape, DEPTH);
        if !wanted.intersects(given) {
            return Some(format!("the schema wants {wanted}, the program gives {given}"));
        }
        let shape = shape.as_object()?;
        given.as_object()?;
        let at = |name: &str| given.at_path(&vrl::path::OwnedValuePath::single_field(name));
        let absent = required(shape).find(|name| at(name).is_undefined());
        if let Some(name) = absent {
            return Some(format!("`{name}` is required and nothing assigns it"));
        }
        properties(shape).find_map(|(name, property)| {
            let given = at(name);
            if given.contains_undefined() {
                return None;
            }
            let why = self.conflict(property, &given, depth)?;
            Some(format!("`{name}`: {why}"))
        })
    }
}

fn union(kinds: impl Iterator<Item = Kind>) -> Kind {
    kinds.fold(Kind::never(), |all, one| all.union(one))
}

fn properties(shape: &Map<String, Json>) -> impl Iterator<Item = (&String, &Json)> {
    shape.get("properties").and_then(Json::as_object).into_iter().flatten()
}

fn listed<'s>(shape: &'s Map<String, Json>, name: &str) -> impl Iterator<Item = &'s str> {
    shape.get(name).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

fn required(shape: &Map<String, Json>) -> impl Iterator<Item = &str> {
    listed(shape, "required")
}

/// Tells whether a document always has a field. Protobuf's without presence need not be given, and
/// are there when it is read.
fn is_there(shape: &Map<String, Json>, name: &str) -> bool {
    required(shape).chain(listed(shape, "x-always-present")).any(|known| known == name)
}
