//! Keys as other clients write them: plain text, bytes, and Avro, each with its row.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, ensure};
use nubium_test_kit::process::Signal;
use nubium_test_kit::reader::read_all;
use nubium_test_kit::wait::{Look, eventually};
use nubium_test_kit::wire::Reader;
use nubium_test_kit::{ports, services};
use serde_json::json;

use crate::place::{DEADLINE, Place};

#[test]
fn text_bytes_and_avro_keys_have_rows_and_keep_their_bytes() -> Result<()> {
    let [port] = ports::free()?;
    let settings = format!("mode: count\nlookups: {{port: {port}, address: 127.0.0.1}}");
    let mut place = Place::new("keys", 3, &settings)?;
    let number: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 5];
    let keys: [&[u8]; 4] = ["plain text ü".as_bytes(), number, b"\xff\xfe", b"0xff"];
    let wanted: BTreeMap<_, _> = [
        ("avro", 3),
        ("plain text ü", 2),
        ("0x0000000000000005", 2),
        ("0xfffe", 2),
        ("0x30786666", 2),
    ]
    .into_iter()
    .map(|(key, count)| (key.to_owned(), json!({ "count": count })))
    .collect();
    for _ in 0..2 {
        place.write([("avro", "a")])?;
        keys.iter().try_for_each(|key| place.write_raw(key, "a"))?;
    }
    place.write([("avro", "a")])?;
    let process = place.start("table-0")?;
    let base = format!("http://127.0.0.1:{port}");
    eventually("all rows", DEADLINE, || match place.table(&base) {
        Ok(table) if table == wanted => Look::Ready(()),
        Ok(table) => Look::NotYet(format!("{table:?}")),
        Err(error) => Look::NotYet(format!("{error:#}")),
    })
    .map_err(|error| anyhow!("{error}\n{}", process.log_tail()))?;
    let entry = place.document(&format!("{base}/table/plain%20text%20%C3%BC"))?;
    assert_eq!(entry["value"], json!({ "count": 2 }));
    // A start anew finds the same rows in the changelog.
    process.signal(Signal::TERM)?;
    assert_eq!(process.wait(DEADLINE)?.code(), Some(0), "{}", process.log_tail());
    let other = place.start("table-1")?;
    eventually("all rows again", DEADLINE, || match place.table(&base) {
        Ok(table) if table == wanted => Look::Ready(()),
        said => Look::NotYet(format!("{said:?}\n{}", other.log_tail())),
    })?;
    let bootstrap = &services::shared().bootstrap;
    for record in read_all(bootstrap, &[&format!("{}__changelog", place.app)])? {
        let (_, mut key) = Reader::framed(record.key.as_deref().unwrap_or_default())?;
        ensure!(wanted.contains_key(key.string()?), "{record:?}");
    }
    let out = read_all(bootstrap, &[&place.output])?;
    for key in keys {
        let count = out.iter().filter(|record| record.key.as_deref() == Some(key)).count();
        assert_eq!(count, 2, "{key:?} passes as it is");
    }
    Ok(())
}
