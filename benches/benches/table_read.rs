//! Measures how long one `read_table_entry` takes in an app, with the store on disk and nothing of
//! it in the uncommitted writes: `cargo bench -p nubium-benches --bench table_read`.

use nubium_core::driver::Driver;
use nubium_core::{Single, Transaction};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const KEYS: u64 = 300_000;
const READS: u64 = 200_000;

#[derive(Deserialize, Serialize)]
struct Entry {
    count: i64,
    last: String,
}

#[expect(clippy::print_stdout, reason = "the result of a benchmark")]
fn main() -> anyhow::Result<()> {
    let took = Arc::new(Mutex::new(Vec::with_capacity(READS as usize)));
    let times = Arc::clone(&took);
    let app = Single(async move |tx: &Transaction<'_>| {
        if tx.value::<&str>()? == "write" {
            let last = format!("order-{}", tx.message().offset());
            return tx.update_table_entry(&Entry { count: tx.message().offset(), last });
        }
        let start = Instant::now();
        let entry: Option<Entry> = tx.read_table_entry()?;
        let time = start.elapsed();
        anyhow::ensure!(entry.is_some(), "no entry for {:?}", tx.key()?);
        times.lock().map_err(|_| anyhow::anyhow!("a panic"))?.push(time);
        Ok(())
    });
    let mut driver = Driver::new(app)?;
    driver.table();
    driver.input("in", 1, r#""string""#)?;
    for key in 0..KEYS {
        driver.send("in", 0, &format!("customer-{key}"), "write")?;
    }
    driver.run()?;
    // Scattered, but the same in every run (Knuth's multiplicative hash).
    for read in 0..READS {
        let key = read.wrapping_mul(2_654_435_761) % KEYS;
        driver.send("in", 0, &format!("customer-{key}"), "read")?;
    }
    driver.run()?;
    let mut took = took.lock().map_err(|_| anyhow::anyhow!("a panic"))?;
    anyhow::ensure!(took.len() as u64 == READS, "{} reads", took.len());
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    let mean = took.iter().sum::<Duration>() / took.len() as u32;
    println!("{READS} reads of {KEYS} rows, decoded from JSON into a struct, clock included");
    println!("mean {mean:?}, p50 {:?}, p99 {:?}, p99.9 {:?}", at(0.5), at(0.99), at(0.999));
    Ok(())
}
