//! A scrape: everything held and the cache's own metrics, in one of three formats, in chunks.
//!
//! The order is that of the names; within one name the cache's own series come first, then the
//! groups, sorted by their labels. Nothing is gathered in memory: a chunk is made when the client
//! has taken the one before.

use std::collections::HashSet;
use std::sync::Arc;

use prost::Message;

use crate::family::{Family, Kind, Value};
use crate::labels;
use crate::names::Escaping;
use crate::proto;
use crate::store::{FAILURE_TIME, PUSH_TIME, Snapshot, seconds};
use crate::text::expose::{self, Dialect};

/// A chunk is passed on when it has this many bytes.
const CHUNK: usize = 64 * 1024;

/// The format of a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    OpenMetrics,
    Protobuf,
}

/// What a client likes best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) format: Format,
    /// How it wants names that are not classic, if it says so.
    pub(crate) escaping: Option<Escaping>,
    /// Whether it asks for version 1.0.0 of the text format, which has UTF-8 names.
    newer: bool,
}

impl Wanted {
    /// Picks what a client likes best, by the header `Accept`.
    pub(crate) fn negotiate(accept: &str) -> Self {
        let plain = Self { format: Format::Text, escaping: None, newer: false };
        let mut best = (plain, 0.0);
        for clause in accept.split(',') {
            let mut parts = clause.split(';').map(str::trim);
            let Some(media) = parts.next() else { continue };
            let (mut weight, mut delimited, mut version, mut escaping) = (1.0, true, None, None);
            for parameter in parts {
                let Some((name, value)) = parameter.split_once('=') else { continue };
                match name.trim() {
                    "q" => weight = value.trim().parse().unwrap_or(0.0),
                    "encoding" => delimited = value == "delimited",
                    "version" => version = Some(value),
                    "escaping" => escaping = Escaping::of(value.trim()),
                    _ => {}
                }
            }
            let format = match media {
                "application/openmetrics-text" if version.is_none_or(|v| v < "2") => {
                    Format::OpenMetrics
                }
                "application/vnd.google.protobuf" if delimited => Format::Protobuf,
                "text/plain" | "text/*" | "*/*" => Format::Text,
                _ => continue,
            };
            if weight > best.1 {
                let newer = version == Some("1.0.0");
                best = (Self { format, escaping, newer }, weight);
            }
        }
        best.0
    }

    /// Returns the content type.
    pub(crate) fn content_type(self) -> String {
        let kind = match self.format {
            Format::Text if self.newer => "text/plain; version=1.0.0; charset=utf-8",
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Protobuf => proto::CONTENT_TYPE,
        };
        match self.escaping {
            Some(escaping) => format!("{kind}; escaping={}", escaping.name()),
            None => kind.to_owned(),
        }
    }
}

/// One of the cache's own families.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) family: Family,
}

/// All families of one name.
struct Entry {
    name: Arc<str>,
    kind: Kind,
    help: Option<String>,
    members: Vec<Arc<Family>>,
}

/// Makes the chunks of one scrape.
pub(crate) struct Scrape {
    format: Format,
    escaping: Escaping,
    /// All names, for OpenMetrics.
    names: HashSet<Arc<str>, ahash::RandomState>,
    entries: std::vec::IntoIter<Entry>,
    /// The entry at hand, and how many of its members are written.
    current: Option<(Entry, usize)>,
    ended: bool,
}

