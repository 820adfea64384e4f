//! From items to records, all of a request before the first is produced: a request with one bad
//! item produces nothing.

use std::ops::Range;

use nubium_mapping::mapping::{Envelope, Key, Mapper, MappingError, Verdict};
use rdkafka::message::{Header, OwnedHeaders};
use serde_json::Value as Json;

use crate::deliver::Outgoing;
use crate::fit::{self, MOST_PROBLEMS, Problem};
use crate::guid::Guids;
use crate::route::{How, Mapped, Output, Route};

/// One item's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its guid.
    pub guid: String,
    /// Its records, by index; none when the program dropped it.
    pub records: Range<usize>,
}

/// What a request becomes.
pub struct Prepared<'a> {
    route: &'a Route,
    guids: &'a Guids,
    /// Headers of every record, apart from the guid.
    headers: &'a [(String, Vec<u8>)],
    largest: usize,
    /// Milliseconds since 1970.
    now: i64,
    from_text: bool,
    bytes: Vec<u8>,
    datum: Vec<u8>,
    records: Vec<Record>,
    /// Its items.
    pub items: Vec<Item>,
    /// What is wrong with the body.
    pub problems: Vec<Problem>,
    /// What is wrong with the program, whatever the body.
    pub fault: Option<String>,
    /// The size of a record that is too large.
    pub too_large: Option<usize>,
}

struct Record {
    output: usize,
    key: Option<Range<usize>>,
    value: Range<usize>,
    headers: OwnedHeaders,
}

impl<'a> Prepared<'a> {
    /// Begins a request; `largest` bounds a record's bytes.
    pub fn new(
        route: &'a Route,
        guids: &'a Guids,
        headers: &'a [(String, Vec<u8>)],
        (largest, now, from_text): (usize, i64, bool),
    ) -> Self {
        Self {
            route,
            guids,
            headers,
            largest,
            now,
            from_text,
            bytes: Vec::new(),
            datum: Vec::new(),
            records: Vec::new(),
            items: Vec::new(),
            problems: Vec::new(),
            fault: None,
            too_large: None,
        }
    }

    /// Takes the next item.
    pub fn add(&mut self, index: usize, is_list: bool, item: Json) {
        if self.problems.len() >= MOST_PROBLEMS {
            return;
        }
        let base = if is_list { format!("/{index}") } else { String::new() };
        let guid = self.guids.guid(index, is_list);
        let first = self.records.len();
        let key = self.key(&item, &base);
        match &self.route.how {
            How::Direct => self.direct(&item, &base, key.as_deref(), &guid),
            How::Mapped(mapped) => {
                mapped.with_mapper(|mapper| {
                    self.mapped(mapped, mapper, item, &base, key.as_deref(), &guid);
                });
            }
        }
        self.items.push(Item { guid, records: first..self.records.len() });
    }

    /// Reads the key by its pointer.
    fn key(&mut self, item: &Json, base: &str) -> Option<String> {
        let pointer = self.route.settings.key.as_deref()?;
        match item.pointer(pointer) {
            Some(Json::String(text)) => Some(text.clone()),
            Some(number @ (Json::Number(_) | Json::Bool(_))) => Some(number.to_string()),
            found => {
                let seen = if found.is_some() { "is no text and no number" } else { "is missing" };
                let reason = format!("the record's key is wanted here, but it {seen}");
                self.problems.push(Problem { pointer: format!("{base}{pointer}"), reason });
                None
            }
        }
    }

    fn direct(&mut self, item: &Json, base: &str, key: Option<&str>, guid: &str) {
        let output = &self.route.outputs[0];
        let rules = self.route.rules(self.from_text);
        let key = key.map(|key| self.put_key(output, key));
        let mut datum = std::mem::take(&mut self.datum);
        datum.clear();
        let problems = (base, &mut self.problems);
        if fit::fit(output.layout.schema(), rules, item, problems, &mut datum)
            && let Some(value) = self.put_value(output, &datum, base)
        {
            self.push(0, key, value, self.base_headers(guid));
        }
        self.datum = datum;
    }

    fn mapped(
        &mut self,
        mapped: &Mapped,
        mapper: &mut Mapper,
        item: Json,
        base: &str,
        key: Option<&str>,
        guid: &str,
    ) {
        let mut message = Request {
            path: &self.route.settings.path,
            now: self.now,
            key,
            headers: self.headers,
            guid,
            datum: Vec::new(),
        };
        let verdict = match &mapped.body {
            None => mapper.map_json(0, item, &message),
            Some((schema, plan)) => {
                let rules = self.route.rules(self.from_text);
                let problems = (base, &mut self.problems);
                if !fit::fit(schema, rules, &item, problems, &mut message.datum) {
                    return;
                }
                mapper.map(plan, &message)
            }
        };
        match verdict {
            Ok(Verdict::Produce) => self.take(mapper, base, key, guid),
            Ok(Verdict::Drop(_)) => {}
            // Whatever the body, these are the program's: the client can do nothing.
            Err(error @ (MappingError::UnknownTopic(_) | MappingError::Unrouted)) => {
                self.fault.get_or_insert(error.to_string());
            }
            Err(error) => self.misfit(base, error.to_string()),
        }
    }

