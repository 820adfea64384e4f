//! Schemas of any type: their subjects, what they refer to, and their compatibility levels.

use anyhow::Result;
use serde_json::json;

use crate::place::Place;

const ADDRESS: &str = r#"{"type": "record", "name": "shop.Address", "fields": [
    {"name": "city", "type": "string"}]}"#;
const ORDER: &str = r#"{"type": "record", "name": "shop.Order", "fields": [
    {"name": "to", "type": "shop.Address"}]}"#;
const PAYMENT: &str = "syntax = \"proto3\";\npackage shop;\nmessage Payment { int64 cents = 1; }\n";
const REFUND: &str = r#"{"$schema": "http://json-schema.org/draft-07/schema#", "title": "Refund",
    "type": "object", "properties": {"cents": {"type": "integer"}}}"#;

#[test]
fn types_references_and_levels_are_planned_and_set_once() -> Result<()> {
    let place = Place::new("formats")?;
    for (file, text) in [("address.avsc", ADDRESS), ("order.avsc", ORDER), ("refund.json", REFUND)]
    {
        place.write(&format!("manifests/{file}"), text)?;
    }
    place.write("manifests/payment.proto", PAYMENT)?;
    let topic = |more: &str| format!("{{cluster: main, configs: {{num_partitions: 1}}{more}}}");
    let map = [
        ("in", topic("")),
        ("addresses", topic("")),
        (
            "orders",
            topic(
                ", value_references: [{name: shop.Address, subject: STEM-addresses-value, \
                 version: 1}]",
            ),
        ),
        (
            "payments",
            topic(", key_format: text, value_format: protobuf, value_compatibility: FULL"),
        ),
        ("refunds", topic(", value_subjects: topic_record, value_compatibility: backward")),
    ];
    let map: String = map.map(|(name, entry)| format!("STEM-{name}: {entry}\n")).concat();
    place.topics(&map)?;
    let manifest = |outputs: &str, schemas: &str| {
        format!("app: STEM\nkind: app\ninput: STEM-in\noutput: [{outputs}]\nschemas: {{{schemas}}}")
    };
    // What is referred to is there first.
    let (outputs, first) = ("STEM-addresses", "STEM-addresses: address.avsc");
    place.write("manifests/app.yaml", &manifest(outputs, first))?;
    place.provision()?;
    let outputs = "STEM-addresses, STEM-orders, STEM-payments, STEM-refunds";
    let schemas = format!(
        "{first}, STEM-orders: order.avsc, STEM-payments: payment.proto, STEM-refunds: refund.json"
    );
    place.write("manifests/app.yaml", &manifest(outputs, &schemas))?;
    let plan = place.plan()?;
    let levels = plan["levels"].as_array().map_or(&[][..], Vec::as_slice);
    let shown: Vec<_> = levels.iter().map(|step| (&step["subject"], &step["level"])).collect();
    let payments = json!(place.name("payments-value"));
    let refunds = json!(format!("{}-Refund", place.name("refunds")));
    let wanted = [(&payments, &json!("FULL")), (&refunds, &json!("BACKWARD"))];
    assert_eq!(shown, wanted, "{plan}");
    let steps = plan["schemas"].as_array().map_or(&[][..], Vec::as_slice);
    let kinds: Vec<_> = steps.iter().map(|step| (&step["subject"], &step["kind"])).collect();
    assert!(kinds.contains(&(&payments, &json!("PROTOBUF"))), "{plan}");
    assert!(kinds.contains(&(&refunds, &json!("JSON"))), "{plan}");
    let keys = json!(place.name("payments-key"));
    assert!(kinds.iter().all(|(subject, _)| **subject != keys), "keys are text: {plan}");
    place.provision()?;
    let said = place.run(&["plan"])?.ended(0);
    assert!(said.contains("Nothing to do"), "{said}");
    place.run(&["check", "--app", &place.stem])?.ended(0);
    // Without what it refers to it cannot be.
    place.topics(&map.replace("value_references", "value_refs"))?;
    let said = place.run(&["plan"])?.ended(1);
    assert!(said.contains("shop.Address"), "{said}");
    Ok(())
}

/// `STEM-a` refers to `STEM-z`: by name it would come first, and the registry knows neither.
#[test]
fn what_is_referred_to_is_registered_first_and_a_circle_is_named() -> Result<()> {
    let place = Place::new("references")?;
    place.write("manifests/address.avsc", ADDRESS)?;
    place.write("manifests/order.avsc", ORDER)?;
    let topic = |more: &str| format!("{{cluster: main, configs: {{num_partitions: 1}}{more}}}");
    let refers = |name: &str, to: &str, version: u32| {
        topic(&format!(
            ", value_references: [{{name: {name}, subject: STEM-{to}-value, version: {version}}}]"
        ))
    };
    let map = |a: String, z: String| {
        place.topics(&format!("STEM-in: {}\nSTEM-a: {a}\nSTEM-z: {z}\n", topic("")))
    };
    let manifest = "app: STEM\nkind: app\ninput: STEM-in\noutput: [STEM-a, STEM-z]\n\
        schemas: {STEM-a: order.avsc, STEM-z: address.avsc}";
    place.write("manifests/app.yaml", manifest)?;
    map(refers("shop.Address", "z", 1), refers("shop.Order", "a", 1))?;
    let said = place.run(&["plan"])?.ended(1);
    assert!(said.contains("a-value -> ") && said.contains("circle"), "{said}");
    map(refers("shop.Address", "z", 2), topic(""))?;
    let said = place.run(&["plan"])?.ended(1);
    assert!(said.contains("will have version 1"), "{said}");
    map(refers("shop.Address", "z", 1), topic(""))?;
    let plan = place.plan()?;
    let steps = plan["schemas"].as_array().map_or(&[][..], Vec::as_slice);
    let values: Vec<_> = steps.iter().filter_map(|step| step["subject"].as_str()).collect();
    let values: Vec<_> = values.into_iter().filter(|name| name.ends_with("-value")).collect();
    assert_eq!(values, [place.name("z-value"), place.name("a-value")], "{plan}");
    place.provision()?;
    let said = place.run(&["plan"])?.ended(0);
    assert!(said.contains("Nothing to do"), "{said}");
    Ok(())
}
