//! Keepers and appliers, a turn at a time.

use super::open;
use crate::*;
use nubium_config::DeleteMarker;
use nubium_metrics::Metrics;
use nubium_registry::SchemaId;
use nubium_topic::{Offsets, Topic, TopicPartition};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use tempfile::TempDir;

const FRAMING: Framing =
    Framing { key: SchemaId(7), value: SchemaId(8), marker: DeleteMarker::Tombstone };

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("app__changelog", partition)
}

/// A key and a value. `None` is a place that no record has: a control record, an aborted one, or
/// one that compaction took.
type Slot = Option<(Vec<u8>, Option<Vec<u8>>)>;

/// A changelog in memory.
#[derive(Default)]
struct Logs {
    logs: BTreeMap<TopicPartition, Vec<Slot>>,
    first: i64,
    /// Read as far as this: the last stable offset.
    stable: Option<i64>,
    reading: Vec<(TopicPartition, i64)>,
    members: Vec<Member>,
    assigns: usize,
}

impl Logs {
    fn write(&mut self, partition: i32, key: &str, text: Option<&str>) {
        let (mut bytes, mut value) = (Vec::new(), Vec::new());
        FRAMING.put_key(key, &mut bytes);
        let value = FRAMING.put_value(text, &mut value).then_some(value);
        self.logs.entry(at(partition)).or_default().push(Some((bytes, value)));
    }

    fn gap(&mut self, partition: i32) {
        self.logs.entry(at(partition)).or_default().push(None);
    }

    fn end(&self, at: TopicPartition) -> i64 {
        self.logs.get(&at).map_or(0, |log| log.len() as i64)
    }
}

struct Shelf(Rc<RefCell<Logs>>);

impl ChangelogSource for Shelf {
    fn bounds(&mut self, of: &[TopicPartition], _: Duration) -> Result<Vec<Bounds>, SourceTrouble> {
        let logs = self.0.borrow();
        let bounds =
            |at: &TopicPartition| Bounds { at: *at, first: logs.first, end: logs.end(*at) };
        Ok(of.iter().map(bounds).collect())
    }

    fn assign(&mut self, from: &Offsets) -> Result<(), SourceTrouble> {
        let mut logs = self.0.borrow_mut();
        logs.reading = from.iter().collect();
        logs.assigns += 1;
        Ok(())
    }

    fn read(&mut self, _: Duration, each: &mut dyn FnMut(Found<'_>)) -> usize {
        let mut logs = self.0.borrow_mut();
        let logs = &mut *logs;
        for (at, next) in &mut logs.reading {
            if *next < logs.first {
                each(Found::OutOfRange { at: *at });
                continue;
            }
            let log = logs.logs.get(at).map_or(&[][..], Vec::as_slice);
            let until = logs.stable.unwrap_or(i64::MAX).min(log.len() as i64);
            for offset in *next..until {
                if let Some((key, value)) = &log[offset as usize] {
                    let (key, value) = (Some(key.as_slice()), value.as_deref());
                    each(Found::Record { at: *at, offset, timestamp: offset, key, value });
                }
            }
            *next = until.max(*next);
            each(Found::End { at: *at, position: *next });
        }
        logs.reading.len()
    }

    fn members(&mut self, _: Duration) -> Result<Vec<Member>, SourceTrouble> {
        Ok(self.0.borrow().members.clone())
    }
}

/// A process: what it shares, and its keeper.
struct Process {
    shared: Arc<Shared>,
    handle: KeeperHandle,
}

fn start(
    root: &Path,
    logs: &Rc<RefCell<Logs>>,
    change: impl FnOnce(&mut KeeperSettings),
) -> Process {
    let shared = Arc::new(Shared::default());
    let terms = Terms {
        app: "app".into(),
        instance: "one".into(),
        changelog: "app__changelog".into(),
        partitions: 2,
        root: root.into(),
        ttl: None,
    };
    shared.set_terms(terms, &Metrics::new("app", "one"));
    let mut settings = KeeperSettings {
        key_id: 7,
        changelog: Some(Topic::named("app__changelog")),
        topic_ids: Vec::new(),
        delete_retention: None,
        lookups: Vec::new(),
        standby_replicas: 0,
        own_ids: vec!["one".into()],
    };
    change(&mut settings);
    let source = Shelf(Rc::clone(logs));
    let parts = Keeper::new(source, Arc::clone(&shared), settings, Arc::new(|| {}));
    Process { shared, handle: KeeperHandle::inline(parts, || true) }
}

impl Process {
    /// Turns the keeper until it has news; fails when there are none in many turns.
    fn news(&mut self) -> News {
        let mut looks = (0..1_000).map(|_| self.handle.news().unwrap());
        looks.find_map(|news| news).expect("the keeper tells nothing")
    }

    fn quiet(&mut self) {
        (0..20).for_each(|_| assert!(self.handle.news().unwrap().is_none()));
    }

