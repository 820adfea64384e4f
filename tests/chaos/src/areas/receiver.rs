//! The HTTP receiver: what is answered 200 is in the topic once.

use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::kproxy::{ApiKey, Rule, Side, close, delay, lose, with_error};
use nubium_test_kit::receiver::{Receiver, verify};
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::topics;
use nubium_test_kit::wait::last;

use crate::cell::{Cell, Needs, Run};
use crate::world::World;

const CONNECTIONS: usize = 8;
const BEFORE: u64 = 20;

type Make = fn() -> Rule;

const FAULTS: [(&str, Make); 8] = [
    ("request-cut", || Rule::on(ApiKey::PRODUCE, Side::Request, close()).nth(5)),
    ("answer-cut", || Rule::on(ApiKey::PRODUCE, Side::Response, close()).nth(5)),
    ("answer-lost", || Rule::on(ApiKey::PRODUCE, Side::Response, lose()).nth(5)),
    ("late", || {
        let wait = delay(Duration::from_millis(1_500));
        Rule::on(ApiKey::PRODUCE, Side::Request, wait).nth(5)
    }),
    ("told-not-leader", || Rule::on(ApiKey::PRODUCE, Side::Response, with_error(6)).nth(5)),
    ("told-timed-out", || Rule::on(ApiKey::PRODUCE, Side::Response, with_error(7)).nth(5)),
    ("told-few-replicas", || Rule::on(ApiKey::PRODUCE, Side::Response, with_error(19)).nth(5)),
    ("told-too-large", || Rule::on(ApiKey::PRODUCE, Side::Response, with_error(10)).nth(5)),
];

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (name, make) in FAULTS {
        let story = move |world: &World, run: &mut Run| hurt(world, run, |_| Ok(()), Some(make()));
        cells.push(Cell::new("receiver", name, Needs::App, story));
    }
    let killed =
        |world: &World, run: &mut Run| hurt(world, run, |receiver| receiver.process().kill(), None);
    cells.push(Cell::new("receiver", "killed", Needs::App, killed));
    let never = |world: &World, run: &mut Run| {
        // Nothing more is taken, longer than the receiver waits for it.
        let fault = |receiver: &Receiver| {
            last(Duration::from_secs(7));
            receiver.process().kill()
        };
        let rule = Rule::on(ApiKey::PRODUCE, Side::Request, close()).nth(30).and_later();
        hurt(world, run, fault, Some(rule))
    };
    cells.push(Cell::new("receiver", "nothing-is-taken-any-more", Needs::App, never));
    let stopped = |world: &World, run: &mut Run| {
        hurt(
            world,
            run,
            |receiver| {
                receiver.process().signal(nubium_test_kit::process::Signal::TERM)?;
                receiver.process().wait(DEADLINE).map(drop)
            },
            None,
        )
    };
    cells.push(Cell::new("receiver", "stopped", Needs::App, stopped));
    cells
}

fn hurt(
    world: &World,
    run: &mut Run,
    fault: impl Fn(&Receiver) -> Result<()>,
    rule: Option<Rule>,
) -> Result<()> {
    let faulty = world.shared()?;
    let cluster = world.cluster(faulty);
    let topic = topics::unique("forms");
    topics::create(&cluster.bootstrap, &[(&topic, 2)])?;
    let settings = format!(
        "limits: {{delivery_seconds: 5, drain_delay_seconds: 0}}\n\
         routes: [{{path: /forms, topic: {topic}, schema: form.avsc, key: /id}}]\n"
    );
    let program = world.binaries().join("receiver-under-test").display().to_string();
    let host = topics::unique("web-forms");
    let hits = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let hurts = rule.is_some();
    if let Some(rule) = rule {
        faulty.proxy.add(rule.counting(&hits).client(&host));
    }
    let mutant = [("NUBIUM_MUTANT", world.mutant())];
    let address = (cluster.app_bootstrap.as_str(), cluster.registry.as_str());
    let receiver = Receiver::start_as(&program, address, &host, &mutant, &settings, &[])?;
    let load = receiver.load("/forms", CONNECTIONS);
    load.acknowledged(BEFORE, DEADLINE)?;
    fault(&receiver)?;
    if hurts && receiver.process().is_running() {
        load.acknowledged(BEFORE, DEADLINE)?;
        let hit = hits.load(std::sync::atomic::Ordering::Acquire) > 0;
        run.holds("the fault came about", hit, || "it never did".into());
    }
    let answers = receiver.finish(load)?;
    let found = verify(&cluster.bootstrap, &topic, &answers);
    let count = found.as_ref().map_or(0, |count| *count);
    run.looked("what was answered 200 is there, and nothing twice", found.map(drop));
    run.holds("it took records", count as u64 >= BEFORE, || format!("{count}"));
    Ok(())
}
