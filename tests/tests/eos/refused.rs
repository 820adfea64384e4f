//! Outputs that the broker refuses for what they are, and messages too large for their way out.

use anyhow::{Context, Result, ensure};
use nubium_test_kit::scenario::DEADLINE;

use crate::funnel::Funnel;

const SMALL: &[(&str, &str)] = &[("max.message.bytes", "50000")];
const LARGE: &[(&str, &str)] = &[("max.message.bytes", "2000000")];

/// The texts' lengths of what a topic holds.
fn lengths(funnel: &Funnel, topic: &str) -> Result<Vec<usize>> {
    let records = funnel.read(topic)?;
    Ok(records.iter().map(|record| record.value.as_ref().map_or(0, Vec::len)).collect())
}

fn write(funnel: &mut Funnel, texts: &[usize]) -> Result<()> {
    let key = funnel.key("k");
    for length in texts {
        let note = funnel.note(&"x".repeat(*length));
        funnel.write(Some(&key), Some(&note), &[])?;
    }
    Ok(())
}

#[test]
fn an_output_too_large_for_its_topic_goes_to_the_failure_topic_alone() -> Result<()> {
    let mut funnel = Funnel::new("too-large", &[], SMALL)?;
    write(&mut funnel, &[10, 100_000, 20, 90_000, 80_000, 30])?;
    let app = funnel.start(&[("NU_ERROR_POLICY", "dead_letter")])?;
    funnel.drained(&app)?;
    let lengths_of = |topic: &str| lengths(&funnel, topic);
    ensure!(lengths_of(&funnel.output)?.len() == 3);
    let failed = funnel.read(&funnel.failure)?;
    ensure!(failed.len() == 3, "{}", failed.len());
    for record in &failed {
        let exception = record.header("exception").context("no header `exception`")?;
        ensure!(exception.contains("RecordRefused") && exception.contains(&funnel.output));
    }
    Ok(())
}

#[test]
fn small_outputs_that_are_refused_together_all_come_out() -> Result<()> {
    let mut funnel = Funnel::new("together", &[], SMALL)?;
    write(&mut funnel, &[2_000; 300])?;
    let app = funnel.start(&[])?;
    funnel.drained(&app)?;
    ensure!(lengths(&funnel, &funnel.output)?.len() == 300);
    ensure!(funnel.read(&funnel.failure)?.is_empty());
    let log = app.log();
    ensure!(!log.contains("refused records together") || log.contains("batch.size"), "{log}");
    Ok(())
}

#[test]
fn an_output_without_a_key_is_refused_by_a_compacted_topic_and_fails_alone() -> Result<()> {
    let mut funnel = Funnel::new("compacted", &[], &[("cleanup.policy", "compact")])?;
    let (key, note) = (funnel.key("k"), funnel.note("a"));
    for key in [Some(&*key), None, Some(&*key)] {
        funnel.write(key, Some(&note), &[])?;
    }
    let app = funnel.start(&[])?;
    funnel.drained(&app)?;
    ensure!(funnel.read(&funnel.output)?.len() == 2);
    let failed = funnel.read(&funnel.failure)?;
    ensure!(failed.len() == 1 && failed[0].key.is_none(), "{failed:?}");
    Ok(())
}

#[test]
fn a_message_larger_than_the_producers_limit_goes_to_the_failure_topic() -> Result<()> {
    let mut funnel = Funnel::new("large-message", LARGE, &[])?;
    let broken = vec![b'x'; 1_300_000];
    write(&mut funnel, &[10])?;
    funnel.write(Some(b"k"), Some(&broken), &[])?;
    // Decodable, and its output is over the producer's own limit.
    write(&mut funnel, &[1_400_000, 20])?;
    let app = funnel.start(&[])?;
    funnel.drained(&app)?;
    ensure!(lengths(&funnel, &funnel.output)?.len() == 2);
    let failed = lengths(&funnel, &funnel.failure)?;
    ensure!(failed.len() == 2 && failed[0] == broken.len(), "{failed:?}");
    Ok(())
}

#[test]
fn a_failure_topic_with_a_smaller_limit_ends_the_app_and_is_named() -> Result<()> {
    let mut funnel = Funnel::new("large-nowhere", LARGE, &[])?;
    let smaller = format!("{}-smaller", funnel.failure);
    let bootstrap = &nubium_test_kit::services::shared().bootstrap;
    nubium_test_kit::topics::create_with(bootstrap, &[(&smaller, 1)], SMALL)?;
    let broken = vec![b'x'; 1_300_000];
    funnel.write(Some(b"k"), Some(&broken), &[])?;
    let app = funnel.start(&[("NU_PRODUCE_FAILURE_TOPICS", smaller.as_str())])?;
    let status = app.wait(DEADLINE)?;
    let log = app.log_tail();
    ensure!(status.code() == Some(1), "{status}\n{log}");
    for part in [&*smaller, "max.message.bytes", "offset 0"] {
        ensure!(log.contains(part), "no {part} in\n{log}");
    }
    Ok(())
}
