//! Processes that stand still beyond every time-out, zombies that wake up, and twins.

use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::kproxy::{
    ApiKey, Frame, Gate, Rule, Side, Target, Verdict, hold, kill, kill_after, orphan, stop,
    with_error,
};
use nubium_test_kit::process::Signal;
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::wait::{last, until};

use super::shared;
use crate::case::Work;
use crate::cell::{Cell, Needs, Run};
use crate::world::World;

const INPUTS: u32 = 1_500;

/// Where an app is made to stand still.
const PLACES: [(&str, ApiKey, Side); 5] = [
    ("fetched", ApiKey::FETCH, Side::Response),
    ("records-sent", ApiKey::PRODUCE, Side::Request),
    ("records-written", ApiKey::PRODUCE, Side::Response),
    ("offsets-written", ApiKey::TXN_OFFSET_COMMIT, Side::Response),
    ("commit-sent", ApiKey::END_TXN, Side::Request),
];

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for work in [Work::Copy, Work::Table, Work::Batch] {
        for (name, api, side) in PLACES {
            // The transaction (2 s) is over, the session (6 s) is not.
            let story = move |world: &World, run: &mut Run| {
                stopped(world, run, work, (api, side), Duration::from_millis(3_500))
            };
            cells.push(Cell::new("pause", format!("{}-{name}", work.name()), Needs::App, story));
        }
    }
    for work in [Work::Copy, Work::Transfer, Work::Table] {
        for (name, api, side) in [PLACES[0], PLACES[3], PLACES[4]] {
            let story = move |world: &World, run: &mut Run| zombie(world, run, work, (api, side));
            let name = format!("{}-zombie-{name}", work.name());
            cells.push(Cell::new("pause", name, Needs::App, story));
        }
        let name = format!("{}-commit-held-while-another-takes-over", work.name());
        let story = move |world: &World, run: &mut Run| held(world, run, work);
        cells.push(Cell::new("pause", name, Needs::App, story));
    }
    cells.push(Cell::new("pause", "twins", Needs::App, twins));
    cells.push(Cell::new("pause", "a-late-commit-meets-the-next-transaction", Needs::App, late));
    for (name, late) in ORPHANS {
        let story = move |world: &World, run: &mut Run| orphaned(world, run, late);
        let name = format!("{name}-whose-connection-broke-meets-the-next-transaction");
        cells.push(Cell::new("pause", name, Needs::App, story));
    }
    cells
}

/// It stands still for a while and goes on.
fn stopped(
    world: &World,
    run: &mut Run,
    work: Work,
    (api, side): (ApiKey, Side),
    pause: Duration,
) -> Result<()> {
    let case = shared(world, run, work, "pause", INPUTS)?;
    let target = Target::new();
    let rule = Rule::on(api, side, stop(&target)).nth(2).client(&case.client("app"));
    world.shared()?.proxy.add(rule);
    let app = case.keep("app")?;
    target.set(app.process().pid());
    until("the stop", DEADLINE, || app.process().is_stopped())?;
    case.hit(run, true)?;
    last(pause);
    app.process().signal(Signal::CONT)?;
    case.finish(run, app)
}

/// It stands still until another has its partitions and has done its work; then it wakes up.
fn zombie(world: &World, run: &mut Run, work: Work, (api, side): (ApiKey, Side)) -> Result<()> {
    let mut case = shared(world, run, work, "zombie", INPUTS)?;
    case.scenario.set("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", "3");
    if work == Work::Table {
        // Each has its own volume, as pods do.
        case.scenario.set("NU_TABLE_PATH", case.volume().join("zombie").display().to_string());
    }
    let target = Target::new();
    let rule = Rule::on(api, side, stop(&target)).nth(2).client(&case.client("zombie"));
    world.shared()?.proxy.add(rule);
    let mut zombie = case.keep("zombie")?;
    target.set(zombie.process().pid());
    until("the stop", DEADLINE, || zombie.process().is_stopped())?;
    case.hit(run, true)?;
    let mut own = case.scenario.clone();
    own.set("NU_TABLE_PATH", case.volume().display().to_string());
    let survivor = case.start_in(&own, "survivor")?;
    case.drained(&mut [])?;
    zombie.process().signal(Signal::CONT)?;
    case.more(200)?;
    case.drained(&mut [&mut zombie])?;
    zombie.process().kill()?;
    case.more(200)?;
    case.drained(&mut [])?;
    if work == Work::Table {
        case.all_stores(&survivor)?;
    }
    case.end(run, &survivor)?;
    case.judge_whole(run)
}

/// The commit is on its way for so long that another has taken over, and then it arrives.
fn held(world: &World, run: &mut Run, work: Work) -> Result<()> {
    let mut case = shared(world, run, work, "held", INPUTS)?;
    if work == Work::Table {
        case.scenario.set("NU_TABLE_PATH", case.volume().join("first").display().to_string());
    }
    let gate = Gate::new();
    let rule = Rule::on(ApiKey::END_TXN, Side::Request, hold(&gate)).nth(2);
    world.shared()?.proxy.add(rule.client(&case.client("first")));
    let mut first = case.keep("first")?;
    gate.reached(DEADLINE)?;
    case.hit(run, true)?;
    let mut own = case.scenario.clone();
    own.set("NU_TABLE_PATH", case.volume().display().to_string());
    let survivor = case.start_in(&own, "survivor")?;
    case.drained(&mut [&mut first])?;
    gate.open(Verdict::Forward);
    case.more(200)?;
    case.drained(&mut [&mut first])?;
    first.process().kill()?;
    case.more(200)?;
    case.drained(&mut [])?;
    if work == Work::Table {
        case.all_stores(&survivor)?;
    }
    case.end(run, &survivor)?;
    case.judge_whole(run)
}

