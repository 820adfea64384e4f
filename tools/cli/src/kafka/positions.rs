//! From where to where partitions are read.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nubium_kafka::reader::Range;
use nubium_kafka::report::Trouble;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::when;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the first message there is.
    Beginning,
    /// Behind the last one.
    End,
    /// At the first message from this moment on, in milliseconds since the epoch.
    Time(i64),
    /// At this offset of every partition.
    Offset(i64),
}

impl From {
    /// Reads `beginning`, `end`, an offset or a time.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text.trim() {
            "beginning" | "earliest" => Self::Beginning,
            "end" | "latest" => Self::End,
            number if number.chars().all(|c| c.is_ascii_digit()) && !number.is_empty() => {
                Self::Offset(number.parse().map_err(|_| format!("{number} is no offset"))?)
            }
            time => Self::Time(when::parse(time, when::now()).map_err(|_| {
                format!(
                    "{time:?} is no place; expected beginning, end, an offset, or {}",
                    when::ACCEPTED
                )
            })?),
        })
    }
}

/// Reads `PARTITION=OFFSET`.
///
/// # Errors
/// It is none.
pub fn parse_offset(text: &str) -> Result<(i32, i64), String> {
    let pair = text.split_once(['=', ':']).and_then(|(partition, offset)| {
        Some((partition.trim().parse().ok()?, offset.trim().parse().ok()?))
    });
    pair.filter(|(partition, offset): &(i32, i64)| *partition >= 0 && *offset >= 0)
        .ok_or_else(|| format!("{text:?} is not PARTITION=OFFSET, such as 0=1500"))
}

/// The first offset there is and the one behind the last, as the consumer's isolation sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that is kept.
    pub first: i64,
    /// Behind the last: with `read_committed`, before the first open transaction.
    pub end: i64,
}

/// Asks for the bounds of partitions.
///
/// # Errors
/// No answer in time.
pub fn bounds(
    consumer: &BaseConsumer<Trouble>,
    topic: &str,
    partitions: &[i32],
    limit: Duration,
) -> anyhow::Result<BTreeMap<i32, Bounds>> {
    let ask = |partition: &i32| {
        let found = consumer.fetch_watermarks(topic, *partition, limit);
        let (first, end) = found.with_context(|| format!("offsets of {topic}[{partition}]"))?;
        Ok((*partition, Bounds { first, end }))
    };
    partitions.iter().map(ask).collect()
}

/// Asks for the offsets of the first messages from a moment on; behind the last where there is
/// none.
///
/// # Errors
/// No answer in time.
pub fn at_time(
    consumer: &BaseConsumer<Trouble>,
    topic: &str,
    bounds: &BTreeMap<i32, Bounds>,
    millis: i64,
    limit: Duration,
) -> anyhow::Result<BTreeMap<i32, i64>> {
    let mut list = TopicPartitionList::new();
    for partition in bounds.keys() {
        list.add_partition_offset(topic, *partition, Offset::Offset(millis))?;
    }
    let found = consumer.offsets_for_times(list, limit);
    let found = found.with_context(|| format!("offsets of {topic} at {}", when::show(millis)))?;
    let mut offsets = BTreeMap::new();
    for element in found.elements() {
        element.error().with_context(|| format!("{topic}[{}]", element.partition()))?;
        let end = bounds.get(&element.partition()).map_or(0, |bounds| bounds.end);
        let offset = match element.offset() {
            Offset::Offset(offset) => offset,
            _ => end,
        };
        offsets.insert(element.partition(), offset);
    }
    Ok(offsets)
}

/// Finds the range of every partition. Offsets of single partitions win over `from`, and what lies
/// outside of what is kept is moved to its edge.
///
/// # Errors
/// No answer in time, or an offset is given for a partition that is not there.
pub fn ranges(
    consumer: &BaseConsumer<Trouble>,
    topic: &str,
    bounds: &BTreeMap<i32, Bounds>,
    from: From,
    offsets: &[(i32, i64)],
    limit: Duration,
) -> anyhow::Result<Vec<Range>> {
    if let Some((partition, _)) = offsets.iter().find(|(p, _)| !bounds.contains_key(p)) {
        bail!("an offset is given for {topic}[{partition}], which is not there or not to be read");
    }
    let times = match from {
        From::Time(millis) => at_time(consumer, topic, bounds, millis, limit)?,
        _ => BTreeMap::new(),
    };
    Ok(resolve(bounds, from, &times, offsets))
}

fn resolve(
    bounds: &BTreeMap<i32, Bounds>,
    from: From,
    times: &BTreeMap<i32, i64>,
    offsets: &[(i32, i64)],
) -> Vec<Range> {
    let range = |(partition, bounds): (&i32, &Bounds)| {
        let own = offsets.iter().find(|(p, _)| p == partition).map(|(_, offset)| *offset);
        let start = own.unwrap_or_else(|| match from {
            From::Beginning => bounds.first,
            From::End => bounds.end,
            From::Offset(offset) => offset,
            From::Time(_) => times.get(partition).copied().unwrap_or(bounds.end),
        });
        let start = start.clamp(bounds.first, bounds.end.max(bounds.first));
        Range { partition: *partition, start, end: bounds.end }
    };
    bounds.iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read() {
        assert_eq!(From::parse("beginning"), Ok(From::Beginning));
        assert_eq!(From::parse(" end "), Ok(From::End));
        assert_eq!(From::parse("1500"), Ok(From::Offset(1500)));
        assert_eq!(From::parse("2026-11-24T12:00:00Z"), Ok(From::Time(1_795_521_600_000)));
        assert!(matches!(From::parse("-2h"), Ok(From::Time(_))));
        for text in ["", "begin", "-5", "99999999999999999999"] {
            assert!(From::parse(text).is_err(), "{text}");
        }
        assert_eq!(parse_offset("0=15"), Ok((0, 15)));
        assert_eq!(parse_offset("3:7"), Ok((3, 7)));
        for text in ["", "5", "a=1", "1=-2", "-1=2", "1="] {
            assert!(parse_offset(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_stay_within_what_is_kept() {
        let bounds = BTreeMap::from([
            (0, Bounds { first: 10, end: 20 }),
            (1, Bounds { first: 0, end: 0 }),
            (2, Bounds { first: 5, end: 9 }),
        ]);
        let times = BTreeMap::from([(0, 12), (1, 0), (2, 9)]);
        let starts = |from: From, offsets: &[(i32, i64)]| -> Vec<i64> {
            resolve(&bounds, from, &times, offsets).iter().map(|range| range.start).collect()
        };
        assert_eq!(starts(From::Beginning, &[]), [10, 0, 5]);
        assert_eq!(starts(From::End, &[]), [20, 0, 9]);
        assert_eq!(starts(From::Offset(7), &[]), [10, 0, 7]);
        assert_eq!(starts(From::Time(0), &[]), [12, 0, 9]);
        assert_eq!(starts(From::End, &[(0, 11), (2, 99)]), [11, 0, 9]);
        let ends: Vec<i64> =
            resolve(&bounds, From::End, &times, &[]).iter().map(|range| range.end).collect();
        assert_eq!(ends, [20, 0, 9]);
    }
}
