//! Connections that are slow, lost, silent or cut, and answers that say no: the app lives on or is
//! started again, and every input counts once.

use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::kproxy::{
    ApiKey, Frame, Rule, Side, Verdict, close, delay, duplicate, lose, refuse, with_error,
};

use super::shared;
use crate::case::Work;
use crate::cell::{Cell, Needs, Run};
use crate::world::World;

const INPUTS: u32 = 1_000;
/// Which frame of its kind is hit: one in the middle of the work.
const NTH: usize = 3;

type Make = fn() -> Rule;

/// Faults of the connection. A request that is lost is asked again after the client's time-out.
const TOXICS: [(&str, Make); 16] = [
    ("slow-requests", || Rule::on_any(Side::Request, delay(ms(15))).and_later()),
    ("slow-answers", || Rule::on_any(Side::Response, delay(ms(15))).and_later()),
    ("late-commit", || Rule::on(ApiKey::END_TXN, Side::Request, delay(ms(1_500)))),
    ("late-commit-answer", || Rule::on(ApiKey::END_TXN, Side::Response, delay(ms(1_500)))),
    // Longer than the transaction may last.
    ("overdue-commit", || Rule::on(ApiKey::END_TXN, Side::Request, delay(ms(3_500)))),
    ("overdue-records", || Rule::on(ApiKey::PRODUCE, Side::Request, delay(ms(3_500)))),
    ("overdue-offsets", || Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Request, delay(ms(3_500)))),
    ("commit-cut", || Rule::on(ApiKey::END_TXN, Side::Request, close())),
    ("commit-answer-cut", || Rule::on(ApiKey::END_TXN, Side::Response, close())),
    ("records-cut", || Rule::on(ApiKey::PRODUCE, Side::Request, close())),
    ("records-answer-cut", || Rule::on(ApiKey::PRODUCE, Side::Response, close())),
    ("offsets-answer-cut", || Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Response, close())),
    ("commit-unanswered", || Rule::on(ApiKey::END_TXN, Side::Response, lose())),
    ("records-twice", || Rule::on(ApiKey::PRODUCE, Side::Request, duplicate())),
    ("commit-twice", || Rule::on(ApiKey::END_TXN, Side::Request, duplicate())),
    ("offsets-twice", || Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Request, duplicate())),
];

/// Answers that say no although the broker did it, by Kafka's error codes, so many times.
const ANSWERS: [(&str, ApiKey, i16, usize); 21] = [
    ("offsets-load-in-progress", ApiKey::TXN_OFFSET_COMMIT, 14, 1),
    ("offsets-coordinator-gone", ApiKey::TXN_OFFSET_COMMIT, 15, 1),
    ("offsets-not-coordinator", ApiKey::TXN_OFFSET_COMMIT, 16, 1),
    ("offsets-illegal-generation", ApiKey::TXN_OFFSET_COMMIT, 22, 1),
    ("offsets-unknown-member", ApiKey::TXN_OFFSET_COMMIT, 25, 1),
    ("offsets-group-forbidden", ApiKey::TXN_OFFSET_COMMIT, 30, 1),
    ("offsets-bad-epoch", ApiKey::TXN_OFFSET_COMMIT, 47, 1),
    ("commit-load-in-progress", ApiKey::END_TXN, 14, 3),
    ("commit-coordinator-gone", ApiKey::END_TXN, 15, 1),
    ("commit-not-coordinator", ApiKey::END_TXN, 16, 1),
    ("commit-bad-epoch", ApiKey::END_TXN, 47, 1),
    ("commit-bad-state", ApiKey::END_TXN, 48, 1),
    ("commit-concurrent", ApiKey::END_TXN, 51, 3),
    ("commit-unknown-error", ApiKey::END_TXN, -1, 1),
    ("partitions-concurrent", ApiKey::ADD_PARTITIONS_TO_TXN, 51, 5),
    ("partitions-bad-epoch", ApiKey::ADD_PARTITIONS_TO_TXN, 47, 1),
    ("offsets-added-not-coordinator", ApiKey::ADD_OFFSETS_TO_TXN, 16, 1),
    ("records-not-leader", ApiKey::PRODUCE, 6, 1),
    ("records-timed-out", ApiKey::PRODUCE, 7, 1),
    ("records-few-replicas", ApiKey::PRODUCE, 19, 1),
    ("records-out-of-order", ApiKey::PRODUCE, 45, 1),
];

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for work in [Work::Copy, Work::Table] {
        for (name, make) in TOXICS {
            let story = move |world: &World, run: &mut Run| {
                let nth = if name.starts_with("slow") { 1 } else { NTH };
                hurt(world, run, work, make().nth(nth))
            };
            cells.push(Cell::new("network", format!("{}-{name}", work.name()), Needs::App, story));
        }
    }
    for (name, api, code, times) in ANSWERS {
        let story = move |world: &World, run: &mut Run| {
            hurt(world, run, Work::Transfer, told(api, code, times))
        };
        cells.push(Cell::new("network", format!("told-{name}"), Needs::App, story));
    }
    let refused = |world: &World, run: &mut Run| {
        hurt(world, run, Work::Table, told(ApiKey::TXN_OFFSET_COMMIT, 30, 1))
    };
    cells.push(Cell::new("network", "table-told-offsets-group-forbidden", Needs::App, refused));
    for (name, code) in [("bad-epoch", 47), ("unknown-error", -1)] {
        let story = move |world: &World, run: &mut Run| {
            hurt(world, run, Work::Table, told(ApiKey::END_TXN, code, 1))
        };
        cells.push(Cell::new("network", format!("table-told-commit-{name}"), Needs::App, story));
    }
    for (name, code) in [("concurrent", 51), ("not-coordinator", 16), ("loading", 14)] {
        let story = move |world: &World, run: &mut Run| {
            let rule = Rule::on(ApiKey::END_TXN, Side::Request, refuse(code)).nth(NTH);
            hurt(world, run, Work::Transfer, rule)
        };
        cells.push(Cell::new("network", format!("refused-commit-{name}"), Needs::App, story));
    }
    cells
}

/// Says no so many times from the third answer on.
fn told(api: ApiKey, code: i16, times: usize) -> Rule {
    let (mut left, mut no) = (times, with_error(code));
    let act = move |frame: &Frame| {
        if left == 0 {
            return Verdict::Forward;
        }
        left -= 1;
        no(frame)
    };
    Rule::on(api, Side::Response, act).nth(NTH).and_later()
}

fn hurt(world: &World, run: &mut Run, work: Work, rule: Rule) -> Result<()> {
    let case = shared(world, run, work, "network", INPUTS)?;
    let hits = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let proxy = &world.shared()?.proxy;
    proxy.add(rule.counting(&hits).client(&case.client("app")));
    let mut app = case.keep("app")?;
    case.drained(&mut [&mut app])?;
    case.hit(run, hits.load(std::sync::atomic::Ordering::Acquire) > 0)?;
    case.finish(run, app)
}
