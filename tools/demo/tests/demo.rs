//! The demo as a newcomer meets it.

use nubium_local::program::{Program, row};

const DEMO: Program = Program::new(env!("CARGO_BIN_EXE_funnel-demo"));

#[test]
fn the_demo_accounts_for_every_record() {
    let (code, text) = DEMO.ask(&["--records", "300"]).expect("the binary starts");
    assert_eq!(code, 0, "{text}");
    let numbers = |what: &str| -> Vec<u64> {
        let cells = row(&text, what).split(['│', '┆', '|']);
        cells.filter_map(|cell| cell.trim().parse().ok()).collect()
    };
    assert_eq!(numbers("consumed"), [303], "{text}");
    let produced: Vec<_> = text.lines().filter(|line| line.contains(" produced ")).collect();
    assert_eq!(produced.len(), 2, "{text}");
    let sums: Vec<u64> = ["strikes ", "strikes-damaging", "failed", "dropped by"]
        .iter()
        .map(|what| numbers(what)[0])
        .collect();
    assert_eq!(sums.iter().sum::<u64>(), 303, "{text}");
    assert!(sums[2] >= 3, "the messages that are no Avro: {text}");
    for what in ["strikes ", "strikes-damaging", "failed"] {
        let [counted, read] = numbers(what)[..] else { panic!("{text}") };
        assert_eq!(counted, read, "{text}");
    }
}

#[test]
fn a_cluster_needs_a_registry() {
    let (code, text) = DEMO.ask(&["--bootstrap", "host:9092"]).expect("the binary starts");
    assert_eq!(code, 2, "{text}");
}
