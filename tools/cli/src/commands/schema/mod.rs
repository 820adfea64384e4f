//! `dude schema`: what the registry holds, and what may come next.

mod change;
mod diff;
mod text;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use nubium_registry::{
    Compatibility, Judgement, Registry, Schema, SchemaBody, SchemaId, SchemaVersion, formats,
};
use serde_json::{Value, json};

use crate::session::Session;
use crate::terminal;
use change::Change;
use diff::{Difference, differences};
use nubium_host::failure::{Failure, Or as _, Outcome};

/// Names what can be done.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the subjects.
    List(ListOptions),
    /// Print a schema.
    Get(GetOptions),
    /// Show what differs between two versions, or a file and the latest one.
    Diff(DiffOptions),
    /// Ask the registry whether a file could be the next version.
    Check(FileOptions),
    /// Register a file as the next version, if the registry takes it.
    Register(FileOptions),
    /// Make the next version out of the latest one: add, remove, rename fields.
    Evolve(EvolveOptions),
}

/// Says which to list.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude schema list --like order")]
pub struct ListOptions {
    /// Only subjects whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    like: Option<String>,
}

/// Names a subject.
#[derive(Debug, Args)]
struct Subject {
    /// Topic, for the schema of its values; or a subject that ends in -value or -key.
    name: String,
    /// The schema of the topic's keys instead.
    #[arg(long)]
    key: bool,
    /// Take the name as the subject, whatever it ends in.
    #[arg(long, conflicts_with = "key")]
    subject: bool,
}

impl Subject {
    fn name(&self) -> String {
        let is_subject = self.name.ends_with("-value") || self.name.ends_with("-key");
        match (self.key, self.subject || is_subject) {
            (_, true) => self.name.clone(),
            (true, false) => format!("{}-key", self.name),
            (false, false) => format!("{}-value", self.name),
        }
    }
}

/// Says which to print.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude schema get orders
  dude schema get orders --version 3
  dude schema get --id 17
  dude schema get orders > order.avsc")]
pub struct GetOptions {
    /// Topic, for the schema of its values; or a subject that ends in -value or -key.
    #[arg(required_unless_present = "id")]
    name: Option<String>,
    /// The schema of the topic's keys instead.
    #[arg(long)]
    key: bool,
    /// Take the name as the subject, whatever it ends in.
    #[arg(long, conflicts_with = "key")]
    subject: bool,
    /// Version; without it the latest.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// The schema of this number in the registry, which messages carry.
    #[arg(long, value_name = "N", conflicts_with_all = ["name", "version"])]
    id: Option<u32>,
}

/// Says what to compare.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude schema diff orders                      the latest with the one before
  dude schema diff orders --from 2 --to 5
  dude schema diff orders --with order.avsc    a file with the latest
Exit code 1 means that there are differences.")]
pub struct DiffOptions {
    #[command(flatten)]
    subject: Subject,
    /// Older version; without it, the one before.
    #[arg(long, value_name = "N", conflicts_with = "with")]
    from: Option<u32>,
    /// Newer version; without it, the latest.
    #[arg(long, value_name = "N", conflicts_with = "with")]
    to: Option<u32>,
    /// File to compare with the latest version.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
}

/// Says which file goes where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude schema check orders order.avsc        exit code 1 if the registry would not take it
  dude schema register orders order.avsc")]
pub struct FileOptions {
    #[command(flatten)]
    subject: Subject,
    /// Avro schema.
    file: PathBuf,
}

/// Says how the next version differs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude schema evolve orders --add 'note: [\"null\", \"string\"]'     null unless it is given
  dude schema evolve orders --add 'count: int = 0' --remove legacy
  dude schema evolve orders --rename who=customer -o order.avsc
  dude schema evolve orders --add 'count: int = 0' --register

A field is added with a default, so that older data can be read; a renamed field keeps its old name
as an alias. Prints the schema with the registry's verdict; --register registers it.")]
pub struct EvolveOptions {
    #[command(flatten)]
    subject: Subject,
    /// Field to add: NAME: TYPE, or NAME: TYPE = DEFAULT; may be repeated.
    #[arg(long, value_name = "FIELD", value_parser = Change::add)]
    add: Vec<Change>,
    /// Field to remove; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = Change::remove)]
    remove: Vec<Change>,
    /// Field to rename; may be repeated.
    #[arg(long, value_name = "OLD=NEW", value_parser = Change::rename)]
    rename: Vec<Change>,
    /// Write the schema to this file.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// Register it, after asking.
    #[arg(long)]
    register: bool,
}