impl Scrape {
    /// Begins a scrape of what a snapshot holds.
    pub(crate) fn new(
        (format, escaping): (Format, Escaping),
        snapshot: Snapshot,
        own: Vec<Own>,
    ) -> Self {
        let mut entries: Vec<Entry> = snapshot
            .names
            .into_iter()
            .map(|(name, kind, members)| {
                let help = members.iter().find_map(|family| family.help.as_deref());
                Entry { name, kind, help: help.map(str::to_owned), members }
            })
            .collect();
        entries.extend(times(&snapshot.times));
        for Own { name, help, family } in own {
            let help = Some(help.to_owned());
            let (kind, family) = (family.kind, Arc::new(family));
            match entries.iter_mut().find(|entry| *entry.name == *name) {
                // A client that pushes the metrics of its own process under the same name.
                Some(entry) => {
                    entry.help = help;
                    entry.members.insert(0, family);
                }
                None => {
                    entries.push(Entry { name: name.into(), kind, help, members: vec![family] });
                }
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut names = HashSet::default();
        if format == Format::OpenMetrics {
            names = entries.iter().map(|entry| entry.name.clone()).collect();
            entries.retain(|entry| !is_reserved(entry, &names));
        }
        Self { format, escaping, names, entries: entries.into_iter(), current: None, ended: false }
    }

    fn write(&self, out: &mut Vec<u8>, entry: &Entry, at: usize) -> usize {
        let dialect = match self.format {
            Format::Protobuf => {
                message(entry, self.escaping).encode_length_delimited(out).expect("a Vec grows");
                return entry.members.len();
            }
            Format::Text => Dialect::Classic,
            Format::OpenMetrics => Dialect::OpenMetrics,
        };
        let (kind, help) = (entry.kind, entry.help.as_deref());
        let name = &*self.escaping.metric(&entry.name);
        match dialect {
            _ if at > 0 => {}
            Dialect::Classic => expose::header(out, name, kind, help),
            Dialect::OpenMetrics => {
                expose::open_header(out, name, kind, help, |other| self.names.contains(other));
            }
        }
        let mut done = at;
        for member in &entry.members[at..] {
            expose::samples(out, dialect, name, member, self.escaping);
            done += 1;
            if out.len() >= CHUNK {
                break;
            }
        }
        done
    }
}

impl Iterator for Scrape {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(CHUNK + CHUNK / 4);
        while out.len() < CHUNK {
            let next = self.current.take().or_else(|| self.entries.next().map(|entry| (entry, 0)));
            let Some((entry, at)) = next else {
                let last = !std::mem::replace(&mut self.ended, true);
                if last && self.format == Format::OpenMetrics {
                    out.extend_from_slice(b"# EOF\n");
                }
                break;
            };
            let done = self.write(&mut out, &entry, at);
            if done < entry.members.len() {
                self.current = Some((entry, done));
            }
        }
        (!out.is_empty()).then_some(out)
    }
}

/// Tells whether OpenMetrics keeps this name for another family: clients that push text send
/// `x_created` as a gauge of its own beside the histogram `x`, which is not allowed there.
fn is_reserved(entry: &Entry, names: &HashSet<Arc<str>, ahash::RandomState>) -> bool {
    entry.name.strip_suffix("_created").is_some_and(|base| {
        names.contains(base) || names.contains(format!("{base}_total").as_str())
    })
}

/// Makes the two families that show when each group was pushed.
fn times(times: &[(Arc<crate::path::GroupKey>, u64, u64)]) -> Vec<Entry> {
    if times.is_empty() {
        return Vec::new();
    }
    let family = |name: &str, help: &str, time: &dyn Fn(&(_, u64, u64)) -> u64| {
        let (mut joined, mut series) = (String::new(), Vec::with_capacity(times.len()));
        for entry in times {
            let start = joined.len();
            joined.push_str(entry.0.series());
            series.push((start..joined.len(), Value::Number(seconds(time(entry)))));
        }
        let family = Family::new(Kind::Gauge, None, 0, &joined, series);
        let (help, members) = (Some(help.to_owned()), vec![Arc::new(family)]);
        Entry { name: name.into(), kind: Kind::Gauge, help, members }
    };
    vec![
        family(FAILURE_TIME, FAILURE_HELP, &|entry| entry.2),
        family(PUSH_TIME, PUSH_HELP, &|entry| entry.1),
    ]
}

/// The HELP lines are part of what a Pushgateway answers, so they are the same.
pub(crate) const PUSH_HELP: &str =
    "Last Unix time when changing this group in the Pushgateway succeeded.";
pub(crate) const FAILURE_HELP: &str =
    "Last Unix time when changing this group in the Pushgateway failed.";

fn message(entry: &Entry, escaping: Escaping) -> proto::MetricFamily {
    let metric = |(labels, value): (&str, &Value)| {
        proto::metric(entry.kind, &labels::escaped(labels, escaping), value)
    };
    proto::MetricFamily {
        name: Some(escaping.metric(&entry.name).into_owned()),
        help: entry.help.clone(),
        kind: Some(proto::number(entry.kind)),
        metric: entry.members.iter().flat_map(|family| family.series().map(metric)).collect(),
    }
}
