//! Groups as bytes, for the file and for peers: one format, checked record by record.
//!
//! ```text
//! "NUMC0001" { length u32 | crc32 u32 | group (protobuf) }* 0 u32 | number of groups u32
//! ```
//! All numbers are little-endian. Without its last record a file is not whole.

use std::time::Duration;

use prost::Message;

use super::compile::{Compiled, compile};
use super::state::Group;
use crate::family::{Body, Family};
use crate::limits::{PushError, PushLimits};
use crate::names::Names;
use crate::path::GroupKey;
use crate::proto;

const MAGIC: &[u8; 8] = b"NUMC0001";

#[derive(Clone, PartialEq, Message)]
struct SavedFamily {
    #[prost(uint64, tag = "1")]
    pushed: u64,
    #[prost(message, optional, tag = "2")]
    family: Option<proto::MetricFamily>,
}

#[derive(Clone, PartialEq, Message)]
struct SavedGroup {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<proto::LabelPair>,
    #[prost(uint64, tag = "2")]
    pushed: u64,
    #[prost(uint64, tag = "3")]
    failed: u64,
    #[prost(uint64, optional, tag = "4")]
    expire_after_millis: Option<u64>,
    #[prost(message, repeated, tag = "5")]
    families: Vec<SavedFamily>,
}

/// A group that was read back, not yet taken in.
pub(crate) struct Restored {
    pub(crate) families: Compiled,
    pub(crate) pushed: u64,
    pub(crate) failed: u64,
    pub(crate) expire_after: Option<Duration>,
}

/// What [`read`] found.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) groups: Vec<(GroupKey, Restored)>,
    /// What is wrong, a sentence each. The groups are good all the same.
    pub(crate) problems: Vec<String>,
}

/// Returns the groups as chunks of bytes.
pub(crate) fn chunks(groups: Vec<Group>) -> impl Iterator<Item = Vec<u8>> + Send + 'static {
    let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
    let end = [0_u32.to_le_bytes(), count.to_le_bytes()].concat();
    let records = groups.into_iter().map(|group| record(&group));
    std::iter::once(MAGIC.to_vec()).chain(records).chain(std::iter::once(end))
}

fn record(group: &Group) -> Vec<u8> {
    let payload = message(group).encode_to_vec();
    let mut out = Vec::with_capacity(payload.len() + 8);
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    out.extend_from_slice(&payload);
    out
}

fn message(group: &Group) -> SavedGroup {
    let label = |(name, value): &(String, String)| proto::LabelPair {
        name: Some(name.clone()),
        value: Some(value.clone()),
    };
    let millis = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let families = group.families.iter().map(|(name, family)| SavedFamily {
        pushed: family.pushed,
        family: Some(family_message(name, family)),
    });
    SavedGroup {
        labels: group.key.labels().iter().map(label).collect(),
        pushed: group.pushed,
        failed: group.failed,
        expire_after_millis: group.expire_after.map(millis),
        families: families.collect(),
    }
}

fn family_message(name: &str, family: &Family) -> proto::MetricFamily {
    let metric = |(labels, value)| proto::metric(family.kind, labels, value);
    proto::MetricFamily {
        name: Some(name.to_owned()),
        help: family.help.as_deref().map(str::to_owned),
        kind: Some(proto::number(family.kind)),
        metric: family.series().map(metric).collect(),
    }
}

/// Reads what [`chunks`] made, as far as it is good.
pub(crate) fn read(bytes: &[u8], limits: &PushLimits) -> Contents {
    // What was taken once stays, whatever names are taken now.
    let limits = &PushLimits { names: Names::Utf8, ..limits.clone() };
    let mut found = Contents::default();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        found.problems.push("it does not begin as a file of this version does".into());
        return found;
    };
    loop {
        let Some((length, sum, after)) = header(rest) else {
            found.problems.push("it ends in the middle".into());
            return found;
        };
        if length == 0 {
            let held = found.groups.len();
            if held != sum as usize && found.problems.is_empty() {
                found.problems.push(format!("it should hold {sum} groups and holds {held}"));
            }
            return found;
        }
        let Some((payload, after)) = after.split_at_checked(length as usize) else {
            found.problems.push("it ends in the middle of a group".into());
            return found;
        };
        rest = after;
        match crc32fast::hash(payload) == sum {
            true => match group(payload, limits) {
                Ok(group) => found.groups.push(group),
                Err(why) => found.problems.push(format!("a group cannot be read: {why}")),
            },
            false => found.problems.push("a group does not match its checksum".into()),
        }
    }
}

fn header(bytes: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    Some((u32::from_le_bytes(*length), u32::from_le_bytes(*sum), rest))
}

fn group(payload: &[u8], limits: &PushLimits) -> Result<(GroupKey, Restored), String> {
    let saved = SavedGroup::decode(payload).map_err(|error| error.to_string())?;
    let pair =
        |pair: proto::LabelPair| (pair.name.unwrap_or_default(), pair.value.unwrap_or_default());
    let key = GroupKey::new(saved.labels.into_iter().map(pair));
    let mut families = Compiled::with_capacity(saved.families.len());
    for one in saved.families {
        let mut body = Body::default();
        let read = proto::add(&mut body, one.family.unwrap_or_default(), limits.names);
        let read = read.and_then(|()| compile(&key, body, one.pushed, limits));
        families.extend(read.map_err(text)?);
    }
    let restored = Restored {
        families,
        pushed: saved.pushed,
        failed: saved.failed,
        expire_after: saved.expire_after_millis.map(Duration::from_millis),
    };
    Ok((key, restored))
}

/// Returns what an error says.
pub(crate) fn text(error: PushError) -> String {
    match error {
        PushError::Malformed(text)
        | PushError::Inconsistent(text)
        | PushError::Refused(_, text) => text,
    }
}