/// A commit is held up on its way until the client has sent it again and has begun the next
/// transaction; then it arrives, and the app is killed with its records still to come. A broker
/// cannot tell which transaction the late one meant (KIP-890).
fn late(world: &World, run: &mut Run) -> Result<()> {
    let mut case = shared(world, run, Work::Copy, "late", INPUTS)?;
    // A request that is not answered is sent again on a new connection.
    case.scenario.set("NU_PRODUCER_PROPERTIES_JSON", r#"{"socket.timeout.ms": 1000}"#);
    case.scenario.set("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "20");
    let (gate, target, client) = (Gate::new(), Target::new(), case.client("app"));
    let proxy = &world.shared()?.proxy;
    proxy.add(Rule::on(ApiKey::END_TXN, Side::Request, hold(&gate)).nth(2).client(&client));
    let app = case.start("app")?;
    target.set(app.pid());
    gate.reached(DEADLINE)?;
    // From now on: the next transaction's offsets are written, its records are not.
    let mut kill = kill(&target);
    let opened = gate.clone();
    let meet = Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Response, move |_| {
        opened.open(Verdict::Forward);
        Verdict::Later(Duration::from_millis(700))
    });
    proxy.add(meet.client(&client));
    let die = Rule::on(ApiKey::PRODUCE, Side::Request, move |frame| kill(frame));
    proxy.add(die.client(&client));
    app.wait(DEADLINE)?;
    gate.open(Verdict::Forward);
    case.hit(run, true)?;
    case.judge_cut(run)?;
    case.finish(run, case.keep("app")?)
}

/// What is on its way when the connection breaks, what of the next transaction it then meets, and
/// where the app is killed.
#[derive(Clone, Copy)]
struct Late {
    api: ApiKey,
    /// Its transaction is one that is aborted.
    abort: bool,
    /// It arrives at this answer to an offset commit, from when the connection broke.
    meets: usize,
    dies: (ApiKey, Side),
}

const ORPHANS: [(&str, Late); 3] = [
    (
        "a-commit",
        Late {
            api: ApiKey::END_TXN,
            abort: false,
            meets: 1,
            dies: (ApiKey::PRODUCE, Side::Request),
        },
    ),
    (
        "an-abort",
        Late {
            api: ApiKey::END_TXN,
            abort: true,
            meets: 1,
            dies: (ApiKey::END_TXN, Side::Response),
        },
    ),
    // The first answer is that of its own repetition.
    (
        "an-offset",
        Late {
            api: ApiKey::TXN_OFFSET_COMMIT,
            abort: false,
            meets: 2,
            dies: (ApiKey::END_TXN, Side::Response),
        },
    ),
];

/// A connection breaks with a request on it that the broker has not read yet. The client repeats
/// the request at once on another connection and begins the next transaction; then the first one
/// arrives.
fn orphaned(world: &World, run: &mut Run, late: Late) -> Result<()> {
    let mut case = shared(world, run, Work::Copy, "orphan", INPUTS)?;
    case.scenario.set("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "20");
    let (gate, target, client) = (Gate::new(), Target::new(), case.client("app"));
    let proxy = &world.shared()?.proxy;
    if late.abort {
        let refused = Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Response, with_error(22)).nth(2);
        proxy.add(refused.client(&client));
    }
    proxy.add(Rule::on(late.api, Side::Request, orphan(&gate)).nth(2).client(&client));
    let [reached, opened, open] = [gate.clone(), gate.clone(), gate.clone()];
    let meet = Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Response, move |_| {
        opened.open(Verdict::Forward);
        Verdict::Later(Duration::from_millis(700))
    });
    let meet = meet.when(move |_| reached.is_reached()).nth(late.meets);
    proxy.add(meet.client(&client));
    let (api, side) = late.dies;
    let mut die: Box<dyn FnMut(&Frame) -> Verdict + Send> = match side {
        Side::Request => Box::new(kill(&target)),
        Side::Response => Box::new(kill_after(&target)),
    };
    // Not only the first: that may be the answer to the late one, whose client is gone.
    let die = Rule::on(api, side, move |frame| die(frame)).when(move |_| open.is_open());
    proxy.add(die.and_later().client(&client));
    let app = case.start("app")?;
    target.set(app.pid());
    app.wait(DEADLINE)?;
    case.hit(run, gate.is_reached() && gate.is_open())?;
    case.judge_cut(run)?;
    case.finish(run, case.keep("app")?)
}

/// Two of one name: one ends and names the cause.
fn twins(world: &World, run: &mut Run) -> Result<()> {
    let mut case = shared(world, run, Work::Copy, "twins", INPUTS)?;
    let first = case.start("twin")?;
    case.drained(&mut [])?;
    let second = case.scenario.start_as(case.program(), "twin", "second")?;
    until("a twin to end", DEADLINE, || {
        case.more(20).is_ok() && !(first.is_running() && second.is_running())
    })?;
    let (ended, other) = if first.is_running() { (&second, &first) } else { (&first, &second) };
    let status = ended.wait(DEADLINE)?;
    let failed = status.code().is_some_and(|code| code != 0);
    run.holds("one of them ends with an error", failed, || status.to_string());
    let log = ended.log();
    run.holds("its log names the cause", log.contains("NU_HOSTNAME"), || ended.log_tail());
    case.drained(&mut [])?;
    case.end(run, other)?;
    case.judge_whole(run)
}
