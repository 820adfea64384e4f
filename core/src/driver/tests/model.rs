//! Random orders of events, by seed, on the real loop: several members of one group on one log, in
//! turns, while partitions come and go one by one, transactions fail, moves are refused, stores are
//! late and members die. Whatever the order, every input counts once and in order.
//!
//! `NUBIUM_MODEL_RUNS` says how many orders are tried of each pattern, `NUBIUM_MODEL_SEED` where to
//! begin. An order that fails is made as short as it can be, and printed.

use super::patterns::{counting, growing, waiting};
use super::{LONG, copy};
use crate::driver::{Driver, Fault, MemoryEngine, Ordering, broker::Broker};
use crate::pattern::Pattern;
use crate::random::Random;
use crate::transaction::Workbench;
use nubium_host::Stop;
use nubium_topic::TopicPartition;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

const INPUTS: i64 = 40;
const PARTITIONS: i64 = 3;
const KEYS: i64 = 2;
/// Steps among which faults fall; a run without any has about so many.
const STEPS: u64 = 300;
/// Turns after which a run counts as stuck.
const TURNS: usize = 4_000;
/// How often one member is started at most: every fault may cost a start.
const STARTS: usize = 12;

impl Random {
    fn fault(&self) -> Fault {
        let n = self.below(3) as usize;
        match self.below(15) {
            0..=2 => Fault::RevokeOne(n),
            3 => Fault::LoseOne(n),
            4..=5 => Fault::Abort,
            6 => Fault::Timeout,
            7 => Fault::Fatal,
            8 => Fault::Rebalance,
            9 => Fault::Lose,
            10 => Fault::RefuseSeeks(n as u32 + 1),
            11 => Fault::RefusePauses(n as u32 + 1),
            12 => Fault::LateStores(4 * n as u32 + 1),
            13 => Fault::BrokenConnection,
            _ => [Fault::Crash, Fault::Fence, Fault::Crash][n],
        }
    }

    /// With `lossy`, retention deletes something too.
    fn schedule(&self, lossy: bool) -> Vec<(u64, Fault)> {
        // The beginning is worth as much as all the rest: there first positions are not committed.
        let (faults, steps) = (1 + self.below(6), [STEPS / 6, STEPS][self.below(2) as usize]);
        let mut all: Vec<_> = (0..faults).map(|_| (1 + self.below(steps), self.fault())).collect();
        if lossy {
            let count = 1 + self.below(6) as u32;
            all.insert(0, (1 + self.below(steps), Fault::Retention(count)));
        }
        all
    }
}

/// A member of the group: its loop, and the workbenches of its starts.
struct Seat<'e, P> {
    me: usize,
    benches: std::slice::Iter<'e, OnceCell<Workbench>>,
    bench: Option<&'e Workbench>,
    stop: Stop,
    engine: Option<MemoryEngine<'e, P>>,
}

impl<P: Pattern> Seat<'_, P> {
    /// The process is gone, and with it its hold on the stores.
    fn vacate(&mut self) {
        self.engine = None;
        if let Some(desk) = self.bench.take().and_then(|bench| bench.table.as_ref()) {
            for partition in 0..PARTITIONS as i32 {
                desk.shared.remove(TopicPartition { topic: desk.changelog, partition });
            }
        }
    }
}

/// What is tried.
struct Model<P> {
    driver: Driver<P>,
    /// What each partition's output is to be.
    expected: Vec<Vec<i64>>,
    /// The inputs that are to be in the failure topic.
    failed: Vec<i64>,
    members: usize,
    /// Retention deletes some of the inputs.
    lossy: bool,
    /// How many messages are in the function at once, in an order by the seed.
    most: usize,
}

impl<P: Pattern> Model<P> {
    fn new(pattern: P, members: usize, counts: bool) -> Self {
        let mut driver = Driver::new(pattern).unwrap();
        driver.input("in", PARTITIONS as i32, LONG).unwrap();
        driver.output("out", PARTITIONS as i32, LONG).unwrap();
        driver.settings.bounds.count = 4;
        if counts {
            driver.table();
        }
        let mut expected = vec![Vec::new(); PARTITIONS as usize];
        let mut seen = BTreeMap::new();
        for n in 0..INPUTS {
            let partition = n % PARTITIONS;
            let key = format!("{partition}-{}", n / PARTITIONS % KEYS);
            driver.send("in", partition as i32, &key, &n).unwrap();
            let count = seen.entry(key).or_insert(0);
            *count += 1;
            expected[partition as usize].push(if counts { *count } else { n });
        }
        Self { driver, expected, failed: Vec::new(), members, lossy: false, most: 1 }
    }

    /// Lets the broker refuse the output of every fifth input.
    fn refusing(mut self) -> Self {
        self.driver.refuse(|topic, body| {
            // A long below 64 is one byte behind five that name the schema.
            topic == "out" && body.value.as_ref().is_some_and(|value| value[5] / 2 % 5 == 0)
        });
        self.driver.retry.failure_topics = vec!["failed".into()];
        self.failed = (0..INPUTS).filter(|n| n % 5 == 0).collect();
        self.expected.iter_mut().for_each(|values| values.retain(|n| n % 5 != 0));
        self
    }

