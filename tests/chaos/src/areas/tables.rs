//! Stores that are deleted, cut, swapped or full, and changelogs that were cut, compacted, made
//! anew or end in what no reader sees.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nubium_test_kit::ledger::{Fate, Partition};
use nubium_test_kit::process::Process;
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::table::{OriginalWriter, changelog_rows, store_rows};
use nubium_test_kit::topics;
use nubium_test_kit::wait::{last, until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::shared;
use crate::case::{Case, PARTITIONS, Work};
use crate::cell::{Cell, Needs, Run};
use crate::world::World;

const INPUTS: u32 = 600;

type Story = (&'static str, fn(&World, &mut Run) -> Result<()>);

/// Does something to the stores while no app runs.
type Harm = fn(&Case, &mut StdRng) -> Result<()>;

const HARMS: [(&str, Harm); 9] = [
    ("volume-deleted", |case, _| Ok(fs::remove_dir_all(case.volume())?)),
    ("one-store-deleted", |case, _| Ok(fs::remove_dir_all(case.store(1)?)?)),
    ("data-cut-in-half", |case, _| cut(&case.store(0)?, |length| length / 2)),
    ("data-empty", |case, _| cut(&case.store(0)?, |_| 0)),
    ("lock-file-deleted", |case, _| Ok(fs::remove_file(case.store(0)?.join("lock.mdb"))?)),
    ("two-stores-swapped", |case, _| {
        let (one, other) = (case.store(0)?, case.store(1)?);
        let aside = case.volume().join("aside");
        fs::rename(&one, &aside)?;
        fs::rename(&other, &one)?;
        Ok(fs::rename(&aside, &other)?)
    }),
    ("header-bits-flipped", |case, rng| flip(&case.store(0)?, rng, 0..4_096)),
    ("meta-bits-flipped", |case, rng| flip(&case.store(0)?, rng, 4_096..8_192)),
    ("garbage-instead", |case, _| {
        Ok(fs::write(case.store(0)?.join("data.mdb"), vec![0xa5; 65_536])?)
    }),
];

fn cut(store: &Path, length: fn(u64) -> u64) -> Result<()> {
    let file = fs::File::options().write(true).open(store.join("data.mdb"))?;
    Ok(file.set_len(length(file.metadata()?.len()))?)
}

fn flip(store: &Path, rng: &mut StdRng, within: std::ops::Range<usize>) -> Result<()> {
    let file = store.join("data.mdb");
    let mut bytes = fs::read(&file)?;
    for _ in 0..64 {
        let at = rng.random_range(within.clone());
        bytes[at] ^= 1 << rng.random_range(0..8);
    }
    Ok(fs::write(file, bytes)?)
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (name, harm) in HARMS {
        let story = move |world: &World, run: &mut Run| harmed(world, run, harm);
        cells.push(Cell::new("table", name, Needs::App, story));
    }
    let stories: [Story; 10] = [
        ("rows-are-followed", followed),
        ("rows-are-deleted", deleted),
        ("changelog-has-an-open-transaction", open_transaction),
        ("standby-takes-over-its-rows", standby),
        ("killed-in-recovery", killed_in_recovery),
        ("changelog-ends-in-aborted-records", aborted_tail),
        ("changelog-start-moved", start_moved),
        ("changelog-made-anew", made_anew),
        ("changelog-empty", empty),
        ("disk-full", disk_full),
    ];
    for (name, story) in stories {
        cells.push(Cell::new("table", name, Needs::App, story));
    }
    cells
}

/// Works, stops, is harmed, and works on.
fn harmed(world: &World, run: &mut Run, harm: Harm) -> Result<()> {
    let mut case = shared(world, run, Work::Table, "harmed", INPUTS)?;
    let mut app = case.keep("app")?;
    case.drained(&mut [&mut app])?;
    case.end(run, app.process())?;
    harm(&case, &mut StdRng::seed_from_u64(run.seed))?;
    drop(app);
    case.more(INPUTS)?;
    case.finish(run, case.keep("app")?)
}

/// One follows the other; when that is killed it goes on with rows that it has already.
fn standby(world: &World, run: &mut Run) -> Result<()> {
    let mut case = shared(world, run, Work::Table, "standby", INPUTS)?;
    case.scenario.set("NU_TABLE_STANDBY_REPLICAS", "1");
    let mut other = case.scenario.clone();
    other.set("NU_TABLE_PATH", case.volume().join("other").display().to_string());
    let first = case.start_in(&other, "first")?;
    let second = case.start("second")?;
    case.drained(&mut [])?;
    let half = usize::try_from(PARTITIONS)?;
    let follows = |app: &Process| app.log().matches("role=Standby").count() >= half;
    until("both to follow the other", DEADLINE, || follows(&first) && follows(&second))?;
    let before = second.log().len();
    first.kill()?;
    case.more(INPUTS)?;
    case.drained(&mut [])?;
    let log = second.log();
    let taken: Vec<_> =
        log[before..].lines().filter(|l| l.contains("The store is up to date")).collect();
    let whole = taken.iter().filter(|line| rows_read(line) > i64::from(INPUTS) / 8).count();
    run.holds("the standby's rows are used", !taken.is_empty() && whole == 0, || {
        format!("{whole} of {} stores were read anew:\n{}", taken.len(), taken.join("\n"))
    });
    case.end(run, &second)?;
    case.judge_whole(run)
}

/// How many changelog records a line about a store says were read.
fn rows_read(line: &str) -> i64 {
    let rest = line.split("rows=").nth(1).unwrap_or("0");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// The volume is lost, and the app is killed again and again while it reads the changelog.
fn killed_in_recovery(world: &World, run: &mut Run) -> Result<()> {
    let mut case = shared(world, run, Work::Table, "recovery", 4 * INPUTS)?;
    let mut app = case.keep("app")?;
    case.drained(&mut [&mut app])?;
    app.process().kill()?;
    drop(app);
    fs::remove_dir_all(case.volume())?;
    case.more(INPUTS)?;
    for _ in 0..3 {
        let app = case.start("app")?;
        until("a store", DEADLINE, || (0..4).any(|p| case.store(p).is_ok_and(|s| s.exists())))?;
        app.kill()?;
    }
    case.finish(run, case.keep("app")?)
}

/// A transaction on the changelog was aborted: its records are in the log and are no rows.
fn aborted_tail(world: &World, run: &mut Run) -> Result<()> {
    let case = shared(world, run, Work::Table, "aborted", INPUTS)?;
    let mut app = case.keep("app")?;
    case.drained(&mut [&mut app])?;
    case.end(run, app.process())?;
    drop(app);
    let cluster = &case.scenario.cluster;
    let writer = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, case.changelog()?)?;
    let rows: Vec<_> = (0..4).map(|p| (p, "aborted", Some("{\"count\": 9, \"sum\": 9}"))).collect();
    writer.write(&rows, false)?;
    fs::remove_dir_all(case.volume())?;
    let app = case.scenario.start_as(case.program(), "app", "again")?;
    case.ready(&app)?;
    case.end(run, &app)?;
    case.judge_whole(run)
}

/// While the app is away rows are written and deleted; it goes on where it was.
fn followed(world: &World, run: &mut Run) -> Result<()> {
    let case = shared(world, run, Work::Table, "followed", INPUTS)?;
    let mut app = case.keep("app")?;
    case.drained(&mut [&mut app])?;
    case.end(run, app.process())?;
    let cluster = &case.scenario.cluster;
    let writer = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, case.changelog()?)?;
    let keys: Vec<_> = (0..60).map(|n| format!("more-{n}")).collect();
    let rows: Vec<_> = keys.iter().map(|key| (0, key.as_str(), Some("1"))).collect();
    writer.write(&rows, true)?;
    same_as_changelog(&case, run)?;
    let gone: Vec<_> = keys[..30].iter().map(|key| (0, key.as_str(), None)).collect();
    writer.write(&gone, true)?;
    same_as_changelog(&case, run)
}

/// The app itself deletes rows.
fn deleted(world: &World, run: &mut Run) -> Result<()> {
    let mut case = shared(world, run, Work::Table, "deleted", 0)?;
    let at = case.ledger.partitions().first().context("no partition")?.clone();
    let mut app = case.keep("app")?;
    for fate in [Fate::Copy, Fate::Drop] {
        (0..20).try_for_each(|n| case.ledger.write_key(&at, &format!("key-{n}"), fate))?;
        case.drained(&mut [&mut app])?;
    }
    case.more(INPUTS)?;
    case.drained(&mut [&mut app])?;
    case.end(run, app.process())?;
    same_as_changelog(&case, run)
}

/// Somebody's transaction is open on the changelog while the app comes back with an empty volume:
/// what is committed lies behind it, out of the sight of readers until it ends (KAFKA-10167).
fn open_transaction(world: &World, run: &mut Run) -> Result<()> {
    let mut case = shared(world, run, Work::Table, "open", INPUTS)?;
    let mut app = case.keep("app")?;
    case.drained(&mut [&mut app])?;
    let cluster = case.scenario.cluster.clone();
    let writer = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, case.changelog()?)?;
    let rows: Vec<_> = (0..4).map(|p| (p, "foreign", Some("{\"count\": 9, \"sum\": 9}"))).collect();
    writer.begin(&rows)?;
    case.more(INPUTS)?;
    case.drained(&mut [&mut app])?;
    app.process().kill()?;
    fs::remove_dir_all(case.volume())?;
    case.more(INPUTS)?;
    let app = case.scenario.start_as(case.program(), "app", "again")?;
    until("the recovery to begin", DEADLINE, || {
        app.log().matches("is brought up to date").count() >= 4
    })?;
    // Whoever does not wait for the end goes on meanwhile.
    last(Duration::from_secs(2));
    writer.end(false)?;
    case.drained(&mut [])?;
    case.end(run, &app)?;
    case.judge_whole(run)
}

