//! Counts and duplicates, exactly once, through kills.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use nubium_test_kit::process::Signal;
use nubium_test_kit::reader::{Progress, read_all};
use nubium_test_kit::wait::{Look, eventually};
use nubium_test_kit::wire::Reader;
use nubium_test_kit::{ports, services};
use serde_json::{Value, json};

use crate::place::{DEADLINE, Place};

const KEYS: usize = 300;
const MESSAGES: usize = 30_000;

/// The counts of each key in the output, in the order of the log.
fn counts_of(place: &Place) -> Result<BTreeMap<String, Vec<i64>>> {
    let mut counts = BTreeMap::<String, Vec<i64>>::new();
    for record in read_all(&services::shared().bootstrap, &[&place.output])? {
        let (_, mut key) = Reader::framed(record.key.as_deref().unwrap_or_default())?;
        let (_, mut value) = Reader::framed(record.value.as_deref().unwrap_or_default())?;
        value.string()?;
        counts.entry(key.string()?.to_owned()).or_default().push(value.long()?);
    }
    Ok(counts)
}

#[test]
fn every_message_is_counted_once_though_the_service_is_killed_while_it_counts() -> Result<()> {
    let [port] = ports::free()?;
    let settings = format!("mode: count\nlookups: {{port: {port}, address: 127.0.0.1}}");
    let mut place = Place::new("counts", 3, &settings)?;
    let keys: Vec<String> = (0..KEYS).map(|key| format!("key-{key}")).collect();
    place.write((0..MESSAGES).map(|n| (keys[n % KEYS].as_str(), "text")))?;
    let mut process = place.start("table-0")?;
    let progress = Progress::of(&services::shared().bootstrap, &place.output)?;
    for kill in 1..=3_i64 {
        let some = kill * MESSAGES as i64 / 5;
        progress.reach(some, DEADLINE, || Ok(()))?;
        process.kill()?;
        process = place.start("table-0")?;
    }
    let each = (MESSAGES / KEYS) as i64;
    let base = format!("http://127.0.0.1:{port}");
    let wanted: BTreeMap<_, _> =
        keys.iter().map(|key| (key.clone(), json!({ "count": each }))).collect();
    eventually("all messages to be counted", DEADLINE, || match place.table(&base) {
        Ok(table) if table == wanted => Look::Ready(()),
        Ok(table) => {
            let counts = table.values().filter_map(|entry| entry["count"].as_i64());
            Look::NotYet(format!("{} keys, {} counted", table.len(), counts.sum::<i64>()))
        }
        Err(error) => Look::NotYet(format!("{error:#}")),
    })
    .map_err(|error| anyhow!("{error}\n{}", process.log_tail()))?;
    process.signal(Signal::TERM)?;
    assert_eq!(process.wait(DEADLINE)?.code(), Some(0), "{}", process.log_tail());

    let counts = counts_of(&place)?;
    assert_eq!(counts.len(), KEYS);
    for (key, counts) in counts {
        assert_eq!(counts, (1..=each).collect::<Vec<_>>(), "the counts of {key}, one by one");
    }
    let volume = place.volume("table-0").display().to_string();
    let (code, text) = place.run("table-0", &["verify", &volume])?;
    assert_eq!(code, 0, "{text}");
    assert_eq!(text.matches(" ok ").count(), 3, "{text}");
    let (code, text) = place.run("table-0", &["inspect", &volume, "--key", "key-7"])?;
    assert_eq!(code, 0, "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text)?["value"], json!({ "count": each }));
    Ok(())
}

#[test]
fn a_program_of_ones_own_merges_drops_and_deletes() -> Result<()> {
    let [port] = ports::free()?;
    let program = "
if .text == \"delete\" {
    %store = null
    %topic = null
} else if .text == \"ignore\" {
    abort
} else {
    .text = string(%previous.text) + \"+\" + .text ?? .text
    .count = (to_int(%previous.count) ?? 0) + 1
}";
    let settings = format!("program: merge.vrl\nlookups: {{port: {port}, address: 127.0.0.1}}");
    let mut place = Place::new("program", 2, &settings)?;
    place.file("merge.vrl", program)?;
    let process = place.start("table-0")?;
    place.write([
        ("a", "one"),
        ("b", "one"),
        ("a", "ignore"),
        ("a", "two"),
        ("b", "delete"),
        ("c", "delete"),
        ("b", "three"),
        ("d", "end"),
    ])?;
    let base = format!("http://127.0.0.1:{port}");
    let wanted = [
        ("a".to_owned(), json!({"text": "one+two", "count": 2})),
        ("b".to_owned(), json!({"text": "three", "count": 1})),
        ("d".to_owned(), json!({"text": "end", "count": 1})),
    ];
    let wanted = BTreeMap::from(wanted);
    nubium_test_kit::wait::until("the table to be as the program wants it", DEADLINE, || {
        place.table(&base).is_ok_and(|table| table == wanted)
    })?;
    let counts = counts_of(&place)?;
    assert_eq!(counts["a"], [1, 2]);
    assert_eq!(counts["b"], [1, 1]);
    assert!(!counts.contains_key("c"));
    drop(process);
    Ok(())
}