    /// Lets retention delete inputs before they are read, or after.
    fn lossy(self) -> Self {
        Self { lossy: true, ..self }
    }

    /// Lets so many messages be in the function at once. Some are handled by themselves.
    fn abreast(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Chooses what of the settings is to be by chance too.
    fn shuffle(&mut self, seed: u64) {
        let settings = &mut self.driver.settings;
        if self.most > 1 {
            settings.bounds.age = Duration::from_millis(5 * (seed % 2));
            settings.concurrency.window = [3, 10_000][(seed / 2 % 2) as usize];
            settings.concurrency.ordering =
                [Ordering::Key, Ordering::Key, Ordering::Partition][(seed / 4 % 3) as usize];
            self.driver.interleave(self.most, seed.wrapping_mul(0x2545_F491_4F6C_DD1D));
        }
    }

    /// Tries `runs` orders.
    fn hold(&mut self, name: &str, runs: u64) {
        let start = std::env::var("NUBIUM_MODEL_SEED").ok().and_then(|s| s.parse().ok());
        let fresh = self.driver.broker.borrow().begin_anew(&[]);
        for seed in start.unwrap_or(1)..start.unwrap_or(1) + runs {
            self.shuffle(seed);
            let schedule =
                Random::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1).schedule(self.lossy);
            let Err(why) = self.play(&fresh, &schedule) else { continue };
            let (shortest, why) = self.shorten(&fresh, schedule, why);
            panic!("{name}, seed {seed}: {why}\nThe shortest order that fails: {shortest:?}");
        }
    }

    /// Leaves faults out as long as it still fails.
    fn shorten(
        &mut self,
        fresh: &Broker,
        mut schedule: Vec<(u64, Fault)>,
        mut why: String,
    ) -> (Vec<(u64, Fault)>, String) {
        let mut index = 0;
        while index < schedule.len() {
            let mut fewer = schedule.clone();
            fewer.remove(index);
            match self.play(fresh, &fewer) {
                Err(still) => (schedule, why) = (fewer, still),
                Ok(()) => index += 1,
            }
        }
        (schedule, why)
    }

    /// Plays one order and judges its end.
    fn play(&mut self, fresh: &Broker, schedule: &[(u64, Fault)]) -> Result<(), String> {
        *self.driver.broker.borrow_mut() = fresh.begin_anew(schedule);
        if self.driver.table.is_some() {
            self.driver.wipe_table().unwrap();
        }
        let benches: Vec<_> = (0..self.members * STARTS).map(|_| OnceCell::new()).collect();
        let _runtime = self.driver.runtime.enter();
        let mut seats: Vec<Seat<'_, P>> = (0..self.members)
            .map(|me| Seat {
                me,
                benches: benches[me * STARTS..(me + 1) * STARTS].iter(),
                bench: None,
                stop: Stop::new(),
                engine: None,
            })
            .collect();
        self.take_turns(&mut seats)?;
        for seat in &mut seats {
            seat.stop.request("all is handled");
            let engine = seat.engine.take();
            engine.map_or(Ok(()), MemoryEngine::run).map_err(|error| error.to_string())?;
        }
        self.judge()
    }

    fn take_turns<'e>(&'e self, seats: &mut [Seat<'e, P>]) -> Result<(), String> {
        for _ in 0..TURNS {
            for seat in seats.iter_mut() {
                let ended = match &mut seat.engine {
                    Some(engine) => engine.turn().is_err(),
                    None => false,
                };
                if ended {
                    // As an orchestrator does: what is left of it goes, and it starts anew.
                    seat.vacate();
                    self.driver.broker.borrow_mut().leave(seat.me);
                }
                if seat.engine.is_none() {
                    self.start(seat)?;
                }
            }
            let idle = |seat: &Seat<'_, P>| seat.engine.as_ref().is_some_and(MemoryEngine::idle);
            if seats.iter().all(idle) && self.driver.broker.borrow().drained() {
                return Ok(());
            }
        }
        Err("it makes no progress".into())
    }

