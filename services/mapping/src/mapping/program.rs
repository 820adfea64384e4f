//! A mapping program, compiled and checked against the types of its input and outputs.

use std::fmt;
use std::sync::Arc;

use vrl::compiler::state::ExternalEnv;
use vrl::compiler::{CompileConfig, TypeState, compile_with_state};
use vrl::diagnostic::{Diagnostic, DiagnosticList, Formatter, Note, Span};
use vrl::path::{OwnedTargetPath, PathPrefix};
use vrl::value::Kind;
use vrl::value::kind::Collection;

use super::emit::Emit;
use super::fields::Fields;
use super::syntax::Syntax;
use super::{EntryType, Input, Output, envelope};
use crate::avro::kind as avro_kind;

/// Holds a program's text and the name that messages give it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Name, as the settings have it.
    pub name: String,
    /// Text.
    pub text: String,
}

/// Holds a program that may run.
#[derive(Debug)]
pub struct Program {
    pub(super) vrl: vrl::compiler::Program,
    pub(super) source: Arc<Source>,
    /// Fields of `.` that it looks at.
    pub(super) reads: Fields,
    /// Fields of `.` that may differ from the input's when it ends.
    pub(super) changes: Fields,
    /// Parts of `%` that it looks at, or whose old value matters for what it leaves.
    pub(super) envelope: Fields,
    pub(super) sets_topic: bool,
    pub(super) sets_key: bool,
    pub(super) sets_headers: bool,
    pub(super) sets_store: bool,
    warnings: String,
}

/// Lists the problems of one program, each with a line of the source.
#[derive(Debug)]
pub struct ProgramError {
    name: String,
    topic: String,
    text: String,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for input topic {}:\n{}", self.name, self.topic, self.text)
    }
}

impl std::error::Error for ProgramError {}

impl Program {
    /// Compiles the program of an input.
    pub(super) fn compile(
        input: &Input,
        outputs: &Arc<[Output]>,
        default_output: Option<usize>,
        entry: Option<&EntryType>,
    ) -> Result<Self, ProgramError> {
        let source = &input.source;
        let value = match &input.schema {
            Some(schema) => assignable(avro_kind::of(schema, schema.root()), entry.is_some()),
            None => Kind::any(),
        };
        let external = ExternalEnv::new_with_kind(value, envelope::kind(entry));
        let state = TypeState { external, ..TypeState::default() };
        let mut functions = vrl::stdlib::all();
        functions.push(Box::new(Emit { outputs: Arc::clone(outputs) }));
        let mut config = CompileConfig::default();
        envelope::protect(&mut config, entry.is_some());

        let failed = |problems| ProgramError {
            name: source.name.clone(),
            topic: input.topic.clone(),
            text: render(source, problems),
        };
        let compiled =
            compile_with_state(&source.text, &functions, &state, config).map_err(failed)?;
        let syntax = Syntax::of(&source.text);
        let table = entry.is_some();
        let checks = Checks { source, program: &compiled.program, syntax: &syntax, outputs, table };
        let problems = checks.all(default_output);
        if !problems.is_empty() {
            return Err(failed(DiagnosticList::from(problems)));
        }
        let mut program =
            Self::new(compiled.program, Arc::clone(source), &syntax, compiled.warnings);
        if let Some(entry) = entry {
            // What `.` is at the end is stored as a whole.
            program.reads = Fields::All;
            if let Some(why) = program.entry_conflict(entry, &syntax) {
                let what = format!("what is stored does not fit the entry's schema: {why}");
                return Err(failed(DiagnosticList::from(vec![Diagnostic::error(0, what)])));
            }
        }
        Ok(program)
    }

