//! `check`, as an init container runs it.

use anyhow::Result;
use serde_json::Value;

use crate::place::Place;

const TABLE: &str = "{app: STEM-t, kind: table, input: STEM-in}";

fn place() -> Result<Place> {
    let place = Place::new("check")?;
    place.topics("STEM-in: {cluster: main, configs: {num_partitions: 2}}")?;
    place.write("manifests/t.yaml", TABLE)?;
    Ok(place)
}

fn failed(place: &Place) -> Result<Vec<(String, String)>> {
    let mut check = place.command(&["check", "--json"]);
    let said = Place::said(check.env("NU_SCHEMA_REGISTRY_AUTO_REGISTER", "false"))?;
    let findings: Vec<Value> = serde_json::from_str(&said.out)?;
    let failed = findings.iter().filter(|finding| finding["passed"] == false);
    let text = |value: &Value| value.as_str().unwrap_or_default().replace(&place.stem, "STEM");
    let failed: Vec<_> = failed.map(|one| (text(&one["what"]), text(&one["found"]))).collect();
    assert_eq!(said.code, i32::from(!failed.is_empty()));
    Ok(failed)
}

#[test]
fn what_is_missing_is_named() -> Result<()> {
    let place = place()?;
    let missing: Vec<_> = failed(&place)?.into_iter().map(|(what, _)| what).collect();
    let wanted = [
        "topic STEM-in",
        "topic STEM-t__changelog",
        "schema STEM-t__changelog-key",
        "schema STEM-t__changelog-value",
    ];
    assert_eq!(missing, wanted);
    place.provision()?;
    assert_eq!(failed(&place)?, []);
    Ok(())
}

#[test]
fn a_changelog_that_is_narrower_than_its_input_is_found() -> Result<()> {
    let place = place()?;
    place.provision()?;
    // Somebody raises the input by hand, with a manifest that knows of no table.
    place.topics("STEM-in: {cluster: main, configs: {num_partitions: 3}}")?;
    std::fs::remove_file(place.path("manifests/t.yaml"))?;
    place.provision()?;
    place.write("manifests/t.yaml", TABLE)?;
    let wanted = ("partitions of STEM-t__changelog", "2, but its input STEM-in has 3");
    assert_eq!(failed(&place)?, [(wanted.0.to_owned(), wanted.1.to_owned())]);
    Ok(())
}

#[test]
fn an_init_container_waits_until_another_has_provisioned() -> Result<()> {
    let place = place()?;
    let waiting = place.command(&["check", "--wait", "120", "--app", &place.name("t")]);
    let mut waiting = waiting_for(waiting)?;
    place.provision()?;
    assert!(waiting.wait()?.success());
    place.run(&["check", "--app", "nobody"])?.ended(1);
    Ok(())
}

/// Starts it and waits until it says that something is missing.
fn waiting_for(mut command: std::process::Command) -> Result<std::process::Child> {
    use std::io::BufRead as _;
    let mut child = command.stderr(std::process::Stdio::piped()).spawn()?;
    let errors = child.stderr.take().map(std::io::BufReader::new);
    let mut lines = errors.into_iter().flat_map(|errors| errors.lines()).map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("Not yet")), "it found nothing missing");
    // What it says further must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(child)
}
