use std::time::Duration;

use super::*;

const S: u64 = 1000;
const MINUTE: u64 = 60 * S;

/// 2 min for the app function, 40 s for a transaction, 5 min out of the group or stalled.
fn limits() -> Limits {
    Limits::new(Duration::from_secs(120), Duration::from_secs(10))
}

/// A member that turned just now, at a time far from zero.
fn member(now: u64) -> Pulse {
    let pulse = Pulse::new(now - 100 * MINUTE);
    pulse.group(Group::Member, now - 99 * MINUTE);
    pulse.turn(now);
    pulse
}

struct Case {
    name: &'static str,
    live: bool,
    ready: bool,
    /// A word that the reasons must contain; empty when there must be none.
    says: &'static str,
    notes: fn(&Pulse, u64),
}

fn check(cases: &[Case]) {
    let now = 1000 * MINUTE;
    for case in cases {
        let pulse = member(now);
        (case.notes)(&pulse, now);
        let health = judge(&[pulse.snapshot()], now, &limits());
        let name = case.name;
        assert_eq!(
            (health.live.ok, health.ready.ok),
            (case.live, case.ready),
            "{name}: {health:?}"
        );
        let reasons = health.ready.reasons.join(" ");
        assert!(reasons.contains(case.says), "{name}: {reasons}");
        assert_eq!(reasons.is_empty(), case.says.is_empty(), "{name}: {reasons}");
        assert_eq!(health.live.ok, health.live.reasons.is_empty(), "{name}: red has a reason");
    }
}

#[test]
fn a_wedge_is_red() {
    let red = |name, says, notes| Case { name, live: false, ready: false, says, notes };
    check(&[
        red("the loop is stuck in a call", "wedged", |p, now| p.turn(now - 61 * S)),
        red("idle, and stuck in a poll", "wedged", |p, now| {
            p.input_waiting(false, now);
            p.turn(now - 900 * MINUTE);
        }),
        red("the app function never returns", "max.poll.interval", |p, now| {
            p.app_started(now - 121 * S);
            p.turn(now - 121 * S);
        }),
        red("a commit never returns while the loop turns", "one transaction", |p, now| {
            p.commit_started(now - 41 * S);
        }),
        red("the brokers are gone", "reaches no broker", |p, now| {
            p.broker(false, now - 301 * S);
        }),
        red("out of the group while input waits", "out of its group", |p, now| {
            p.group(Group::Joining, now - 6 * MINUTE);
            p.input_waiting(true, now - 7 * MINUTE);
        }),
        red("a member that fetches nothing", "handled no message", |p, now| {
            p.input_waiting(true, now - 6 * MINUTE);
        }),
        red("stalled after it had worked", "handled no message", |p, now| {
            p.input_waiting(true, now - 60 * MINUTE);
            p.app_started(now - 7 * MINUTE);
            p.app_finished(now - 6 * MINUTE);
            p.turn(now);
        }),
        red("only aborts, no commit", "handled no message", |p, now| {
            p.input_waiting(true, now - 60 * MINUTE);
            p.commit_started(now - 2 * S);
            p.commit_finished(now - S, false);
        }),
        red("a wait on purpose that is long over", "handled no message", |p, now| {
            p.input_waiting(true, now - 60 * MINUTE);
            p.wait_until(now - 6 * MINUTE);
        }),
        red("restoring, and stuck in it", "wedged", |p, now| {
            p.recovering(true, now - 30 * MINUTE);
            p.turn(now - 2 * MINUTE);
        }),
    ]);
}

