use super::*;
use crate::store::state::Mode;
use crate::testing::{body, key, store};

fn filled() -> Store {
    let store = store();
    for (group, text) in [
        ("job/a", "# HELP x Help.\n# TYPE x gauge\nx{l=\"\\\"\\\\\\n\"} 1\nx 2\n"),
        ("job/b/instance/i", "# TYPE h histogram\nh_bucket{le=\"1\"} 1.5\nh_sum 2\nh_count 3\n"),
        ("job/c", "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n"),
    ] {
        store.push(&key(group), body(text), Mode::Replace, None).expect(group);
    }
    store
}

fn scrape(store: &Store) -> String {
    crate::testing::scrape(store)
}

#[test]
fn what_is_saved_comes_back_to_the_last_byte() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("metrics");
    let (before, after) = (filled(), store());
    save(&before, &file).expect("saved");
    let report = restore(&after, &file).expect("restored");
    assert_eq!(report, Report { groups: 3, problems: vec![] });
    assert_eq!(scrape(&after), scrape(&before));
    assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1, "no left-overs");
}

#[test]
fn any_damage_is_found_and_costs_one_group_at_most_or_the_tail() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("metrics");
    save(&filled(), &file).expect("saved");
    let good = fs::read(&file).expect("read");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        let found = saved::read(&bad, store().limits());
        assert!(!found.problems.is_empty(), "a changed byte {at} was not noticed");
        let cut = saved::read(&good[..at], store().limits());
        assert!(!cut.problems.is_empty(), "a cut at {at} was not noticed");
    }
    fs::write(&file, &good[..good.len() - 20]).expect("cut");
    let after = store();
    let report = restore(&after, &file).expect("restored");
    assert_eq!((report.groups, report.problems.len()), (2, 1));
    assert!(beside(&file, ".damaged").exists());
}

#[test]
fn a_save_that_fails_leaves_the_file_as_it_was() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("metrics");
    save(&filled(), &file).expect("saved");
    let good = fs::read(&file).expect("read");
    // A directory where the temporary file would go.
    fs::create_dir(beside(&file, ".in_progress")).expect("made");
    assert!(save(&store(), &file).is_err());
    assert_eq!(fs::read(&file).expect("read"), good);
}

#[test]
fn what_cannot_be_read_is_kept_under_another_name() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("metrics");
    fs::create_dir(&file).expect("made");
    fs::write(file.join("inside"), "precious").expect("written");
    assert!(restore(&store(), &file).is_err());
    let kept = keep_aside(&file, 1_700_000_000_500_000_000).expect("renamed");
    assert!(kept.ends_with("metrics.unreadable-1700000000"), "{}", kept.display());
    assert_eq!(fs::read(kept.join("inside")).expect("read"), b"precious");
    save(&filled(), &file).expect("the name is free");
}

#[test]
fn what_is_deleted_before_the_file_was_read_does_not_come_back() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("metrics");
    save(&filled(), &file).expect("saved");
    let after = store();
    after.delete(&key("job/a"));
    let report = restore(&after, &file).expect("restored");
    assert_eq!(report.groups, 2);
    assert!(!scrape(&after).contains("job=\"a\""), "it came back");
    after.settle();
    let report = restore(&after, &file).expect("restored again");
    assert_eq!(report.groups, 1, "nothing is remembered once all was restored");
}

#[test]
fn no_file_is_an_empty_store() {
    let directory = tempfile::tempdir().expect("directory");
    let report = restore(&store(), &directory.path().join("none")).expect("restored");
    assert_eq!(report, Report::default());
}