/// Does it.
///
/// # Errors
/// The registry refuses or does not answer, or the answer is no.
pub fn run(session: &Session, verb: &Verb) -> Outcome {
    let registry = session.schemas()?;
    match verb {
        Verb::List(options) => list(session, &registry, options),
        Verb::Get(options) => get(session, &registry, options),
        Verb::Diff(options) => diff(session, &registry, options),
        Verb::Check(options) => check(session, &registry, options),
        Verb::Register(options) => register(session, &registry, options),
        Verb::Evolve(options) => evolve(session, &registry, options),
    }
}

fn list(session: &Session, registry: &Registry, options: &ListOptions) -> Outcome {
    let mut subjects = session.ask(registry.subjects())?;
    subjects.retain(|s| options.like.as_ref().is_none_or(|like| s.contains(like.as_str())));
    if session.options.json {
        return terminal::show_json(&subjects);
    }
    subjects.iter().try_for_each(terminal::show)
}

/// Fetches a version that must be there.
fn fetch(
    session: &Session,
    registry: &Registry,
    subject: &str,
    version: &str,
) -> Outcome<SchemaVersion> {
    let found = session.ask(registry.text(subject, version))?;
    found.ok_or_else(|| {
        anyhow::anyhow!("the registry has no version {version} of subject {subject}").into()
    })
}

fn get(session: &Session, registry: &Registry, options: &GetOptions) -> Outcome {
    let found = match (options.id, &options.name) {
        (Some(id), _) => session.ask(registry.text_of(SchemaId(id)))?,
        (None, name) => {
            let name = name.clone().unwrap_or_default();
            let subject = Subject { name, key: options.key, subject: options.subject }.name();
            let version = options.version.map_or("latest".into(), |version| version.to_string());
            fetch(session, registry, &subject, &version)?
        }
    };
    if session.options.json {
        return terminal::show_json(&found);
    }
    if found.version > 0 {
        terminal::tell(format!("{} version {}, id {}", found.subject, found.version, found.id));
    }
    match found.kind.as_deref() {
        Some("PROTOBUF") => terminal::show(&found.schema),
        _ => terminal::show(text::pretty(&parse(&found.schema)?)),
    }
}

fn parse(schema: &str) -> Outcome<Value> {
    serde_json::from_str(schema).or_no()
}

/// Reads a schema of any type from a file and checks that it is one.
fn read(file: &PathBuf) -> Outcome<String> {
    let text = nubium_host::text::read(file);
    let text = text.map_err(|error| Failure::no(format!("{}: {error}", file.display())))?;
    // No references are sent, so a name that the file does not define is wrong here already.
    let schema = formats::parse_own(&text);
    let schema = schema.map_err(|error| Failure::no(format!("{}: {error}", file.display())))?;
    Ok(schema.text().to_owned())
}

fn diff(session: &Session, registry: &Registry, options: &DiffOptions) -> Outcome {
    let subject = options.subject.name();
    let (old, new, names) = match &options.with {
        Some(file) => {
            let latest = fetch(session, registry, &subject, "latest")?;
            let names = (format!("version {}", latest.version), file.display().to_string());
            (latest.schema, read(file)?, names)
        }
        None => {
            let newer = options.to.map_or("latest".into(), |version| version.to_string());
            let newer = fetch(session, registry, &subject, &newer)?;
            let before = || {
                let versions = session.ask(registry.versions(&subject))?;
                Ok::<_, Failure>(versions.into_iter().filter(|v| *v < newer.version).max())
            };
            let Some(older) = options.from.map_or_else(before, |from| Ok(Some(from)))? else {
                return Err(Failure::no(format!(
                    "{subject} has no version before {}",
                    newer.version
                )));
            };
            let older = fetch(session, registry, &subject, &older.to_string())?;
            let names =
                (format!("version {}", older.version), format!("version {}", newer.version));
            (older.schema, newer.schema, names)
        }
    };
    let found = differences(&parse(&old)?, &parse(&new)?);
    show(session, &found)?;
    match found.len() {
        0 => {
            terminal::tell(format!("{subject}: {} and {} do not differ", names.0, names.1));
            Ok(())
        }
        count => Err(Failure::no(format!(
            "{subject}: {count} differences from {} to {}",
            names.0, names.1
        ))),
    }
}