    /// Takes over the records that a program made of one item.
    fn take(&mut self, mapper: &Mapper, base: &str, key: Option<&str>, guid: &str) {
        for made in mapper.made() {
            let output = &self.route.outputs[made.output];
            let key = match &made.key {
                Key::Keep => key.map(|key| self.put_key(output, key)),
                Key::Text(text) => Some(self.put_key(output, text)),
                Key::None => None,
            };
            let Some(value) = self.put_value(output, mapper.value(made), base) else { return };
            let headers = self.changed_headers(guid, mapper.headers());
            self.push(made.output, key, value, headers);
        }
    }

    fn put_key(&mut self, output: &Output, key: &str) -> Range<usize> {
        let start = self.bytes.len();
        output.layout.put_key(key, &mut self.bytes);
        start..self.bytes.len()
    }

    /// Appends a value in the format of its topic.
    fn put_value(&mut self, output: &Output, datum: &[u8], base: &str) -> Option<Range<usize>> {
        let start = self.bytes.len();
        match output.layout.put_datum(datum, &mut self.bytes) {
            Ok(()) => Some(start..self.bytes.len()),
            Err(error) => {
                self.misfit(base, error.reason);
                None
            }
        }
    }

    fn push(
        &mut self,
        output: usize,
        key: Option<Range<usize>>,
        value: Range<usize>,
        headers: OwnedHeaders,
    ) {
        let size = value.len() + key.as_ref().map_or(0, Range::len) + self.headers_size();
        if size > self.largest {
            self.too_large = self.too_large.max(Some(size));
        }
        self.records.push(Record { output, key, value, headers });
    }

    /// What librdkafka counts for headers, roughly.
    fn headers_size(&self) -> usize {
        self.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum::<usize>() + 250
    }

    fn misfit(&mut self, base: &str, reason: String) {
        self.problems.push(Problem { pointer: base.to_owned(), reason });
    }

    fn base_headers(&self, guid: &str) -> OwnedHeaders {
        let headers = OwnedHeaders::new_with_capacity(self.headers.len() + 1);
        let headers = headers.insert(Header { key: "guid", value: Some(guid) });
        self.headers.iter().fold(headers, |headers, (name, value)| {
            headers.insert(Header { key: name, value: Some(value) })
        })
    }

    /// The same with what a program changed; guid and last_updated_by stay whatever it says.
    fn changed_headers(&self, guid: &str, changes: &[(String, Option<Vec<u8>>)]) -> OwnedHeaders {
        if changes.is_empty() {
            return self.base_headers(guid);
        }
        let fixed = |name: &str| name == "guid" || name == "last_updated_by";
        let changes = || changes.iter().filter(|(name, _)| !fixed(name));
        let kept = |name: &str| !changes().any(|(changed, _)| changed == name);
        let headers = OwnedHeaders::new().insert(Header { key: "guid", value: Some(guid) });
        let given = self.headers.iter().filter(|(name, _)| kept(name));
        let headers = given.fold(headers, |headers, (name, value)| {
            headers.insert(Header { key: name, value: Some(value) })
        });
        changes().fold(headers, |headers, (name, value)| match value {
            Some(value) => headers.insert(Header { key: name, value: Some(value) }),
            None => headers,
        })
    }

    /// Counts the records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Gives the output of a record.
    #[must_use]
    pub fn output(&self, record: usize) -> usize {
        self.records[record].output
    }

    /// Hands the records over, in order.
    pub fn outgoing(&mut self) -> impl ExactSizeIterator<Item = Outgoing<'_>> {
        let (bytes, outputs) = (&self.bytes, &self.route.outputs);
        self.records.iter_mut().map(|record| Outgoing {
            topic: &outputs[record.output].topic,
            key: record.key.clone().map(|range| &bytes[range]),
            value: &bytes[record.value.clone()],
            headers: std::mem::replace(&mut record.headers, OwnedHeaders::new()),
        })
    }
}

/// An item, as a program sees it.
struct Request<'a> {
    path: &'a str,
    now: i64,
    key: Option<&'a str>,
    headers: &'a [(String, Vec<u8>)],
    guid: &'a str,
    datum: Vec<u8>,
}

impl Envelope for Request<'_> {
    fn topic(&self) -> &str {
        self.path
    }

    fn partition(&self) -> i32 {
        0
    }

    fn offset(&self) -> i64 {
        0
    }

    fn timestamp_ms(&self) -> Option<i64> {
        Some(self.now)
    }

    fn key(&self) -> Result<Option<&str>, String> {
        Ok(self.key)
    }

    fn headers(&self, each: &mut dyn FnMut(&str, Option<&[u8]>)) {
        each("guid", Some(self.guid.as_bytes()));
        self.headers.iter().for_each(|(name, value)| each(name, Some(value)));
    }

    fn datum(&self) -> &[u8] {
        &self.datum
    }
}
