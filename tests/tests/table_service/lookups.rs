//! Look-ups at two instances: a key is answered by its owner, whichever is asked.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use nubium_test_kit::ports;
use nubium_test_kit::wait::{Look, eventually, until};
use serde_json::json;

use crate::place::{DEADLINE, Place};

const KEYS: usize = 60;

#[test]
fn a_key_is_answered_by_its_owner_and_by_whoever_takes_over() -> Result<()> {
    let [first, second] = ports::free()?;
    let mut place = Place::new("lookups", 6, "mode: latest")?;
    let urls = [first, second].map(|port| format!("http://127.0.0.1:{port}"));
    for (host, port) in [("table-0", first), ("table-1", second)] {
        let settings = format!(
            "lookups: {{port: {port}, address: 127.0.0.1, peers: ['{}', '{}']}}",
            urls[0], urls[1]
        );
        place.settings(host, &settings)?;
    }
    let keys: Vec<String> = (0..KEYS).map(|key| format!("key/{key} ü")).collect();
    place.write(keys.iter().map(|key| (key.as_str(), key.as_str())))?;
    let first = place.start("table-0")?;
    let second = place.start("table-1")?;
    // Both own some, all are ready, and each knows of the other.
    let owned = |url: &String| {
        let document = place.document(&format!("{url}/partitions")).unwrap_or_default();
        let partitions = document["partitions"].as_array().cloned().unwrap_or_default();
        partitions.iter().filter(|p| p["role"] == "active" && p["state"] == "ready").count()
    };
    until("both instances to own partitions", DEADLINE, || {
        let owned = urls.each_ref().map(owned);
        owned.iter().sum::<usize>() == 6 && owned.iter().all(|count| *count > 0)
    })
    .map_err(|error| anyhow!("{error}\n{}\n{}", first.log_tail(), second.log_tail()))?;
    let wanted: BTreeMap<_, _> =
        keys.iter().map(|key| (key.clone(), json!({"text": key, "count": 0}))).collect();
    until("all records to be in the table", DEADLINE, || {
        place.table(&urls[0]).is_ok_and(|table| table == wanted)
    })?;
    assert_eq!(place.table(&urls[1])?, wanted, "the same of the other instance");

    let mut redirected = 0;
    for (number, key) in keys.iter().enumerate() {
        let path = format!("/table/key%2F{number}%20%C3%BC");
        let answer = place.get(&format!("{}{path}", urls[0]))?;
        assert_eq!(answer.status(), 200, "{key}");
        redirected += usize::from(answer.url().query() == Some("redirected=true"));
        let entry = place.document(&format!("{}{path}", urls[1]))?;
        assert_eq!(entry["key"], json!(key));
        assert_eq!(entry["value"]["text"], json!(key));
    }
    assert!((1..KEYS).contains(&redirected), "{redirected} of {KEYS} keys are of the other");
    for url in &urls {
        let (status, said) = place.ask(&format!("{url}/table/nobody"))?;
        assert_eq!(status, 404, "{said}");
    }

    second.kill()?;
    eventually("the first to answer for all", DEADLINE, || match owned(&urls[0]) {
        6 => Look::Ready(()),
        count => Look::NotYet(format!("{count} partitions")),
    })?;
    for (number, key) in keys.iter().enumerate() {
        let entry = place.document(&format!("{}/table/key%2F{number}%20%C3%BC", urls[0]))?;
        assert_eq!(entry["value"]["text"], json!(key));
    }
    Ok(())
}