    fn new(
        vrl: vrl::compiler::Program,
        source: Arc<Source>,
        syntax: &Syntax,
        warnings: DiagnosticList,
    ) -> Self {
        let info = vrl.info();
        let (queries, assigned) = (&info.target_queries, &info.target_assignments);
        let mut reads = Fields::of(paths(queries, PathPrefix::Event));
        // This one copies the whole of `.`, whatever field it is given.
        if syntax.functions.contains("unnest") {
            reads = Fields::All;
        }
        let mut changes = Fields::of(paths(assigned, PathPrefix::Event));
        // What is deleted is listed among the queries.
        if syntax.functions.contains("del") {
            changes = changes.and(&reads);
        }
        // A header that is assigned says all by itself; `%headers = …` also drops those that it
        // does not name.
        let headers = envelope::path("headers");
        let whole = |path: &&OwnedTargetPath| headers.can_start_with(path);
        let envelope = Fields::of(paths(queries, PathPrefix::Metadata))
            .and(&Fields::of(paths_of(assigned.iter().filter(whole), PathPrefix::Metadata)));
        let sets = |name: &str| {
            let deleted = syntax.functions.contains("del");
            let path = envelope::path(name);
            let touched = |other: &OwnedTargetPath| {
                other.prefix == PathPrefix::Metadata
                    && (other.can_start_with(&path) || path.can_start_with(other))
            };
            assigned.iter().any(touched) || deleted && queries.iter().any(touched)
        };
        Self {
            sets_topic: sets("topic"),
            sets_key: sets("key"),
            sets_headers: sets("headers"),
            sets_store: sets("store"),
            reads,
            changes,
            envelope,
            warnings: render(&source, warnings),
            vrl,
            source,
        }
    }

    fn entry_conflict(&self, entry: &EntryType, syntax: &Syntax) -> Option<String> {
        let info = self.vrl.final_type_info();
        if info.result.is_never() || syntax.returns || self.assigns("keep") {
            return None;
        }
        let external = &info.state.external;
        entry.conflict(self, external.target_kind(), external.metadata_kind())
    }

    fn assigns(&self, name: &str) -> bool {
        self.vrl.info().target_assignments.contains(&envelope::path(name))
    }

    /// Gives what the compiler found odd but not wrong, formatted; empty when nothing.
    pub fn warnings(&self) -> &str {
        &self.warnings
    }
}

/// Finds what the compiler of the language cannot know.
struct Checks<'a> {
    source: &'a Source,
    program: &'a vrl::compiler::Program,
    syntax: &'a Syntax,
    outputs: &'a [Output],
    table: bool,
}

