use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

type Plain = Lanes<u64, ()>;

/// Everything that can be begun.
fn start_all(lanes: &mut Plain) -> Vec<(i32, u64)> {
    std::iter::from_fn(|| lanes.start()).map(|(at, ticket)| (at.partition, ticket)).collect()
}

#[test]
fn of_a_lane_one_runs_and_a_slow_one_holds_up_nobody_else() {
    let mut lanes = Plain::default();
    for (ticket, lane) in [1, 2, 1, 2, 3].into_iter().enumerate() {
        lanes.admit(at(0), Some(lane), 9, ticket as u64);
    }
    assert_eq!(start_all(&mut lanes), [(0, 0), (0, 1), (0, 4)]);
    lanes.finish(at(0), 1, 1);
    lanes.finish(at(0), 4, 1);
    assert_eq!(start_all(&mut lanes), [(0, 3)]);
    lanes.finish(at(0), 3, 1);
    assert_eq!(lanes.complete(), None, "the first is not done");
    lanes.step_aside(at(0), 0);
    assert_eq!((lanes.running(), start_all(&mut lanes)), (0, vec![]), "its lane waits for it");
    lanes.come_back(at(0), 0);
    assert_eq!(start_all(&mut lanes), [(0, 0)]);
    lanes.finish(at(0), 0, 1);
    let done: Vec<_> = std::iter::from_fn(|| lanes.complete()).map(|(_, t, _)| t).collect();
    assert_eq!((done, start_all(&mut lanes)), (vec![0, 1], vec![(0, 2)]));
}

#[test]
fn partitions_take_turns_and_go_alone() {
    let mut lanes = Plain::default();
    (0..3).for_each(|n| lanes.admit(at(0), None, 9, n));
    (0..2).for_each(|n| lanes.admit(at(1), None, 9, n));
    assert_eq!(start_all(&mut lanes), [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]);
    lanes.finish(at(0), 0, 1);
    lanes.release(&[at(0)]);
    assert_eq!((lanes.running(), lanes.total(), lanes.complete()), (2, 2, None));
    lanes.finish(at(0), 1, 1);
    lanes.finish(at(1), 0, 1);
    lanes.finish(at(1), 0, 1);
    assert_eq!((lanes.running(), lanes.complete()), (1, Some((at(1), 0, 0))));
    lanes.clear();
    assert_eq!((lanes.running(), lanes.total()), (0, 0));
}

/// What a message belongs to, and what happens next: the numbers choose among what is possible.
fn steps() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    proptest::collection::vec((0..6_u8, 0..3_u8, 0..4_u8), 1..200)
}

proptest! {
    #[test]
    fn each_completes_once_and_in_order_and_lanes_never_overlap(steps in steps()) {
        let mut lanes: Lanes<(u64, u64), ()> = Lanes::default();
        let mut admitted = BTreeMap::<i32, u64>::new();
        let mut completed = BTreeMap::<i32, u64>::new();
        let mut running: Vec<(i32, u64)> = Vec::new();
        let mut aside: Vec<(i32, u64)> = Vec::new();
        let mut last = BTreeMap::<(i32, u64), u64>::new();
        let mut lane_of = BTreeMap::<(i32, u64), u64>::new();
        // In the end everything that was begun goes on and finishes.
        let end = std::iter::repeat_n([(1, 0, 0), (4, 0, 0), (3, 0, 0), (5, 0, 0)], 300).flatten();
        for (what, partition, choice) in steps.into_iter().chain(end) {
            let (of, pick) = (i32::from(partition), usize::from(choice));
            match what {
                0 => {
                    let next = admitted.entry(of).or_default();
                    lane_of.insert((of, *next), u64::from(choice));
                    // Lane 3 is none.
                    let lane = (choice < 3).then_some(u64::from(choice));
                    lanes.admit(at(of), lane, 9, (u64::from(choice), *next));
                    *next += 1;
                }
                1 => {
                    let Some((at, ticket)) = lanes.start() else { continue };
                    let place = (at.partition, ticket);
                    let lane = lane_of[&place];
                    let busy = running.iter().chain(&aside).any(|other| {
                        other.0 == place.0 && lane_of[other] == lane
                    });
                    prop_assert!(lane == 3 || !busy, "two of a lane");
                    if let Some(before) = last.insert((place.0, lane), ticket) {
                        prop_assert!(lane == 3 || before <= ticket, "out of order in a lane");
                    }
                    running.push(place);
                }
                2 if !running.is_empty() => {
                    let place = running.remove(pick % running.len());
                    lanes.step_aside(at(place.0), place.1);
                    aside.push(place);
                }
                3 if !running.is_empty() => {
                    let place = running.remove(pick % running.len());
                    lanes.finish(at(place.0), place.1, 1);
                }
                4 if !aside.is_empty() => {
                    let place = aside.remove(pick % aside.len());
                    lanes.come_back(at(place.0), place.1);
                }
                5 => while let Some((at, ticket, (_, number))) = lanes.complete() {
                    let next = completed.entry(at.partition).or_default();
                    prop_assert_eq!((*next, *next), (ticket, number));
                    *next += 1;
                },
                _ => {}
            }
            prop_assert_eq!(lanes.running(), running.len());
        }
        prop_assert_eq!((lanes.total(), lanes.total_weight()), (0, 0));
        completed.retain(|_, count| *count > 0);
        prop_assert_eq!(completed, admitted);
    }
}
