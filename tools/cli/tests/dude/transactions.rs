//! `dude tx`.

use nubium_test_kit::reader;
use serde_json::json;

use crate::groups::open_transaction;
use crate::world::{DEADLINE, World};

#[test]
fn an_open_transaction_is_listed_and_aborted() {
    let mut world = World::new();
    let topic = world.topic("orders", 1);
    let id = world.name("writer");
    let producer = open_transaction(&world, &id, &topic);
    let listed = world.ok(&["tx", "list", "--topic", &topic, "--json"]).json();
    let found = listed.as_array().expect("list").iter().find(|found| found["id"] == "writer");
    let found = found.unwrap_or_else(|| panic!("{listed}"));
    assert_eq!((&found["state"], &found["hangs"]), (&json!("Ongoing"), &json!(false)));
    assert_eq!(found["partitions"], json!(["orders[0]"]));
    let said = world.ok(&["tx", "list", "--topic", &topic]);
    let row = said.rows().into_iter().find(|row| row.starts_with("writer | ")).expect("row");
    assert!(row.ends_with("| 600s | orders[0]"), "{row}");
    assert!(!world.ok(&["tx", "list", "--older", "1d"]).out.contains("writer"));

    let number = found["producer"].to_string();
    let by_number = ["tx", "abort", "--topic", &topic, "--partition", "0", "--producer", &number];
    let said = world.dude(&[&by_number[..], &["--yes"]].concat());
    assert_eq!(said.code, 1, "it is open and does not hang: {said:?}");
    assert!(said.err.contains("hangs on orders[0]"), "{said:?}");
    let said = world.dude(&["tx", "abort", "--id", &id]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("Abort the transaction of writer"), "{said:?}");
    let said = world.ok(&["tx", "abort", "--id", &id, "--yes"]);
    assert_eq!(said.out.trim(), "The transaction of writer is aborted.");
    reader::settled(&world.bootstrap, &[&topic], DEADLINE).expect("readers go on");
    assert_eq!(world.ok(&["consume", &topic]).out, "", "what was open is not there");
    let said = world.dude(&["tx", "abort", "--id", &id, "--yes"]);
    assert!(said.code == 1 && said.err.contains("no open transaction"), "{said:?}");
    let said = world.dude(&["tx", "abort", "--id", "dude-nobody", "--yes"]);
    assert!(said.code == 3 && said.err.contains("no coordinator knows"), "{said:?}");
    assert_eq!(world.dude(&["tx", "abort", "--topic", &topic]).code, 2);
    drop(producer);
}
