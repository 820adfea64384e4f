//! The ready-made programs: what each forwards, and what it keeps of a key.

use std::collections::BTreeMap;
use std::sync::Arc;

use nubium_mapping::avro::{Encoder, Reader, Schema, decode, json};
use nubium_mapping::mapping::{Envelope, Mapper, Plan, Previous, Stored, Verdict};
use nubium_table::settings::Settings;
use serde_json::{Value, json};

const PERSON: &str = r#"{"type": "record", "name": "Person", "fields": [
    {"name": "name", "type": ["null", "string"], "default": null},
    {"name": "age", "type": ["null", "long"], "default": null},
    {"name": "seen", "default": null,
     "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]}]}"#;
const COUNTED: &str = r#"{"type": "record", "name": "Counted", "fields": [
    {"name": "name", "type": ["null", "string"], "default": null},
    {"name": "count", "type": "long"}]}"#;

struct Message {
    key: &'static str,
    datum: Vec<u8>,
    timestamp: i64,
}

impl Envelope for Message {
    fn topic(&self) -> &str {
        "people"
    }
    fn partition(&self) -> i32 {
        0
    }
    fn offset(&self) -> i64 {
        0
    }
    fn timestamp_ms(&self) -> Option<i64> {
        Some(self.timestamp)
    }
    fn key(&self) -> Result<Option<&str>, String> {
        Ok(Some(self.key))
    }
    fn headers(&self, _: &mut dyn FnMut(&str, Option<&[u8]>)) {}
    fn datum(&self) -> &[u8] {
        &self.datum
    }
}

/// A table whose entries are in a map, as JSON text: what they are between two messages.
struct Table {
    mapper: Mapper,
    plan: Plan,
    input: &'static Schema,
    output: &'static Schema,
    entries: BTreeMap<&'static str, String>,
}

impl Table {
    fn new(mode: &str, output: &str) -> Self {
        Self::of(mode, PERSON, output)
    }

    fn of(mode: &str, schema: &str, output: &str) -> Self {
        let text = format!(
            "input: {{topic: people, schema: in.avsc}}
outputs: [{{topic: out, schema: out.avsc}}]
{mode}"
        );
        let read = |file: &str| {
            let text = match file {
                "in.avsc" => schema,
                "page.vrl" => program_of_the_page(),
                _ => output,
            };
            Ok(text.to_owned())
        };
        let settings = Settings::parse("table.yaml", &text, &read);
        let settings = settings.unwrap_or_else(|problems| panic!("{}", problems[0]));
        let mapping = settings.compile(&[]).unwrap_or_else(|problems| panic!("{}", problems[0]));
        assert_eq!(mapping.warnings().collect::<Vec<_>>(), [""; 0]);
        let mapping = Arc::new(mapping);
        let input = Schema::parse(schema).expect("schema");
        let plan = mapping.plan(0, input).expect("plan");
        let output = Schema::parse(output).expect("schema");
        let mapper = Mapper::new(mapping);
        Self { mapper, plan, input, output, entries: BTreeMap::new() }
    }

    /// Handles one record; gives what is forwarded.
    fn take(&mut self, key: &'static str, timestamp: i64, record: Value) -> Option<Value> {
        let mut datum = Vec::new();
        let value = json::value(self.input, self.input.root(), &record).expect("value");
        Encoder::new(self.input).encode(self.input.root(), &value, &mut datum).expect("input");
        let previous = self.entries.get(key).map(|text| Previous {
            value: serde_json::from_str(text).expect("JSON"),
            timestamp_ms: Some(0),
        });
        let message = Message { key, datum, timestamp };
        match self.mapper.map_entry(&self.plan, &message, previous).expect("mapped") {
            Verdict::Drop(_) => {
                assert_eq!(*self.mapper.stored(), Stored::Keep);
                return None;
            }
            Verdict::Produce => {}
        }
        if let Stored::Put(value) = self.mapper.stored() {
            self.entries.insert(key, serde_json::to_string(value).expect("JSON"));
        }
        let made = self.mapper.made().first()?;
        let mut reader = Reader::new(self.mapper.value(made));
        let value = decode(self.output, self.output.root(), &mut reader).expect("output");
        Some(json::of(self.output, self.output.root(), &value).expect("JSON"))
    }

    fn entry(&self, key: &str) -> Value {
        serde_json::from_str(&self.entries[key]).expect("JSON")
    }
}

/// Gives the program in the service's documentation.
fn program_of_the_page() -> &'static str {
    let page = include_str!("../../../docs/table-service.md");
    let (_, rest) = page.split_once("```coffee\n").expect("a program");
    rest.split_once("```").expect("its end").0
}

fn person(name: &str, age: Option<i64>) -> Value {
    json!({"name": name, "age": age, "seen": 60_000})
}

