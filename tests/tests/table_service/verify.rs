//! A store that differs from its changelog is found out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nubium_test_kit::process::Signal;
use nubium_test_kit::{ports, wait};
use serde_json::Value;

use crate::place::{DEADLINE, Place};

/// Changes a text in the file of whichever store has it, as a failing disk would.
fn plant(directory: &Path, text: &str, other: &str) -> Result<usize> {
    let mut planted = 0;
    for entry in std::fs::read_dir(directory)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            planted += plant(&path, text, other)?;
        } else if path.file_name().is_some_and(|name| name == "data.mdb") {
            let mut bytes = std::fs::read(&path)?;
            let found: Vec<usize> = bytes
                .windows(text.len())
                .enumerate()
                .filter(|(_, window)| *window == text.as_bytes())
                .map(|(at, _)| at)
                .collect();
            for at in &found {
                bytes[*at..*at + text.len()].copy_from_slice(other.as_bytes());
            }
            planted += found.len();
            std::fs::write(&path, bytes)?;
        }
    }
    Ok(planted)
}

#[test]
fn verify_finds_the_row_that_differs_and_names_its_offset() -> Result<()> {
    let [port] = ports::free()?;
    let settings = format!("mode: latest\nlookups: {{port: {port}, address: 127.0.0.1}}");
    let mut place = Place::new("verify", 2, &settings)?;
    let keys: Vec<String> = (0..40).map(|key| format!("key-{key}")).collect();
    let texts: Vec<String> = (0..40).map(|key| format!("before-{key}-before")).collect();
    place.write(keys.iter().map(String::as_str).zip(texts.iter().map(String::as_str)))?;
    let process = place.start("table-0")?;
    let base = format!("http://127.0.0.1:{port}");
    wait::until("all records to be in the table", DEADLINE, || {
        place.table(&base).is_ok_and(|table| table.len() == keys.len())
    })?;
    let volume = place.volume("table-0");
    let shown = volume.display().to_string();
    let (code, text) = place.run("table-0", &["verify", &shown])?;
    assert_eq!(code, 0, "beside the running service: {text}");
    process.signal(Signal::TERM)?;
    assert_eq!(process.wait(DEADLINE)?.code(), Some(0), "{}", process.log_tail());

    assert!(plant(&volume, "before-7-before", "before-X-before")? > 0, "it is in the file");
    let (code, text) = place.run("table-0", &["verify", &shown])?;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("\"key-7\": the store has another value than offset"), "{text}");
    assert_eq!(text.matches("DIFFERS").count(), 1, "{text}");
    assert!(!text.contains("\"key-8\""), "{text}");

    let (code, text) = place.run("table-0", &["inspect", &shown, "--dump"])?;
    assert_eq!(code, 0, "{text}");
    let mut lines: Vec<Value> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>().context(text.clone())?;
    assert_eq!(lines.len(), keys.len());
    lines.retain(|line| line["key"] == "key-7");
    assert_eq!(lines[0]["value"]["text"], "before-X-before");
    let (code, text) = place.run("table-0", &["inspect", &shown])?;
    assert_eq!(code, 0, "{text}");
    assert_eq!(text.matches("__changelog").count(), 2, "{text}");
    let (code, text) = place.run("table-0", &["inspect", &shown, "--key", "nobody"])?;
    assert_eq!((code, text.contains("no store there has an entry")), (1, true), "{text}");
    let (code, text) = place.run("table-0", &["verify", "/nonexistent"])?;
    assert_eq!(code, 6, "{text}");
    Ok(())
}
