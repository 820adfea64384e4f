//! The long run: random faults with pauses to recover, in which everything is judged; and what the
//! processes that were not killed hold of memory, files, threads and disk, over time.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nubium_test_kit::kproxy::{ApiKey, Rule, Side, close, delay, duplicate, lose};
use nubium_test_kit::process::Signal;
use nubium_test_kit::scenario::Kept;
use nubium_test_kit::wait::last;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::board::Board;
use crate::case::{Case, Work};
use crate::cell::Run;
use crate::plan::Choice;
use crate::say;
use crate::world::World;

const PORTION: u32 = 150;
/// Faults between two pauses.
const FAULTS: u32 = 12;
const WORKS: [Work; 4] = [Work::Copy, Work::Table, Work::Transfer, Work::Batch];
/// How many of them are hurt through Kafka alone, and keep their process.
const STEADY: usize = 2;

/// What a process holds at a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    memory_kib: u64,
    files: u64,
    threads: u64,
    store_kib: u64,
}

impl Held {
    fn of(pid: u32, store: &Path) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        let files = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
        let (memory_kib, threads) = (number("VmRSS:"), number("Threads:"));
        Ok(Self { memory_kib, files, threads, store_kib: size_kib(store) })
    }
}

fn size_kib(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().map_while(Result::ok);
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size_kib(&entry.path()),
        // What is in use, not how long the file is.
        Ok(meta) => std::os::unix::fs::MetadataExt::blocks(&meta) / 2,
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// What is measured, how, and what it may grow by without a trend.
type Figure = (&'static str, fn(&Held) -> u64, u64);

/// Hurts four apps on one broker until the time is over.
pub(crate) fn run(choice: &Choice, time: Duration) -> Result<Board> {
    let end = Instant::now() + time;
    let world = World::start()?;
    let mut turn = world.own()?;
    let cluster = world.cluster(turn.get());
    let binaries = world.binaries();
    let mut rng = StdRng::seed_from_u64(choice.seed);
    let cases = WORKS.map(|work| Case::new((&binaries, &cluster), work, "soak", 1, PORTION));
    let mut cases = cases.into_iter().collect::<Result<Vec<_>>>()?;
    let mut apps = cases.iter().map(|case| case.keep("app")).collect::<Result<Vec<_>>>()?;
    let mut board = Board::default();
    let (mut faults, mut series) = (0, vec![Vec::new(); STEADY]);
    while Instant::now() < end {
        for _ in 0..FAULTS {
            cases.iter_mut().try_for_each(|case| case.more(PORTION))?;
            hurt(&mut rng, turn.get_mut(), &cases, &mut apps)?;
            faults += 1;
            apps.iter_mut().try_for_each(Kept::tend)?;
        }
        turn.get().proxy.clear();
        let checks = judge(&cases, &mut apps)?;
        for (index, series) in series.iter_mut().enumerate() {
            series.push(Held::of(apps[index].process().pid(), &cases[index].volume())?);
        }
        let held: Vec<_> = series.iter().filter_map(|series| series.last()).collect();
        let broken = checks.iter().filter(|check| check.broken.is_some()).count();
        say(&format!("{faults} faults, {broken} of {} checks broken, {held:?}", checks.len()));
        checks.iter().filter_map(|c| Some((&c.law, c.broken.as_ref()?))).for_each(|(law, why)| {
            crate::complain(&format!("  {law}: {why}"));
        });
        board.add("soak", &checks);
    }
    let mut run = Run::new(choice.seed);
    for (case, series) in cases.iter().zip(&series) {
        trends(&mut run, case.work.name(), series);
    }
    board.add("soak", &run.into_checks());
    board.note(format!("soak: {faults} faults, seed {}", choice.seed));
    Ok(board)
}

fn hurt(
    rng: &mut StdRng,
    faulty: &mut nubium_test_kit::faulty::Faulty,
    cases: &[Case],
    apps: &mut [Kept<'static>],
) -> Result<()> {
    let mortal = rng.random_range(STEADY..apps.len());
    match rng.random_range(0..20) {
        0..6 => apps[mortal].kill()?,
        6..9 => {
            let app = apps[mortal].process();
            app.signal(Signal::STOP)?;
            last(Duration::from_millis(rng.random_range(300..5_000)));
            app.signal(Signal::CONT)?;
        }
        9..11 => apps[mortal].process().signal(Signal::TERM)?,
        11..18 => {
            let kinds = [
                ApiKey::PRODUCE,
                ApiKey::END_TXN,
                ApiKey::TXN_OFFSET_COMMIT,
                ApiKey::ADD_PARTITIONS_TO_TXN,
                ApiKey::FETCH,
                ApiKey::HEARTBEAT,
            ];
            let api = kinds[rng.random_range(0..kinds.len())];
            let side = if rng.random_bool(0.5) { Side::Request } else { Side::Response };
            let rule = match rng.random_range(0..4) {
                0 => Rule::on(api, side, close()),
                1 => Rule::on(api, side, delay(Duration::from_millis(rng.random_range(50..3_500)))),
                2 if side == Side::Request => Rule::on(api, side, duplicate()),
                _ => Rule::on(api, side, lose()),
            };
            let case = &cases[rng.random_range(0..cases.len())];
            faulty.proxy.add(rule.client(&case.client("app")));
        }
        18 => faulty.proxy.cut(),
        _ => {
            faulty.broker.kill()?;
            faulty.broker.start_again()?;
        }
    }
    Ok(())
}

fn judge(cases: &[Case], apps: &mut [Kept<'static>]) -> Result<Vec<crate::cell::Check>> {
    let mut run = Run::new(0);
    for (case, app) in cases.iter().zip(apps) {
        case.drained(&mut [app]).context(case.work.name())?;
        case.judge_running(&mut run)?;
    }
    Ok(run.into_checks())
}

/// Compares the last third with the first, after a warm-up.
fn trends(run: &mut Run, name: &str, series: &[Held]) {
    let series = &series[series.len() / 10..];
    let third = series.len() / 3;
    let median = |part: &[Held], of: fn(&Held) -> u64| {
        let mut values: Vec<_> = part.iter().map(of).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or(0)
    };
    let figures: [Figure; 4] = [
        ("memory (KiB)", |held| held.memory_kib, 8_192),
        ("files", |held| held.files, 8),
        ("threads", |held| held.threads, 4),
        ("store (KiB)", |held| held.store_kib, 8_192),
    ];
    for (what, of, slack) in figures {
        let (early, late) = (median(&series[..third], of), median(&series[2 * third..], of));
        let law = format!("{name}: {what} has no trend ({early} early, {late} late)");
        run.holds(&law, late <= early + early / 5 + slack, || format!("{early} became {late}"));
        say(&law);
    }
}
