//! Words for unit tests.

use crate::family::Body;
use crate::limits::PushLimits;
use crate::names::{Escaping, Names};
use crate::path::{self, GroupKey};
use crate::scrape::{Format, Scrape};
use crate::store::Store;
use crate::text;

pub(crate) fn limits() -> PushLimits {
    PushLimits {
        body_bytes: 1 << 20,
        series: 1000,
        labels: 10,
        label_name: 50,
        label_value: 100,
        groups: 1000,
        memory: 10 << 20,
        names: Names::Classic,
    }
}

pub(crate) fn store() -> Store {
    Store::new(limits(), std::iter::once(("own", crate::family::Kind::Gauge)).collect())
}

pub(crate) fn key(path: &str) -> GroupKey {
    path::parse(path, Names::Utf8).expect("a group").expect("a good group")
}

pub(crate) fn body(text: &str) -> Body<'_> {
    text::parse(text.as_bytes(), &limits()).expect(text)
}

pub(crate) fn scrape_as(store: &Store, format: Format) -> Vec<u8> {
    Scrape::new((format, Escaping::default()), store.snapshot(), Vec::new()).flatten().collect()
}

pub(crate) fn scrape(store: &Store) -> String {
    String::from_utf8(scrape_as(store, Format::Text)).expect("UTF-8")
}