impl Checks<'_> {
    fn all(&self, default_output: Option<usize>) -> Vec<Diagnostic> {
        let mut problems = self.envelope_names();
        problems.extend(self.unknown_topics());
        if !self.table {
            problems.extend(self.unused_assignments());
        }
        if problems.is_empty() && !self.syntax.returns {
            problems.extend(self.output_types(default_output));
        }
        problems
    }

    fn envelope_names(&self) -> Vec<Diagnostic> {
        let info = self.program.info();
        let all = info.target_queries.iter().chain(&info.target_assignments);
        let used = Fields::of(paths_of(all, PathPrefix::Metadata));
        let names = || envelope::names(self.table).map(|(name, _)| name);
        let known = |name: &str| names().any(|known| known == name);
        let list = || names().map(|name| format!("%{name}")).collect::<Vec<_>>().join(", ");
        used.names()
            .filter(|name| !known(name))
            .map(|name| {
                self.diagnostic(format!("a message has no `%{name}`"), format!("%{name}"))
                    .with_note(Note::Hint(format!("there are {}", list())))
            })
            .collect()
    }

    fn unknown_topics(&self) -> Vec<Diagnostic> {
        let list = || self.topics().collect::<Vec<_>>().join(", ");
        self.syntax
            .routes
            .iter()
            .filter(|(topic, _)| self.output(topic).is_none())
            .map(|(topic, span)| {
                Diagnostic::error(0, format!("`{topic}` is not an output topic of the settings"))
                    .with_primary("routed here", *span)
                    .with_note(Note::Hint(format!("outputs are {}", list())))
            })
            .collect()
    }

    /// A field that is assigned, but in no output and never read, is a slip of the pen.
    fn unused_assignments(&self) -> Vec<Diagnostic> {
        let info = self.program.info();
        let reads = Fields::of(paths(&info.target_queries, PathPrefix::Event));
        let assigned = Fields::of(paths(&info.target_assignments, PathPrefix::Event));
        let in_output = |name: &str| {
            self.outputs.iter().any(|output| match output.schema.record() {
                Some(record) => record.fields.iter().any(|field| &*field.name == name),
                None => true,
            })
        };
        assigned
            .names()
            .filter(|name| !reads.contain(name) && !in_output(name))
            .map(|name| {
                let what = format!("`.{name}` is assigned, but no output has a field `{name}`");
                self.diagnostic(what, format!(".{name}"))
            })
            .collect()
    }

    /// Holds what `.` is at the end against the schema of each topic that it is sure to be routed
    /// to.
    fn output_types(&self, default_output: Option<usize>) -> Vec<Diagnostic> {
        let info = self.program.final_type_info();
        if info.result.is_never() {
            return Vec::new();
        }
        let value = info.state.external.target_kind();
        let mut reached: Vec<usize> =
            self.syntax.routes.iter().filter_map(|(topic, _)| self.output(topic)).collect();
        if reached.is_empty() && !self.syntax.dynamic_route {
            let routed = self.program.info().target_assignments.contains(&envelope::path("topic"));
            reached.extend(default_output.filter(|_| !routed));
        }
        reached.sort_unstable();
        reached.dedup();
        reached
            .into_iter()
            .filter_map(|index| {
                let output = &self.outputs[index];
                let why = avro_kind::conflict(output.schema, output.schema.root(), value)?;
                let what = format!("`.` does not fit the schema of `{}`: {why}", output.topic);
                Some(Diagnostic::error(0, what))
            })
            .collect()
    }

    fn topics(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(|output| output.topic.as_str())
    }

    fn output(&self, topic: &str) -> Option<usize> {
        self.topics().position(|known| known == topic)
    }

    /// The compiler keeps no place of a path, so the first mention in the text is shown.
    fn diagnostic(&self, what: String, mention: String) -> Diagnostic {
        let diagnostic = Diagnostic::error(0, what);
        match self.source.text.find(&mention) {
            Some(at) => diagnostic.with_primary("here", Span::new(at, at + mention.len())),
            None => diagnostic,
        }
    }
}

/// Lets a program assign to `%` whatever `.` is.
///
/// The compiler (vrl 0.38, `verify_overwritable`) checks the parents of an assigned `%a.b` against
/// the type of `.`: it wants `.` to be an object, and `.a` to be one where it is assigned to a part
/// of it. So a value that is no record may be an object for all the compiler knows, and a record
/// has `headers`, and a table's `store`, unless it really has a field of that name.
fn assignable(value: Kind, table: bool) -> Kind {
    let Some(fields) = value.as_object() else {
        return value.or_object(Collection::any());
    };
    let mut fields = fields.clone();
    for name in ["headers", "store"].into_iter().filter(|name| table || *name != "store") {
        if !fields.known().contains_key(&name.into()) {
            fields = fields.with_known(name, Kind::any_object().or_undefined());
        }
    }
    Kind::object(fields)
}

fn paths(
    targets: &[OwnedTargetPath],
    prefix: PathPrefix,
) -> impl Iterator<Item = &vrl::path::OwnedValuePath> {
    paths_of(targets.iter(), prefix)
}

fn paths_of<'a>(
    targets: impl Iterator<Item = &'a OwnedTargetPath>,
    prefix: PathPrefix,
) -> impl Iterator<Item = &'a vrl::path::OwnedValuePath> {
    targets.filter(move |target| target.prefix == prefix).map(|target| &target.path)
}

fn render(source: &Source, problems: DiagnosticList) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let text = Formatter::new(&source.text, problems).to_string();
    // The formatter knows no file name: it leaves the place before the line number empty.
    // Code 0 is that of problems without a page in the language's documentation.
    text.trim().replace("┌─ :", &format!("┌─ {}:", source.name)).replace("[E000]", "")
}