    fn start<'e>(&'e self, seat: &mut Seat<'e, P>) -> Result<(), String> {
        seat.vacate();
        self.driver.broker.borrow_mut().start(seat.me, &self.driver.inputs);
        let place = seat.benches.next().ok_or("it ends again and again")?;
        let mut bench = self.driver.workbench().map_err(|error| error.to_string())?;
        let parts = self.driver.table_parts(seat.me, &mut bench);
        let (tables, applier) = parts.map_err(|error| error.to_string())?;
        let bench = place.get_or_init(|| bench);
        seat.stop = Stop::new();
        let mut engine = self.driver.engine(seat.me, bench, tables, applier, &seat.stop);
        seat.bench = Some(bench);
        if engine.init().is_ok() {
            seat.engine = Some(engine);
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), String> {
        let mut found = vec![Vec::new(); PARTITIONS as usize];
        for delivered in self.driver.delivered("out") {
            let value = self.driver.codec.decode::<i64>(delivered.body.value.as_deref().unwrap());
            found[delivered.at.partition as usize].push(value.unwrap());
        }
        for (partition, expected) in self.expected.iter().enumerate() {
            let right = match self.lossy {
                true => self.is_kept(partition, &found[partition]),
                false => &found[partition] == expected,
            };
            if !right {
                let found = &found[partition];
                return Err(format!("partition {partition}: {found:?}, not {expected:?}"));
            }
            let at = TopicPartition::new("in", partition as i32);
            let committed = self.driver.committed("in", partition as i32);
            if committed != Some(self.driver.broker.borrow().end(at)) {
                return Err(format!("partition {partition}: committed {committed:?}"));
            }
        }
        let mut failed = self.driver.values::<i64>("failed").map_err(|error| error.to_string())?;
        failed.sort_unstable();
        if failed != self.failed {
            return Err(format!("failed: {failed:?}, not {:?}", self.failed));
        }
        Ok(())
    }
}

impl<P: Pattern> Model<P> {
    /// Says whether what is found is what was expected but for what retention may have deleted:
    /// each once, in order, and all that is left.
    fn is_kept(&self, partition: usize, found: &[i64]) -> bool {
        let at = TopicPartition::new("in", partition as i32);
        let first = usize::try_from(self.driver.broker.borrow().first(at)).unwrap_or(0);
        let expected = &self.expected[partition];
        let known = found.iter().all(|n| expected.contains(n));
        let left = expected.iter().skip(first).all(|n| found.contains(n));
        known && left && found.is_sorted_by(|a, b| a < b)
    }
}

fn runs(share: u64) -> u64 {
    let all = std::env::var("NUBIUM_MODEL_RUNS").ok().and_then(|runs| runs.parse().ok());
    all.unwrap_or(4_000) / share
}

#[test]
fn single_messages_count_once_in_any_order_of_events() {
    Model::new(copy(), 1, false).hold("one member", runs(1));
    Model::new(waiting(), 1, false).hold("one member that waits", runs(1));
    Model::new(waiting(), 3, false).hold("three members that wait", runs(2));
}

#[test]
fn batches_count_once_in_any_order_of_events() {
    Model::new(growing(), 1, false).hold("one member", runs(1));
    Model::new(growing(), 3, false).hold("three members", runs(2));
}

#[test]
fn refused_outputs_cost_their_message_alone_in_any_order_of_events() {
    Model::new(copy(), 1, false).refusing().hold("one member", runs(2));
    Model::new(waiting(), 3, false).refusing().hold("three members that wait", runs(4));
    Model::new(growing(), 2, false).refusing().hold("batches", runs(4));
}

#[test]
fn retention_costs_what_it_deletes_alone_in_any_order_of_events() {
    Model::new(copy(), 1, false).lossy().hold("one member", runs(2));
    Model::new(waiting(), 3, false).lossy().hold("three members that wait", runs(4));
    Model::new(growing(), 2, false).lossy().hold("batches", runs(4));
}

#[test]
fn tables_count_once_in_any_order_of_events() {
    Model::new(counting(), 1, true).hold("one member", runs(8));
    Model::new(counting(), 2, true).hold("two members", runs(16));
}

#[test]
fn many_at_once_count_once_and_in_order_in_any_order_of_events() {
    Model::new(waiting(), 1, false).abreast(2).hold("two at once", runs(8));
    Model::new(waiting(), 1, false).abreast(16).hold("many at once", runs(8));
    Model::new(waiting(), 3, false).abreast(4).hold("three members", runs(16));
    Model::new(waiting(), 2, false).abreast(8).refusing().hold("refused", runs(16));
    Model::new(waiting(), 2, false).abreast(8).lossy().hold("retention", runs(16));
    Model::new(counting(), 1, true).abreast(6).hold("a table", runs(32));
    Model::new(counting(), 2, true).abreast(6).hold("a table of two members", runs(64));
}

/// The transaction that holds a first position is aborted just when its partition is given up.
#[test]
fn a_first_position_is_committed_by_its_owner_alone() {
    let mut model = Model::new(copy(), 2, false);
    let fresh = model.driver.broker.borrow().begin_anew(&[]);
    // Long enough for the next owner to come further meanwhile.
    model.driver.settings.backoff = (Duration::from_millis(3), Duration::from_millis(3));
    for (revoked, aborted) in (1..=8).flat_map(|at| (1..=8).map(move |later| (at, at + later))) {
        for of in 0..2 {
            let order = [(revoked, Fault::RevokeOne(of)), (aborted, Fault::Abort)];
            let played = model.play(&fresh, &order);
            played.unwrap_or_else(|why| panic!("{order:?}: {why}"));
        }
    }
}
