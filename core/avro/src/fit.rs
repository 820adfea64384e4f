//! Values of any library to the bytes of a datum: one walk that checks and writes.

use std::fmt::Write as _;

use crate::bytes::{MAX_DEPTH, put_bytes, put_long};
use crate::datum::{Datum, Shape};
use crate::misfit::{Misfit, Path};
use crate::node::{Field, Node, NodeId, Record, Union};
use crate::write::{self, Wrong};
use crate::{Graph, rank};

/// Misfits that are listed of one value; more help nobody.
pub const MOST_MISFITS: usize = 100;

/// Says what becomes of fields that the schema does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are misfits: most are typing errors.
    Refuse,
    /// They are left out.
    LeaveOut,
}

/// Says which names of a union's branches an object's only entry may be, as in Avro's own JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tags {
    /// None: an object is what it is.
    Never,
    /// Those of records, enums and fixed types.
    Named,
    /// All: `{"string": "x"}` is the text x.
    All,
}

/// Says how strict to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What becomes of fields that the schema does not have.
    pub unknown: Unknown,
    /// Resolves as a reader does: a symbol that the schema lacks becomes the enum's default, and a
    /// field may come by an alias. Avro specification, "Schema Resolution".
    pub resolve: bool,
    /// Every scalar came as text, as in a form: numbers are read from it, and blank is null.
    pub form: bool,
    /// Text stands for what JSON has no value for: dates, times, and numbers that are none.
    pub text: bool,
    /// Whether an object may name a union's branch.
    pub tags: Tags,
    /// A decimal's text is its bytes, as in a schema's default.
    pub raw_decimals: bool,
}

impl Rules {
    /// JSON, as people and other clients write it.
    pub const JSON: Self = Self {
        unknown: Unknown::Refuse,
        resolve: false,
        form: false,
        text: true,
        tags: Tags::All,
        raw_decimals: false,
    };
    /// Values of a program, which has types of its own for times.
    pub const PROGRAM: Self =
        Self { unknown: Unknown::LeaveOut, text: false, tags: Tags::Named, ..Self::JSON };
    /// A default in a schema.
    pub(crate) const DEFAULT: Self = Self {
        unknown: Unknown::LeaveOut,
        text: false,
        tags: Tags::Never,
        raw_decimals: true,
        ..Self::JSON
    };
}

/// Appends a value as type `node`.
///
/// Numbers are widened where Avro would, missing fields get their default (or null where that is
/// allowed), and a union's branch is the one that fits best; see the table in `docs/avro.md`.
///
/// # Errors
/// The first part that does not fit; `out` is then as it was.
pub fn encode<'a, D: Datum<'a>>(
    graph: &Graph,
    node: NodeId,
    datum: D,
    rules: Rules,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    match walk(graph, node, datum, rules, out, 1).pop() {
        None => Ok(()),
        Some(misfit) => Err(misfit),
    }
}

/// Appends a value as [`encode`] does, and says everything that does not fit, up to
/// [`MOST_MISFITS`]. If there is anything, `out` is as it was.
#[must_use = "the value was written only if there is no misfit"]
pub fn fit<'a, D: Datum<'a>>(
    graph: &Graph,
    node: NodeId,
    datum: D,
    rules: Rules,
    out: &mut Vec<u8>,
) -> Vec<Misfit> {
    walk(graph, node, datum, rules, out, MOST_MISFITS)
}

fn walk<'a, D: Datum<'a>>(
    graph: &Graph,
    node: NodeId,
    datum: D,
    rules: Rules,
    out: &mut Vec<u8>,
    most: usize,
) -> Vec<Misfit> {
    let start = out.len();
    let mut writer = Writer { graph, rules, out, misfits: Vec::new(), most, depth: 0 };
    let _ = writer.node(node, datum, &Path::Root);
    let misfits = writer.misfits;
    if !misfits.is_empty() {
        out.truncate(start);
    }
    misfits
}

/// Enough misfits are known.
struct Stop;

struct Writer<'g, 'o> {
    graph: &'g Graph,
    rules: Rules,
    out: &'o mut Vec<u8>,
    misfits: Vec<Misfit>,
    most: usize,
    depth: u32,
}