/// Makes the changelog anew, so that records may be deleted from its start.
fn allow_deletion(case: &Case) -> Result<()> {
    let (bootstrap, changelog) = (&case.scenario.cluster.bootstrap, case.changelog()?);
    topics::delete(bootstrap, changelog)?;
    let of = [(changelog, 2 * PARTITIONS)];
    topics::create_with(bootstrap, &of, &[("cleanup.policy", "compact,delete")])
}

/// Compaction and retention have taken what lay before the stored position.
fn start_moved(world: &World, run: &mut Run) -> Result<()> {
    let case = shared(world, run, Work::Table, "moved", 0)?;
    let cluster = &case.scenario.cluster;
    allow_deletion(&case)?;
    let writer = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, case.changelog()?)?;
    writer.write(&[(0, "old", Some("1")), (0, "gone", Some("1"))], true)?;
    let first = case.start("app")?;
    case.ready(&first)?;
    case.end(run, &first)?;
    writer.write(&[(0, "old", Some("2")), (0, "new", Some("1"))], true)?;
    let ends = nubium_test_kit::reader::log_ends(&cluster.bootstrap, &[case.changelog()?])?;
    let at = Partition::new(case.changelog()?, 0);
    let end = ends.get(&at).context("no end")?.end;
    // All but the last transaction: the store's position is not in the log any more.
    topics::delete_records(&cluster.bootstrap, &[(at, end - 2)].into())?;
    same_as_changelog(&case, run)
}

