//! Plants one fault of every kind into a clean run, and sees it caught under its own name.

use super::*;
use crate::ledger::Fate;

fn input(partition: &Partition, offset: i64, fate: Fate) -> Input {
    let seq = offset + 1000 * i64::from(partition.number);
    Input { offset, seq, key: format!("key-{}", seq % 7), fate }
}

fn rows() -> BTreeMap<Partition, Vec<Input>> {
    (0..2)
        .map(|number| {
            let partition = Partition::new("in", number);
            let fate = |offset| if offset == 3 { Fate::Drop } else { Fate::Copy };
            let inputs = (0..6).map(|offset| input(&partition, offset, fate(offset))).collect();
            (partition, inputs)
        })
        .collect()
}

/// A run without fault: partition 0 is copied to output partition 0, partition 1 to both.
fn clean() -> Evidence {
    let mut evidence = Evidence::default();
    let mut next = [0_i64; 2];
    for (partition, inputs) in &rows() {
        for input in inputs.iter().filter(|input| input.fate == Fate::Copy) {
            let to = if partition.number == 0 { 0 } else { (input.offset % 2) as usize };
            evidence.outputs.push(Output {
                partition: Partition::new("out", to as i32),
                offset: next[to],
                source: Source { partition: partition.clone(), offset: input.offset },
                seq: input.seq,
                key: input.key.clone(),
            });
            next[to] += 1;
        }
        evidence.committed.insert(partition.clone(), 6);
    }
    evidence.ends.insert(Partition::new("out", 0), LogEnd { stable: 10, end: 10 });
    evidence
}

fn source(number: i32, offset: i64) -> Source {
    Source { partition: Partition::new("in", number), offset }
}

/// Plants a fault into a clean run and returns what the checker says.
fn planted(extent: Extent, plant: impl FnOnce(&mut Evidence)) -> Vec<Violation> {
    let mut evidence = clean();
    plant(&mut evidence);
    check(&rows(), &evidence, extent)
}

#[test]
fn a_clean_run_has_no_violations() {
    assert_eq!(planted(Extent::Complete, |_| {}), []);
    assert_eq!(planted(Extent::UpToCommitted, |_| {}), []);
}

#[test]
fn catches_a_gap() {
    let broken = planted(Extent::Complete, |run| drop(run.outputs.remove(1)));
    assert_eq!(broken, [Violation::Lost(source(0, 1))]);
}

#[test]
fn catches_a_duplicate_even_next_to_its_twin() {
    let broken = planted(Extent::Complete, |run| {
        let mut twin = run.outputs[2].clone();
        twin.offset += 100;
        run.outputs.insert(3, twin);
    });
    assert_eq!(broken, [Violation::Duplicate(source(0, 2), 2)]);
}

#[test]
fn catches_a_duplicate_that_stands_in_for_a_lost_record() {
    let broken = planted(Extent::Complete, |run| run.outputs[1] = run.outputs[0].clone());
    assert!(broken.contains(&Violation::Lost(source(0, 1))), "{broken:?}");
    assert!(broken.contains(&Violation::Duplicate(source(0, 0), 2)), "{broken:?}");
}

#[test]
fn catches_a_swap() {
    let broken = planted(Extent::Complete, |run| run.outputs.swap(1, 2));
    assert!(matches!(&broken[..], [Violation::Disorder { after: 2, .. }]), "{broken:?}");
}

#[test]
fn catches_phantoms() {
    for bad in [source(0, 6), source(5, 0), source(0, 3)] {
        let broken = planted(Extent::Complete, |run| {
            let mut ghost = run.outputs[4].clone();
            ghost.source = bad;
            ghost.partition.number = 9;
            run.outputs.push(ghost);
        });
        assert!(matches!(&broken[..], [Violation::Phantom(_)]), "{broken:?}");
    }
}

#[test]
fn catches_altered_numbers_and_keys() {
    let broken = planted(Extent::Complete, |run| run.outputs[0].seq += 1);
    assert!(matches!(&broken[..], [Violation::Altered(_)]), "{broken:?}");
    let broken = planted(Extent::Complete, |run| run.outputs[0].key.push('x'));
    assert!(matches!(&broken[..], [Violation::Altered(_)]), "{broken:?}");
}

#[test]
fn catches_offsets_behind_what_is_visible() {
    let plant = |run: &mut Evidence| {
        run.committed.insert(Partition::new("in", 0), 5);
    };
    let broken = planted(Extent::UpToCommitted, plant);
    assert_eq!(broken, [Violation::Uncommitted(source(0, 5))]);
    let broken = planted(Extent::Complete, plant);
    assert!(matches!(broken[0], Violation::Offset { committed: Some(5), end: 6, .. }));
}

#[test]
fn catches_offsets_ahead_of_what_is_visible() {
    // An offset committed without its output: only the cut shows it, the end does not.
    let broken = planted(Extent::UpToCommitted, |run| {
        run.outputs.retain(|output| output.source != source(1, 4) && output.source != source(1, 5));
        run.committed.insert(Partition::new("in", 1), 5);
    });
    assert_eq!(broken, [Violation::Lost(source(1, 4))]);
    let broken = planted(Extent::UpToCommitted, |run| {
        run.committed.insert(Partition::new("in", 1), 7);
    });
    assert!(matches!(&broken[..], [Violation::Offset { committed: Some(7), .. }]), "{broken:?}");
}

#[test]
fn catches_a_group_that_committed_nothing() {
    let broken = planted(Extent::Complete, |run| run.committed.clear());
    let offsets = broken.iter().filter(|v| matches!(v, Violation::Offset { committed: None, .. }));
    assert_eq!(offsets.count(), 2);
    assert!(broken.contains(&Violation::Uncommitted(source(0, 0))));
}

#[test]
fn accepts_an_unfinished_run_only_as_a_cut() {
    let plant = |run: &mut Evidence| {
        run.outputs.retain(|output| output.source.offset < 2);
        for committed in run.committed.values_mut() {
            *committed = 2;
        }
    };
    assert_eq!(planted(Extent::UpToCommitted, plant), []);
    assert!(planted(Extent::Complete, plant).contains(&Violation::Lost(source(0, 2))));
}

#[test]
fn catches_an_open_transaction() {
    let broken = planted(Extent::Complete, |run| {
        run.ends.insert(Partition::new("out", 0), LogEnd { stable: 8, end: 10 });
    });
    assert!(matches!(&broken[..], [Violation::OpenTransaction(..)]), "{broken:?}");
}

#[test]
fn counts_violations_by_kind() {
    let text = describe(&[Violation::Lost(source(0, 1)), Violation::Lost(source(0, 2))]);
    assert!(text.starts_with("2 violations {\"Lost\": 2}"), "{text}");
}
