use std::io;

use super::*;

const SCHEMA: &str = r#"{"type": "record", "name": "R", "fields": []}"#;

fn parse(text: &str) -> Result<Settings, Vec<Problem>> {
    Settings::parse("funnel.yaml", text, &|file| match file {
        "a.vrl" | "b.vrl" => Ok("abort".into()),
        "r.avsc" => Ok(SCHEMA.into()),
        "broken.avsc" => Ok("{}".into()),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "not found")),
    })
}

#[test]
fn a_whole_file_is_read() {
    let settings = parse(
        "program: a.vrl
inputs:
  - topic: one
  - {topic: two, program: b.vrl, schema: r.avsc}
outputs:
  - {topic: left, schema: r.avsc}
  - {topic: right, schema: r.avsc}
default_output: right",
    )
    .expect("settings");
    let programs: Vec<_> = settings.inputs.iter().map(|i| i.source.name.as_str()).collect();
    assert_eq!(programs, ["a.vrl", "b.vrl"]);
    assert!(settings.inputs[0].schema.is_none());
    assert_eq!(settings.inputs[1].schema.as_ref().expect("schema").name, "r.avsc");
    assert_eq!(settings.default_output, Some(1));
    assert_eq!(settings.topics().into_iter().collect::<Vec<_>>(), ["left", "one", "right", "two"]);
    settings.compile(&[None, None]).expect("compiled");
}

#[test]
fn every_problem_is_named_with_its_place() {
    let problems = parse(
        "programm: a.vrl
inputs:
  - {topic: 'no spaces'}
  - {topic: one, program: a.vrl, schema: missing.avsc}
  - {topic: [two], program: a.vrl}
  - {program: a.vrl, shema: r.avsc}
  - three
outputs:
  - {topic: one}
  - {topic: out, schema: broken.avsc}
  - {topic: same, schema: r.avsc}
  - {topic: same, schema: r.avsc}
default_output: nowhere",
    )
    .expect_err("problems");
    let said: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.place, p.read)).collect();
    let wanted = [
        ": programm",
        "inputs[4]: three",
        "inputs[0].topic: no spaces",
        "inputs[0].program: nothing",
        "inputs[1].schema: missing.avsc",
        "inputs[2].topic: - two",
        "inputs[3]: shema",
        "inputs[3].topic: nothing",
        "outputs[0].schema: nothing",
        "outputs[1].schema: broken.avsc",
        "outputs: same",
        "default_output: nowhere",
    ];
    assert_eq!(said, wanted);
    assert!(problems.iter().all(|p| !p.expected.is_empty() && !p.example.is_empty()));
}

#[test]
fn what_is_no_document_is_one_problem() {
    for (text, read) in [("inputs: [", "no YAML"), ("- a", "- a"), ("", "null")] {
        let problems = parse(text).expect_err(text);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].read, read);
    }
    let problems = parse("inputs: []").expect_err("nothing to do");
    let places: Vec<_> = problems.iter().map(|p| p.place.as_str()).collect();
    assert_eq!(places, ["inputs", "outputs"]);
}

#[test]
fn a_file_that_cannot_be_read_names_its_setting() {
    let problems = Settings::load(Path::new("/nonexistent/funnel.yaml")).expect_err("no file");
    assert_eq!(problems[0].setting, "NU_FUNNEL_CONFIG");
    assert_eq!(problems[0].read, "/nonexistent/funnel.yaml");
}
