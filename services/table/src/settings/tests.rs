use std::io;

use super::*;

const SCHEMA: &str = r#"{"type": "record", "name": "R", "fields": []}"#;

fn parse(text: &str) -> Result<Settings, Vec<Problem>> {
    Settings::parse("table.yaml", text, &|file| match file {
        "a.vrl" => Ok(".".into()),
        "r.avsc" => Ok(SCHEMA.into()),
        "token" => Ok("do-not-print-me\n".into()),
        "empty" => Ok("\n".into()),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "not found")),
    })
}

fn places(text: &str) -> Vec<String> {
    let problems = parse(text).expect_err(text);
    assert!(problems.iter().all(|p| !p.expected.is_empty() && !p.example.is_empty()));
    problems.iter().map(|p| format!("{}: {}", p.place, p.read)).collect()
}

#[test]
fn a_whole_file_is_read() {
    let settings = parse(
        "program: a.vrl
input: {topic: people, schema: r.avsc}
entry: r.avsc
outputs: [{topic: out, schema: r.avsc}]
lookups:
  port: 8080
  address: 127.0.0.1
  peers: http://table-headless:8080
  advertised_url: https://table-0.example.org
  bearer_token_file: token",
    )
    .expect("settings");
    assert_eq!(settings.topic(), "people");
    assert_eq!(settings.inputs[0].source.name, "a.vrl");
    let lookups = settings.lookups.as_ref().expect("lookups");
    assert_eq!(lookups.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(lookups.peers, Peers::Name("http://table-headless:8080".parse().expect("URL")));
    assert_eq!(lookups.access, Access::Bearer("do-not-print-me".into()));
    assert!(!format!("{settings:?}").contains("do-not-print-me"));
    settings.compile(&[]).unwrap_or_else(|problems| panic!("{}", problems[0]));
}

#[test]
fn a_mode_takes_the_place_of_a_program() {
    let settings = parse("input: {topic: people}\nmode: deduplicate\nwindow_seconds: 60");
    let settings = settings.expect("settings");
    assert_eq!(settings.mode, Some(Mode::Deduplicate { window: Duration::from_secs(60) }));
    assert!(settings.inputs[0].source.text.contains("60000"), "the window is in the program");
    assert!(settings.lookups.is_none() && settings.outputs.is_empty());
}

#[test]
fn every_problem_is_named_with_its_place() {
    let said = places("modus: latest\nwindow_seconds: 0\nentry: nowhere\ndefault_output: x");
    let wanted = [
        ": modus",
        "window_seconds: 0",
        "program: nothing",
        "input: nothing",
        "default_output: x",
        "entry: nowhere",
    ];
    assert_eq!(said, wanted);
    let input = "input: {topic: people}\n";
    for (text, wanted) in [
        ("mode: newest", "mode: newest"),
        ("mode: deduplicate", "window_seconds: nothing"),
        ("mode: latest\nwindow_seconds: 5", "window_seconds: a number"),
        ("mode: latest\nprogram: a.vrl", "program: both"),
        ("mode: 7", "mode: 7"),
        ("mode: latest\noutputs: []", "outputs: []"),
        ("mode: latest\noutputs: [{topic: people, schema: r.avsc}]", "outputs: people"),
        ("mode: latest\nlookups: {}", "lookups.port: nothing"),
        ("mode: latest\nlookups: {port: 70000}", "lookups.port: 70000"),
        ("mode: latest\nlookups: {port: 1, address: here}", "lookups.address: here"),
        ("mode: latest\nlookups: {port: 1, peers: 7}", "lookups.peers: 7"),
        ("mode: latest\nlookups: {port: 1, peers: [ftp://x]}", "lookups.peers[0]: another text"),
        (
            "mode: latest\nlookups: {port: 1, advertised_url: 'http://u:p@x'}",
            "lookups.advertised_url: another text",
        ),
        ("mode: latest\nlookups: {port: 1, username: u}", "lookups.password_file: nothing"),
        ("mode: latest\nlookups: {port: 1, password_file: token}", "lookups.username: nothing"),
        (
            "mode: latest\nlookups: {port: 1, bearer_token_file: empty}",
            "lookups.bearer_token_file: empty",
        ),
        (
            "mode: latest\nlookups: {port: 1, bearer_token_file: gone}",
            "lookups.bearer_token_file: gone",
        ),
        (
            "mode: latest\nlookups: {port: 1, bearer_token_file: token, username: u}",
            "lookups.bearer_token_file: both",
        ),
    ] {
        assert_eq!(places(&format!("{input}{text}")), [wanted], "{text}");
    }
}