    fn own(&mut self, partition: i32) -> Arc<Store> {
        self.handle.order(Order::Own(at(partition), 1));
        let news = self.news();
        assert!(matches!(news, News::Ready(ready, 1) if ready == at(partition)), "{news:?}");
        self.shared.ready(at(partition)).unwrap()
    }

    fn rows(&self, partition: i32) -> BTreeMap<String, String> {
        let mut rows = BTreeMap::new();
        let stores = self.shared.stores("app__changelog");
        for (_, _, store) in stores.iter().filter(|(number, ..)| *number == partition) {
            store.walk("", None, |row| rows.insert(row.key, row.text).is_none()).unwrap();
        }
        rows
    }
}

fn logs() -> Rc<RefCell<Logs>> {
    let mut logs = Logs::default();
    for n in 0..100 {
        logs.write(0, &format!("key-{}", n % 10), Some(&n.to_string()));
        logs.gap(0);
    }
    logs.write(0, "key-3", None);
    logs.write(0, "key-4", Some("-DELETED-"));
    logs.gap(0);
    Rc::new(RefCell::new(logs))
}

fn expected() -> BTreeMap<String, String> {
    let kept = (0..10).filter(|n| ![3, 4].contains(n));
    kept.map(|n| (format!("key-{n}"), format!("{}", 90 + n))).collect()
}

#[test]
fn a_table_is_restored_to_the_last_value_of_every_key_behind_all_gaps() {
    let (dir, logs) = (TempDir::new().unwrap(), logs());
    let mut process = start(dir.path(), &logs, |_| {});
    let store = process.own(0);
    assert_eq!(process.rows(0), expected());
    assert_eq!(store.position(), logs.borrow().end(at(0)), "control records count");
}

#[test]
fn what_a_store_has_is_not_read_again_and_what_it_lacks_is() {
    let (dir, logs) = (TempDir::new().unwrap(), logs());
    let mut process = start(dir.path(), &logs, |_| {});
    drop(process.own(0));
    process.handle.order(Order::Release(at(0)));
    process.quiet();
    let assigns = logs.borrow().assigns;
    drop(process.own(0));
    assert_eq!(logs.borrow().assigns, assigns, "an up to date store needs no reading");
    process.handle.order(Order::Release(at(0)));
    process.quiet();
    logs.borrow_mut().write(0, "key-5", None);
    logs.borrow_mut().write(0, "new", Some("1"));
    process.own(0);
    let mut rows = expected();
    rows.remove("key-5");
    rows.insert("new".into(), "1".into());
    assert_eq!(process.rows(0), rows);
}

#[test]
fn a_partition_is_not_ready_while_an_open_transaction_lies_before_its_end() {
    let (dir, logs) = (TempDir::new().unwrap(), logs());
    let end = logs.borrow().end(at(0));
    logs.borrow_mut().stable = Some(end);
    logs.borrow_mut().write(0, "late", Some("1"));
    let mut process = start(dir.path(), &logs, |_| {});
    process.handle.order(Order::Own(at(0), 1));
    process.quiet();
    assert!(process.shared.recovering()[0].contains("is recovering"), "{:?}", process.shared);
    logs.borrow_mut().stable = None;
    assert!(matches!(process.news(), News::Ready(..)));
    assert_eq!(process.rows(0)["late"], "1");
}

#[test]
fn a_store_that_is_ahead_of_its_changelog_or_behind_its_beginning_is_rebuilt() {
    let (dir, logs) = (TempDir::new().unwrap(), logs());
    let mut process = start(dir.path(), &logs, |_| {});
    drop(process.own(0));
    process.handle.order(Order::Release(at(0)));
    process.quiet();
    *logs.borrow_mut() = Logs::default();
    logs.borrow_mut().write(0, "only", Some("1"));
    drop(process.own(0));
    assert_eq!(process.rows(0), BTreeMap::from([("only".into(), "1".into())]));
    process.handle.order(Order::Release(at(0)));
    process.quiet();
    (0..5).for_each(|n| logs.borrow_mut().write(0, "later", Some(&n.to_string())));
    logs.borrow_mut().first = 4;
    process.own(0);
    assert_eq!(process.rows(0), BTreeMap::from([("later".into(), "4".into())]));
}

#[test]
fn a_record_of_something_else_in_the_changelog_is_named_and_ends_the_app() {
    let (dir, logs) = (TempDir::new().unwrap(), logs());
    logs.borrow_mut().logs.get_mut(&at(0)).unwrap().push(Some((b"raw".to_vec(), None)));
    let mut process = start(dir.path(), &logs, |_| {});
    process.handle.order(Order::Own(at(0), 1));
    let News::Failed(_, text) = process.news() else { panic!("it is ready") };
    assert!(text.contains("offset 203") && text.contains("key"), "{text}");
}

#[test]
fn a_standby_follows_and_takes_over_from_where_it_is() {
    let (dir, logs) = (TempDir::new().unwrap(), logs());
    let members = [("one", vec![1]), ("two", vec![0])];
    let member = |(id, partitions): &(&str, Vec<i32>)| Member {
        client_id: (*id).into(),
        partitions: partitions.clone(),
    };
    logs.borrow_mut().members = members.iter().map(member).collect();
    let mut process = start(dir.path(), &logs, |settings| settings.standby_replicas = 1);
    process.quiet();
    assert_eq!(process.rows(0), expected());
    assert!(process.shared.ready(at(0)).is_none(), "it is not ours");
    let states = process.shared.states("app__changelog");
    assert_eq!((states[0].role, states[0].phase), (Role::Standby, Phase::Ready));
    logs.borrow_mut().write(0, "key-0", Some("late"));
    process.own(0);
    assert_eq!(process.rows(0)["key-0"], "late");
    assert_eq!(process.shared.states("app__changelog")[0].role, Role::Active);
}

#[test]
fn tables_of_others_are_followed() {
    let (dir, logs) = (TempDir::new().unwrap(), logs());
    let topic = Topic::named("app__changelog");
    let mut process = start(dir.path(), &logs, |settings| {
        (settings.changelog, settings.lookups) = (None, vec![(topic, 1)]);
    });
    assert!(!process.shared.lookups_ready());
    process.quiet();
    assert!(process.shared.lookups_ready());
    assert_eq!(process.rows(0), expected());
    logs.borrow_mut().write(0, "key-0", Some("late"));
    let look = |process: &mut Process| {
        process.handle.news().unwrap();
        process.rows(0)["key-0"] == "late"
    };
    let patience = std::time::Instant::now();
    while !look(&mut process) {
        assert!(patience.elapsed() < Duration::from_secs(60), "the copy does not follow");
    }
}

#[test]
fn a_store_that_another_holds_is_waited_for() {
    let (dir, logs) = (TempDir::new().unwrap(), logs());
    let other = open(dir.path());
    let mut process = start(dir.path(), &logs, |_| {});
    process.handle.order(Order::Own(at(0), 1));
    process.quiet();
    assert_eq!(process.shared.states("app__changelog")[0].phase, Phase::Waiting);
    assert!(process.shared.recovering()[0].contains("another instance"));
    drop(other);
    let patience = std::time::Instant::now();
    while process.handle.news().unwrap().is_none() {
        assert!(patience.elapsed() < Duration::from_secs(60), "it is not taken over");
    }
    assert_eq!(process.rows(0), expected());
}

fn writes(list: &[(&str, Option<&str>)]) -> Arc<Writes> {
    let mut overlay = Overlay::default();
    for (key, text) in list {
        let text = text.map(Into::into);
        let guid = Box::default();
        let write = Write { text, timestamp: 1, old_key_id: None, source: None, guid };
        overlay.put_complete(EntryKey { partition: 0, text: (*key).into() }, write);
    }
    overlay.take()
}

#[test]
fn committed_writes_reach_the_store_and_the_position_only_what_was_committed_before() {
    let (dir, logs) = (TempDir::new().unwrap(), logs());
    let mut process = start(dir.path(), &logs, |_| {});
    let store = process.own(0);
    let ends = Box::new(|of: &[TopicPartition]| {
        Some(of.iter().map(|at| Bounds { at: *at, first: 0, end: 1_000 }).collect())
    });
    let mut applier =
        Applier::new(Arc::clone(&process.shared), Topic::named("app__changelog"), 7, ends);
    let before = store.position();
    applier.before(true);
    applier.after(&writes(&[("key-0", Some("x")), ("key-1", None)])).unwrap();
    assert_eq!(store.position(), before, "nothing was written when the end would be asked for");
    assert_eq!(store.get("key-0").unwrap().unwrap().text, "x");
    assert_eq!(store.get("key-1").unwrap(), None);
    applier.before(true);
    assert_eq!(store.position(), before, "the end counts once the next transaction has committed");
    applier.after(&writes(&[])).unwrap();
    assert_eq!(store.position(), 1_000);
}

#[test]
fn what_is_told_of_a_partition_moves_with_every_committed_batch() {
    let (dir, logs) = (TempDir::new().unwrap(), Rc::default());
    let mut process = start(dir.path(), &logs, |_| {});
    process.own(0);
    let told = |process: &Process| {
        let state = process.shared.states("app__changelog")[0];
        (state.position, state.end)
    };
    assert_eq!(told(&process), (0, 0));
    let ends = Box::new(|of: &[TopicPartition]| {
        Some(of.iter().map(|at| Bounds { at: *at, first: 0, end: 1_000 }).collect())
    });
    let mut applier =
        Applier::new(Arc::clone(&process.shared), Topic::named("app__changelog"), 7, ends);
    let batch = writes(&[("key-0", Some("x")), ("key-1", None)]);
    applier.after(&batch).unwrap();
    assert_eq!(told(&process), (3, 3), "two records and the transaction's end");
    applier.after(&batch).unwrap();
    assert_eq!(told(&process), (6, 6));
    applier.before(true);
    applier.after(&batch).unwrap();
    assert_eq!(
        told(&process),
        (1_003, 1_003),
        "the end that was asked for, and the batch behind it"
    );
    applier.after(&writes(&[])).unwrap();
    assert_eq!(told(&process), (1_003, 1_003));
}