/// The changelog was deleted and made anew, longer than it had been.
fn made_anew(world: &World, run: &mut Run) -> Result<()> {
    let case = shared(world, run, Work::Table, "anew", 0)?;
    let cluster = &case.scenario.cluster;
    let changelog = case.changelog()?.to_owned();
    let fill = |key: &str, times: usize| -> Result<()> {
        let writer = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, &changelog)?;
        (0..times).try_for_each(|_| writer.write(&[(0, key, Some(key))], true))
    };
    fill("old", 3)?;
    let first = case.start("app")?;
    case.ready(&first)?;
    case.end(run, &first)?;
    topics::delete(&cluster.bootstrap, &changelog)?;
    let of = [(changelog.as_str(), 2 * PARTITIONS)];
    topics::create_with(&cluster.bootstrap, &of, &[("cleanup.policy", "compact")])?;
    fill("new", 9)?;
    same_as_changelog(&case, run)
}

/// Nothing was ever written, or all of it was taken away again.
fn empty(world: &World, run: &mut Run) -> Result<()> {
    let case = shared(world, run, Work::Table, "empty", 0)?;
    let cluster = &case.scenario.cluster;
    allow_deletion(&case)?;
    same_as_changelog(&case, run)?;
    let writer = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, case.changelog()?)?;
    writer.write(&[(0, "a", Some("1"))], true)?;
    // The record and the marker behind it.
    let at = Partition::new(case.changelog()?, 0);
    topics::delete_records(&cluster.bootstrap, &[(at, 2)].into())?;
    fs::remove_dir_all(case.volume())?;
    same_as_changelog(&case, run)
}

/// Starts the app once more, and compares its stores with the changelog, row by row.
fn same_as_changelog(case: &Case, run: &mut Run) -> Result<()> {
    // A log of its own, in which nothing is ready yet.
    let app = case.scenario.start_as(case.program(), "app", &topics::unique("again"))?;
    case.ready(&app)?;
    case.end(run, &app)?;
    let changelog = changelog_rows(&case.scenario.cluster.bootstrap, case.changelog()?)?;
    let group = &case.scenario.group;
    let stores = store_rows(&case.volume(), group, case.changelog()?, 2 * PARTITIONS)?;
    run.holds("stores are as the changelog says", stores == changelog, || {
        format!("{stores:?} instead of {changelog:?}")
    });
    Ok(())
}

/// The volume is full while transactions commit, and has room again later.
fn disk_full(world: &World, run: &mut Run) -> Result<()> {
    let case = shared(world, run, Work::Table, "full", INPUTS)?;
    let volume = Tmpfs::mount(&case.volume(), "4m")?;
    let filler = case.volume().join("filler");
    // More than there is room for: what was written stays.
    let full = fs::write(&filler, vec![1; 5 << 20]);
    ensure!(full.is_err(), "the volume is larger than it was to be");
    let app = case.keep("app")?;
    until("the app to notice", DEADLINE, || {
        let log = app.process().log();
        !app.process().is_running() || log.contains("No space") || log.contains("MAP_FULL")
    })?;
    let log = app.process().log();
    let named = log.contains("No space") || log.contains("space");
    run.holds("the log says that there is no room", named, || app.process().log_tail());
    fs::remove_file(&filler)?;
    volume.grow("64m")?;
    let result = case.finish(run, app);
    drop(volume);
    result
}

/// A file system of a fixed size; it is gone on drop.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Result<Self> {
        fs::create_dir_all(at)?;
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], at)?;
        Ok(Self(at.to_owned()))
    }

    fn grow(&self, size: &str) -> Result<()> {
        mount(&["-o", &format!("remount,size={size}")], &self.0)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(options: &[&str], at: &Path) -> Result<()> {
    let status = std::process::Command::new("mount").args(options).arg(at).status()?;
    ensure!(status.success(), "mount ended with {status}: it needs root");
    Ok(())
}