impl Writer<'_, '_> {
    #[cold]
    fn misfit(&mut self, path: &Path<'_>, reason: impl Into<String>) -> Result<(), Stop> {
        self.misfits.push(path.misfit(reason.into()));
        if self.misfits.len() < self.most { Ok(()) } else { Err(Stop) }
    }

    #[cold]
    fn mismatch(&mut self, node: NodeId, shape: Shape<'_>, path: &Path<'_>) -> Result<(), Stop> {
        let wanted = self.graph.describe(node);
        self.misfit(path, format!("{wanted} is wanted, not {}", shown(shape)))
    }

    fn node<'a, D: Datum<'a>>(
        &mut self,
        node: NodeId,
        datum: D,
        path: &Path<'_>,
    ) -> Result<(), Stop> {
        let graph = self.graph;
        match graph.node(node) {
            Node::Union(union) => self.deeper(path, |this| this.union(node, union, datum, path)),
            Node::Record(record) => {
                self.deeper(path, |this| this.record(node, record, datum, path))
            }
            Node::Array(items) => self.deeper(path, |this| this.array(node, *items, datum, path)),
            Node::Map(values) => self.deeper(path, |this| this.map(node, *values, datum, path)),
            kind => match write::scalar(kind, datum, self.rules, self.out) {
                Ok(()) => Ok(()),
                Err(Wrong::Type) => self.mismatch(node, datum.shape(), path),
                Err(Wrong::Because(why)) => self.misfit(path, why),
            },
        }
    }

