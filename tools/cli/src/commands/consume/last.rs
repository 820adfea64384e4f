//! The newest messages of a topic.

use std::collections::{HashMap, VecDeque};

use super::Plan;
use super::output::Output;
use nubium_host::failure::{Or as _, Outcome};
use nubium_kafka::reader::Range;

/// How much further back each look begins than the one before.
const FURTHER: i64 = 4;

/// One message, ready to be shown.
struct Line {
    timestamp: i64,
    partition: i32,
    offset: i64,
    text: Vec<u8>,
}

/// Shows the newest `count` messages of all partitions, the newest last.
///
/// Offsets are no count of messages: control records, compaction and conditions leave gaps. So it
/// looks back from the end of each partition, and further back until it has found enough.
///
/// # Errors
/// As those of reading and writing.
pub(super) fn show(plan: &Plan<'_>, count: usize, output: &mut Output) -> Outcome {
    let mut span = i64::try_from(count).unwrap_or(i64::MAX / FURTHER);
    let mut found: HashMap<i32, VecDeque<Line>> = HashMap::new();
    let mut short: Vec<Range> = plan.ranges.clone();
    while !short.is_empty() && !plan.session.stop.requested() {
        let back = |range: &Range| range.end.saturating_sub(span).max(range.start);
        let now: Vec<Range> = short.iter().map(|r| Range { start: back(r), ..*r }).collect();
        for range in &now {
            found.insert(range.partition, VecDeque::new());
        }
        look(plan, &now, count, output, &mut found)?;
        short.retain(|range| {
            let enough = found.get(&range.partition).is_some_and(|lines| lines.len() >= count);
            !enough && back(range) > range.start
        });
        span = span.saturating_mul(FURTHER);
    }
    let mut lines: Vec<Line> = found.into_values().flatten().collect();
    lines.sort_by_key(|line| (line.timestamp, line.partition, line.offset));
    let newest = lines.len().saturating_sub(count);
    for line in lines.drain(newest..) {
        output.write(line.text).or_host()?;
    }
    Ok(())
}

fn look(
    plan: &Plan<'_>,
    ranges: &[Range],
    count: usize,
    output: &mut Output,
    found: &mut HashMap<i32, VecDeque<Line>>,
) -> Outcome {
    let mut reader = plan.reader(ranges)?;
    while !reader.is_done() && !plan.session.stop.requested() {
        reader
            .read(|message| {
                if !plan.wants(&message, output) {
                    return;
                }
                let mut text = Vec::new();
                output.render(&plan.options.topic, &message, &mut text);
                let lines = found.entry(message.partition()).or_default();
                lines.push_back(Line {
                    timestamp: message.timestamp().unwrap_or_default(),
                    partition: message.partition(),
                    offset: message.offset(),
                    text,
                });
                if lines.len() > count {
                    lines.pop_front();
                }
            })
            .or_refused()?;
    }
    Ok(())
}