#[test]
fn normal_work_and_waits_on_purpose_are_green() {
    let green = |name, notes| Case { name, live: true, ready: true, says: "", notes };
    check(&[
        green("idle for hours", |p, now| {
            p.input_waiting(true, now - 99 * MINUTE);
            p.input_waiting(false, now - 98 * MINUTE);
        }),
        green("idle, with more members than partitions", |_, _| {}),
        green("a slow app function within its limit", |p, now| {
            p.turn(now - 110 * S);
            p.app_started(now - 110 * S);
        }),
        green("a slow app function that just returned", |p, now| {
            p.turn(now - 110 * S);
            p.app_started(now - 110 * S);
            p.app_finished(now);
        }),
        green("a slow commit within its limit", |p, now| p.commit_started(now - 39 * S)),
        green("a rebalance with a slow member", |p, now| {
            p.input_waiting(true, now - 60 * MINUTE);
            p.group(Group::Joining, now - 4 * MINUTE);
        }),
        green("just back from a long rebalance", |p, now| {
            p.input_waiting(true, now - 60 * MINUTE);
            p.group(Group::Joining, now - 7 * MINUTE);
            p.group(Group::Member, now - S);
        }),
        green("a retry time offset of an hour", |p, now| {
            p.input_waiting(true, now - 60 * MINUTE);
            p.wait_until(now + 50 * MINUTE);
        }),
        green("input came a moment ago after a day of none", |p, now| {
            p.input_waiting(true, now - S);
        }),
        green("an input topic came back", |p, now| p.input_gone_until(now)),
        green("committing all the time", |p, now| {
            p.input_waiting(true, now - 90 * MINUTE);
            p.commit_started(now - 2 * S);
            p.commit_finished(now - S, true);
        }),
        green("a broker came back", |p, now| {
            p.broker(false, now - 60 * MINUTE);
            p.broker(true, now - S);
        }),
    ]);
}

#[test]
fn what_does_not_work_now_and_needs_no_restart_is_live_but_not_ready() {
    let waits = |name, says, notes| Case { name, live: true, ready: false, says, notes };
    check(&[
        waits("the registry is down for an hour", "schema registry for 3600 s", |p, now| {
            p.input_waiting(true, now - 90 * MINUTE);
            p.registry(false, now - 60 * MINUTE);
        }),
        waits("a broker is gone for a minute", "no broker for 60 s", |p, now| {
            p.broker(false, now - MINUTE);
        }),
        waits("out of the group with no input", "joining its group for 600 s", |p, now| {
            p.group(Group::Joining, now - 10 * MINUTE);
        }),
        waits("a long restore", "recovering for 1800 s", |p, now| {
            p.recovering(true, now - 30 * MINUTE);
            p.input_waiting(true, now - 30 * MINUTE);
        }),
        waits("an input topic was deleted", "misses an input topic", |p, now| {
            p.input_gone_until(now + 60 * S);
        }),
        waits("stopping, for long", "stopping", |p, now| {
            p.group(Group::Left, now - 10 * MINUTE);
            p.turn(now - 10 * MINUTE);
        }),
    ]);
}

#[test]
fn starting_is_live_and_not_ready() {
    let none = judge(&[], 0, &limits());
    assert!(none.live.ok && !none.ready.ok);
    let starting = Pulse::new(5 * S);
    let health = judge(&[starting.snapshot()], 6 * S, &limits());
    assert!(health.live.ok && !health.ready.ok, "{health:?}");
    assert!(health.ready.reasons[0].contains("starting"));
}

#[test]
fn one_red_loop_of_many_makes_the_process_red_and_is_named() {
    let now = 1000 * MINUTE;
    let (fine, wedged) = (member(now), member(now));
    wedged.turn(now - 10 * MINUTE);
    let health = judge(&[fine.snapshot(), wedged.snapshot()], now, &limits());
    assert!(!health.live.ok);
    assert_eq!(health.live.reasons.len(), 1);
    let said = &health.live.reasons[0];
    assert_eq!(said, "Loop 1 made no turn for 600 s (limit 60 s): it is wedged in a call.");
}

#[test]
fn a_limit_itself_is_still_green_and_a_millisecond_more_is_red() {
    let now = 1000 * MINUTE;
    for (age, ok) in [(60 * S, true), (60 * S + 1, false)] {
        let pulse = member(now);
        pulse.turn(now - age);
        assert_eq!(judge(&[pulse.snapshot()], now, &limits()).live.ok, ok, "{age} ms");
    }
    // A note from a moment after `now` was read, by another thread.
    let pulse = member(now);
    pulse.turn(now + 5);
    assert!(judge(&[pulse.snapshot()], now, &limits()).live.ok);
}