fn show(session: &Session, found: &[Difference]) -> Outcome {
    if session.options.json {
        return terminal::show_json(&found);
    }
    if found.is_empty() {
        return Ok(());
    }
    let mut table = terminal::table(&["Where", "What", "Old", "New"]);
    for one in found {
        table.add_row([&one.place, one.what, &one.old, &one.new]);
    }
    terminal::show(table)
}

/// Asks whether a schema could be the next version.
fn ask(session: &Session, registry: &Registry, subject: &str, schema: &str) -> Outcome<Judgement> {
    session.ask(registry.judge(subject, SchemaBody::of(schema)))
}

fn level(judgement: &Judgement) -> &str {
    judgement.level.as_deref().unwrap_or("unknown")
}

fn check(session: &Session, registry: &Registry, options: &FileOptions) -> Outcome {
    let subject = options.subject.name();
    let judgement = ask(session, registry, &subject, &read(&options.file)?)?;
    if session.options.json {
        let (compatible, messages) = match &judgement.compatibility {
            Compatibility::Incompatible(messages) => (false, messages.as_slice()),
            _ => (true, &[][..]),
        };
        let level = level(&judgement);
        terminal::show_json(
            &json!({"compatible": compatible, "level": level, "messages": messages}),
        )?;
    }
    judge(&subject, &judgement)?;
    if !session.options.json {
        terminal::show(format!("{subject}: compatible ({})", level(&judgement)))?;
    }
    Ok(())
}

fn judge(subject: &str, judgement: &Judgement) -> Outcome {
    let Compatibility::Incompatible(messages) = &judgement.compatibility else { return Ok(()) };
    let words: String = messages.iter().map(|message| format!("\n  {message}")).collect();
    Err(Failure::no(format!("{subject}: not compatible ({}){words}", level(judgement))))
}

fn register(session: &Session, registry: &Registry, options: &FileOptions) -> Outcome {
    let subject = options.subject.name();
    let schema = read(&options.file)?;
    judge(&subject, &ask(session, registry, &subject, &schema)?)?;
    let id = session.ask(registry.register(&subject, &schema))?;
    registered(session, registry, &subject, id)
}

fn registered(session: &Session, registry: &Registry, subject: &str, id: SchemaId) -> Outcome {
    let version = fetch(session, registry, subject, "latest")?.version;
    match session.options.json {
        true => terminal::show_json(&json!({"subject": subject, "version": version, "id": id.0})),
        false => terminal::show(format!("{subject} version {version}, id {id}")),
    }
}

fn evolve(session: &Session, registry: &Registry, options: &EvolveOptions) -> Outcome {
    let subject = options.subject.name();
    let changes: Vec<&Change> =
        options.rename.iter().chain(&options.remove).chain(&options.add).collect();
    if changes.is_empty() {
        return Err(Failure::settings("nothing to change: say --add, --remove or --rename"));
    }
    let latest = fetch(session, registry, &subject, "latest")?;
    let old = parse(&latest.schema)?;
    let mut new = old.clone();
    for change in changes {
        change.apply(&mut new).map_err(|why| Failure::no(format!("{subject}: {why}")))?;
    }
    let pretty = text::pretty(&new);
    Schema::parse(&pretty).or_no()?;
    let judgement = ask(session, registry, &subject, &pretty)?;
    if let Some(file) = &options.output {
        let written = std::fs::write(file, format!("{pretty}\n"));
        written.map_err(|error| Failure::host(format!("{}: {error}", file.display())))?;
    } else {
        terminal::show(&pretty)?;
    }
    for one in differences(&old, &new) {
        terminal::tell(format!("{}: {} {} → {}", one.place, one.what, one.old, one.new));
    }
    judge(&subject, &judgement)?;
    terminal::tell(format!("{subject}: compatible ({})", level(&judgement)));
    if !options.register {
        return Ok(());
    }
    let question = format!("Register it as the next version of {subject}?");
    terminal::confirm(&question, session.options.yes)?;
    let id = session.ask(registry.register(&subject, &pretty))?;
    registered(session, registry, &subject, id)
}
