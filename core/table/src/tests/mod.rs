//! Tests of the room as a whole: stores on a real disk, changelogs in memory.

mod handle;
mod keeper;

use super::place::Place;
use super::*;
use std::path::Path;
use tempfile::TempDir;

const MAP: usize = 1 << 16;

fn identity() -> Identity {
    let (app, topic) = ("app".into(), "app__changelog".into());
    Identity { app, topic, partition: 0, topic_id: "id".into() }
}

fn place(root: &Path) -> Place {
    Place::new(root, "app", "app__changelog", 0)
}

fn open(root: &Path) -> Store {
    place(root).open(&identity(), MAP).unwrap().0
}

fn put(store: &Store, rows: impl Iterator<Item = (String, String)> + Clone, position: i64) {
    store
        .update(|edit| {
            for (key, text) in rows.clone() {
                let mut row = Vec::new();
                row::put_row(&key, &text, 5, 7, &mut row);
                edit.put(&store_key(&key), &row)?;
            }
            edit.position(position, now_millis())
        })
        .unwrap();
}

fn numbered(count: usize) -> impl Iterator<Item = (String, String)> + Clone {
    (0..count).map(|n| (format!("key-{n:06}"), format!("{{\"n\":{n}}}")))
}

#[test]
fn a_store_is_found_again_as_it_was_left_and_grows_by_itself() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    put(&store, numbered(10_000), 42);
    assert!(store.size().unwrap() > MAP as u64, "the map has grown");
    drop(store);
    let (store, aside) = place(dir.path()).open(&identity(), MAP).unwrap();
    assert!(!aside, "a killed process goes on from its store");
    assert_eq!((store.rows().unwrap(), store.position()), (10_000, 42));
    let row = store.get("key-001234").unwrap().unwrap();
    assert_eq!((row.text.as_str(), row.timestamp), (r#"{"n":1234}"#, 5));
    assert_eq!(store.get("nobody").unwrap(), None);
}

#[test]
fn rows_are_walked_by_prefix_and_page() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let keys = ["", "a", "ab", "ab/1", "ab/2", "b"];
    put(&store, keys.iter().map(|k| ((*k).into(), "1".into())), 1);
    let walk = |prefix: &str, after: Option<&str>| {
        let mut found = Vec::new();
        store.walk(prefix, after, |row| {
            found.push(row.key);
            found.len() < 2
        })?;
        Ok::<_, StoreError>(found)
    };
    assert_eq!(walk("", None).unwrap(), ["", "a"]);
    assert_eq!(walk("", Some("a")).unwrap(), ["ab", "ab/1"]);
    assert_eq!(walk("ab", Some("ab/1")).unwrap(), ["ab/2"]);
    assert_eq!(walk("ab", Some("a")).unwrap(), ["ab", "ab/1"]);
    assert_eq!(walk("c", None).unwrap(), [""; 0]);
}

#[test]
fn a_store_is_held_by_one_at_a_time_and_read_off_line_beside_it() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    put(&store, numbered(3), 3);
    let second = place(dir.path()).open(&identity(), MAP);
    assert!(matches!(second, Err(StoreError::Busy { .. })), "{second:?}");
    let path = store.path().to_owned();
    drop(store);
    let offline = Store::open_read_only(&path).unwrap();
    assert_eq!((offline.rows().unwrap(), offline.position()), (3, 3));
    assert_eq!(offline.identity().app, "app");
    assert!(Store::open_read_only(dir.path()).is_err());
}

/// Opens a store with rows in it after `hurt` was at its directory.
fn hurt(change: impl Fn(&Path), wanted: &Identity) -> (Store, bool, TempDir) {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    put(&store, numbered(5_000), 9);
    let path = store.path().to_owned();
    drop(store);
    change(&path);
    let (store, aside) = place(dir.path()).open(wanted, MAP).unwrap();
    (store, aside, dir)
}

#[test]
fn what_cannot_be_used_is_set_aside_and_made_anew() {
    let cut = |to: fn(u64) -> u64| {
        move |path: &Path| {
            let file = std::fs::File::options().write(true).open(path.join("data.mdb")).unwrap();
            file.set_len(to(file.metadata().unwrap().len())).unwrap();
        }
    };
    let other = |change: fn(&mut Identity)| {
        let mut identity = identity();
        change(&mut identity);
        identity
    };
    let nothing = |_: &Path| {};
    let same = identity();
    let cases: Vec<(&str, (Store, bool, TempDir))> = vec![
        ("cut in half", hurt(cut(|length| length / 2), &same)),
        ("cut by one byte", hurt(cut(|length| length - 1), &same)),
        ("cut to one page", hurt(cut(|_| 4096), &same)),
        ("no LMDB", hurt(|path| std::fs::write(path.join("data.mdb"), [7; 9000]).unwrap(), &same)),
        ("another boot", hurt(|path| std::fs::write(path.join("open"), "other").unwrap(), &same)),
        ("an unknown boot", hurt(|path| std::fs::write(path.join("open"), "").unwrap(), &same)),
        ("another app", hurt(nothing, &other(|i| i.app = "other".into()))),
        ("another partition", hurt(nothing, &other(|i| i.partition = 1))),
        ("a changelog made anew", hurt(nothing, &other(|i| i.topic_id = "new".into()))),
    ];
    for (case, (store, aside, dir)) in cases {
        assert!(aside, "{case}");
        assert_eq!((store.rows().unwrap(), store.position()), (0, 0), "{case}");
        let names = std::fs::read_dir(dir.path().join("app")).unwrap();
        let bad = names.filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().contains(".bad-")
        });
        assert_eq!(bad.count(), 1, "{case}");
    }
}

#[test]
fn a_sealed_store_outlives_the_boot_and_an_emptied_one_begins_anew() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    put(&store, numbered(10), 9);
    store.seal().unwrap();
    assert!(!store.path().join("open").exists());
    drop(store);
    let (store, aside) = place(dir.path()).open(&identity(), MAP).unwrap();
    assert_eq!((aside, store.rows().unwrap()), (false, 10));
    let path = store.path().to_owned();
    drop(store);
    std::fs::File::create(path.join("data.mdb")).unwrap();
    let (store, _) = place(dir.path()).open(&identity(), MAP).unwrap();
    assert_eq!((store.rows().unwrap(), store.position()), (0, 0));
}

#[test]
fn a_store_of_a_later_format_is_set_aside() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.update(|edit| edit.write_meta("format", &99_i64.to_le_bytes())).unwrap();
    let path = store.path().to_owned();
    drop(store);
    let error = Store::open_read_only(&path).unwrap_err().to_string();
    assert!(error.contains("99"), "{error}");
    assert!(place(dir.path()).open(&identity(), MAP).unwrap().1);
}