    fn deeper(
        &mut self,
        path: &Path<'_>,
        then: impl FnOnce(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        // Readers stop there too; a union and what is in it are two levels to them.
        if self.depth > 2 * MAX_DEPTH {
            return self.misfit(path, format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.depth += 1;
        let done = then(self);
        self.depth -= 1;
        done
    }

    fn union<'a, D: Datum<'a>>(
        &mut self,
        node: NodeId,
        union: &Union,
        datum: D,
        path: &Path<'_>,
    ) -> Result<(), Stop> {
        let blank = self.rules.form && matches!(datum.shape(), Shape::Str(""));
        if blank && self.graph.is_nullable(node) {
            self.null(node);
            return Ok(());
        }
        let tagged = rank::tagged(self.graph, union, datum, self.rules, self.out);
        let chosen = tagged.or_else(|| {
            rank::choose(self.graph, union, datum, self.rules, self.out).map(|place| (place, datum))
        });
        match chosen {
            Some((place, datum)) => {
                put_long(place as i64, self.out);
                self.node(union.branches[place], datum, path)
            }
            None => self.mismatch(node, datum.shape(), path),
        }
    }

    fn record<'a, D: Datum<'a>>(
        &mut self,
        node: NodeId,
        record: &Record,
        datum: D,
        path: &Path<'_>,
    ) -> Result<(), Stop> {
        let shape = datum.shape();
        let Shape::Map(given) = shape else { return self.mismatch(node, shape, path) };
        let mut used = 0;
        for (place, field) in record.fields.iter().enumerate() {
            let path = Path::Field(path, &field.name);
            match rank::find(datum, field, place, self.rules) {
                Some(found) => {
                    used += 1;
                    if self.is_blank(field, found) {
                        self.absent(field, &path)?;
                    } else {
                        self.node(field.node, found, &path)?;
                    }
                }
                None => self.absent(field, &path)?,
            }
        }
        if used < given && self.rules.unknown == Unknown::Refuse {
            self.unknown(record, datum, path)?;
        }
        Ok(())
    }

    fn unknown<'a, D: Datum<'a>>(
        &mut self,
        record: &Record,
        datum: D,
        path: &Path<'_>,
    ) -> Result<(), Stop> {
        for (name, _) in datum.entries() {
            if !rank::has(record, name, self.rules) {
                self.misfit(&Path::Field(path, name), "the schema has no such field")?;
            }
        }
        Ok(())
    }

    /// A blank field of a form counts as missing where it cannot be text and need not be there.
    fn is_blank<'a, D: Datum<'a>>(&self, field: &Field, found: D) -> bool {
        self.rules.form
            && field.default.is_some()
            && matches!(found.shape(), Shape::Str(""))
            && !matches!(self.graph.node(field.node), Node::String | Node::Bytes)
    }

    /// Appends what stands for a field that is not there: its default, else null where that is
    /// allowed.
    fn absent(&mut self, field: &Field, path: &Path<'_>) -> Result<(), Stop> {
        match (&field.encoded, &field.default) {
            (Some(Ok(bytes)), _) => self.out.extend_from_slice(bytes),
            (Some(Err(why)), _) => {
                let text = format!("the field is missing, and its default does not fit: {why}");
                return self.misfit(path, text);
            }
            // While a schema is read, defaults within defaults are still text.
            (None, Some(json)) => {
                let rules = std::mem::replace(&mut self.rules, Rules::DEFAULT);
                let done = self.node(field.node, json, path);
                self.rules = rules;
                return done;
            }
            (None, None) if self.graph.is_nullable(field.node) => self.null(field.node),
            (None, None) => {
                let wanted = self.graph.describe(field.node);
                return self.misfit(path, format!("{wanted} is wanted, but the field is missing"));
            }
        }
        Ok(())
    }

    /// Writes null where it is known to be allowed.
    fn null(&mut self, node: NodeId) {
        if let Node::Union(union) = self.graph.node(node) {
            let nullable = |branch: &NodeId| self.graph.is_nullable(*branch);
            let place = union.branches.iter().position(nullable).unwrap_or(0);
            put_long(place as i64, self.out);
        }
    }

    fn array<'a, D: Datum<'a>>(
        &mut self,
        node: NodeId,
        items: NodeId,
        datum: D,
        path: &Path<'_>,
    ) -> Result<(), Stop> {
        match datum.shape() {
            Shape::Array(length) => {
                if length > 0 {
                    put_long(length as i64, self.out);
                }
                for (index, item) in datum.items().enumerate() {
                    self.node(items, item, &Path::Item(path, index))?;
                }
            }
            // A form that names a list once.
            shape if self.rules.form && !matches!(shape, Shape::Map(_)) => {
                put_long(1, self.out);
                self.node(items, datum, &Path::Item(path, 0))?;
            }
            shape => return self.mismatch(node, shape, path),
        }
        put_long(0, self.out);
        Ok(())
    }

    fn map<'a, D: Datum<'a>>(
        &mut self,
        node: NodeId,
        values: NodeId,
        datum: D,
        path: &Path<'_>,
    ) -> Result<(), Stop> {
        let shape = datum.shape();
        let Shape::Map(length) = shape else { return self.mismatch(node, shape, path) };
        if length > 0 {
            put_long(length as i64, self.out);
        }
        for (name, value) in datum.entries() {
            put_bytes(name.as_bytes(), self.out);
            self.node(values, value, &Path::Field(path, name))?;
        }
        put_long(0, self.out);
        Ok(())
    }
}

/// Shows what was read: enough to recognise it, not a whole document.
pub(crate) fn shown(shape: Shape<'_>) -> String {
    const CHARACTERS: usize = 60;
    let text = match shape {
        Shape::Null => "null".to_owned(),
        Shape::Bool(flag) => flag.to_string(),
        Shape::Int(number) => number.to_string(),
        Shape::Long(number) => number.to_string(),
        Shape::Float(number) => number.to_string(),
        Shape::Double(number) => number.to_string(),
        Shape::Str(text) => format!("text {text:?}"),
        Shape::Blob(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => format!("text {text:?}"),
            Err(_) => format!("{} bytes", bytes.len()),
        },
        Shape::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Shape::Instant(instant) => format!("the time {instant}"),
        Shape::Array(_) => "an array".to_owned(),
        Shape::Map(_) => "an object".to_owned(),
        Shape::Other(name) => name.to_owned(),
    };
    match text.char_indices().nth(CHARACTERS) {
        Some((at, _)) => {
            let mut cut = text[..at].to_owned();
            let _ = write!(cut, "…");
            cut
        }
        None => text,
    }
}