#[test]
fn latest_keeps_and_forwards_every_record() {
    let mut table = Table::new("mode: latest", PERSON);
    for age in [1, 2, 2] {
        let forwarded = table.take("a", 0, person("Ann", Some(age))).expect("forwarded");
        assert_eq!(forwarded["age"], json!(age));
        assert_eq!(table.entry("a")["age"], json!(age));
    }
    assert_eq!(table.entry("a")["seen"], "1970-01-01T00:01:00.000Z");
}

#[test]
fn changes_forwards_what_differs_from_the_record_before_it() {
    let mut table = Table::new("mode: changes", PERSON);
    let mut forwarded = |key, age| table.take(key, 0, person("Ann", Some(age))).is_some();
    assert!(forwarded("a", 1), "the first");
    assert!(!forwarded("a", 1), "the same again, times and all");
    assert!(forwarded("b", 1), "of another key");
    assert!(forwarded("a", 2));
    assert!(forwarded("a", 1), "back again");
    assert_eq!(table.entry("a")["age"], 1);
}

#[test]
fn merge_keeps_all_that_is_known_of_a_key() {
    let mut table = Table::new("mode: merge", PERSON);
    table.take("a", 0, json!({"name": "Ann", "age": null, "seen": 60_000})).expect("forwarded");
    let known = json!({"name": "Ann", "age": 7, "seen": "1970-01-01T00:01:00.000Z"});
    let forwarded = table.take("a", 0, json!({"name": null, "age": 7, "seen": null}));
    assert_eq!(forwarded, Some(known.clone()), "times have their type again");
    assert_eq!(table.entry("a"), known);
    table.take("a", 0, json!({"name": "Bob", "age": null, "seen": null})).expect("forwarded");
    assert_eq!(table.entry("a")["name"], "Bob");
}

#[test]
fn count_counts_each_key_and_forwards_the_count_where_there_is_a_field_for_it() {
    let mut table = Table::new("mode: count", COUNTED);
    let forwarded: Vec<_> = ["a", "b", "a", "a"]
        .map(|key| table.take(key, 0, person("Ann", None)).expect("forwarded")["count"].clone())
        .into();
    assert_eq!(forwarded, [1, 1, 2, 3]);
    assert_eq!(table.entry("a"), json!({"count": 3}));
    let mut table = Table::new("mode: count", PERSON);
    assert_eq!(table.take("a", 0, person("Ann", None)).expect("forwarded")["name"], "Ann");
}

#[test]
fn deduplicate_forwards_one_record_of_a_key_within_the_window_of_its_own_time() {
    let mut table = Table::new("mode: deduplicate\nwindow_seconds: 10", PERSON);
    let mut forwarded = |key, seconds: i64| {
        let time = 1_700_000_000_000 + seconds * 1_000;
        table.take(key, time, person("Ann", None)).is_some()
    };
    assert!(forwarded("a", 0));
    assert!(!forwarded("a", 9));
    assert!(forwarded("b", 9), "of another key");
    assert!(forwarded("a", 10), "the window begins with what was forwarded");
    assert!(!forwarded("a", 5), "late, and within the window");
    assert!(!forwarded("a", 19));
    assert!(forwarded("a", 20));
}

#[test]
fn the_program_of_the_documentation_works_as_it_stands_there() {
    let output = PERSON.replace("\"age\"", "\"visits\"");
    let mut table = Table::new("program: page.vrl", &output);
    let day = 86_400_000;
    let first = table.take("a", 0, person("Ann", None)).expect("the first of the day");
    assert_eq!(first["visits"], 1);
    assert_eq!(table.take("a", 1_000, person("Ann", None)), None, "the same day");
    assert_eq!(table.entry("a"), json!({"visits": 2, "day": "1970-01-01"}));
    let next = table.take("a", day, person("Ann", None)).expect("the next day");
    assert_eq!(next["visits"], 3);
}

const BLOB: &str = r#"{"type": "record", "name": "B", "fields": [{"name": "id", "type": "string"},
    {"name": "blob", "type": ["null", "bytes"], "default": null},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}, "default": 0}]}"#;

#[test]
fn bytes_that_differ_are_a_change_and_entries_have_the_one_json_form() {
    let mut table = Table::of("mode: changes", BLOB, BLOB);
    let mut forwarded = |blob: &str| table.take("k", 0, json!({"id": "k", "blob": blob})).is_some();
    assert!(forwarded("\u{ff}\u{1}"));
    assert!(forwarded("\u{fe}\u{1}"), "neither is UTF-8, and they differ");
    assert!(!forwarded("\u{fe}\u{1}"));
    assert_eq!(table.entry("k"), json!({"id": "k", "blob": "\u{fe}\u{1}", "day": "1970-01-01"}));
}
