//! A fifth service, as CONTRIBUTING.md builds one: copies a topic to another and marks each record
//! with a name from its file.
//!
//! Its file: `{from: signups, to: tagged, schema: tagged.avsc, tag: spring}`.

use std::path::Path;
use std::process::ExitCode;

use nubium_core::codec::Dynamic;
use nubium_core::config::Problem;
use nubium_core::{App, Record, Transaction};
use nubium_host::Outcome;
use nubium_service::check::Checks;
use nubium_service::document::{self, Document, Files, ReadFile};
use nubium_service::service::{self, About, NoCommands, NoOptions, Service};
use nubium_service::start::Start;
use nubium_service::terminal;
use nubium_service::topics::Output;
use serde_json::{Map, Value};

struct Tagger;

#[derive(Clone)]
struct Settings {
    from: String,
    output: Output,
    tag: String,
}

impl Settings {
    fn parse(name: &str, text: &str, read: ReadFile<'_>) -> Result<Self, Vec<Problem>> {
        let (document, files) = (Document::new(name), Files::new(read));
        let settings = document.root(text, "a map with `from` and `to`", "from: signups");
        let settings = settings.and_then(|root| {
            let from = root.topic("from", "the topic to copy", "signups");
            let to = root.topic("to", "the topic to copy to", "tagged");
            let schema = files.needed_schema(&root, "schema", "tagged.avsc", to.as_deref());
            let tag = root.needed("tag", "what to mark with", "spring");
            root.finish();
            Some(Self { from: from?, output: Output { topic: to?, schema: schema? }, tag: tag? })
        });
        document.finish(settings)
    }

    fn handle(&self, transaction: &Transaction<'_>) -> anyhow::Result<()> {
        let mut record: Map<String, Value> = transaction.value()?;
        record.insert("tag".into(), self.tag.as_str().into());
        let record = Value::Object(record);
        transaction.produce(Record::to(&self.output.topic).value(&Dynamic(&record)))
    }
}

impl Service for Tagger {
    type Settings = Settings;
    type Options = NoOptions;
    type Commands = NoCommands;

    const ABOUT: About = About {
        name: "tagger",
        sentence: "Copies a topic to another and marks each record",
        file: "The tagger's settings: from, to, schema, tag",
        variable: "NU_TAGGER_CONFIG",
        default: "tagger.yaml",
        examples: "  tagger check --config tagger.yaml",
        pages: "The tagger's file is in its source.",
        failed: "a message could not be handled; or a check failed",
    };

    fn settings(file: &Path, _: &NoOptions) -> Result<Settings, Vec<Problem>> {
        document::load("NU_TAGGER_CONFIG", file, Settings::parse)
    }

    fn counted(settings: &Settings) -> String {
        format!("{} to {}", settings.from, settings.output.topic)
    }

    fn check(start: &Start<Settings>, checks: &mut Checks<'_>) {
        let settings = &start.settings;
        if let Some(codec) = checks.registry() {
            checks.outputs(std::slice::from_ref(&settings.output), &codec);
        }
        checks.topics(&[settings.from.as_str(), settings.output.topic.as_str()].into());
    }

    fn show(start: &Start<Settings>) {
        terminal::show(format_args!("tag: {}", start.settings.tag));
    }

    fn run(start: &Start<Settings>) -> Outcome<ExitCode> {
        let settings = start.settings.clone();
        let app = App::new(start.config.clone()).consume([&settings.from]);
        let app = app.produce(&settings.output.topic, &settings.output.schema.json);
        Ok(app.run(async move |transaction: &Transaction<'_>| settings.handle(transaction)))
    }

    fn command(command: NoCommands) -> Outcome<ExitCode> {
        command.never()
    }
}

pub(crate) fn main() -> ExitCode {
    service::main::<Tagger>()
}

#[cfg(test)]
mod tests {
    use nubium_core::Single;
    use nubium_core::driver::Driver;
    use serde_json::json;

    use super::*;

    const SCHEMA: &str = r#"{"type": "record", "name": "Signup", "fields": [
        {"name": "email", "type": "string"}, {"name": "tag", "type": "string"}]}"#;
    const FILE: &str = "{from: signups, to: tagged, schema: tagged.avsc, tag: spring}";

    #[test]
    fn every_record_is_copied_with_its_tag() {
        let settings = Settings::parse("tagger.yaml", FILE, &|_| Ok(SCHEMA.into()));
        let settings = settings.unwrap_or_else(|problems| panic!("{}", problems[0]));
        let function = async move |tx: &Transaction<'_>| settings.handle(tx);
        let mut driver = Driver::new(Single(function)).expect("driver");
        driver.input("signups", 1, SCHEMA).expect("input");
        driver.output("tagged", 1, SCHEMA).expect("output");
        let signup = json!({"email": "ada@example.org", "tag": ""});
        driver.send("signups", 0, "key", &Dynamic(&signup)).expect("sent");
        driver.run().expect("handled");
        let tagged: Vec<Value> = driver.values("tagged").expect("values");
        assert_eq!(tagged, [json!({"email": "ada@example.org", "tag": "spring"})]);
    }

    #[test]
    fn all_that_is_wrong_with_the_file_is_told_at_once() {
        let problems = Settings::parse("tagger.yaml", "{from: 1}", &|_| Ok(SCHEMA.into()));
        let problems = problems.err().expect("refused");
        let places: Vec<_> = problems.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(places, ["from", "to", "schema", "tag"]);
    }
}
