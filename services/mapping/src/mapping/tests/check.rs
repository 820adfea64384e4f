//! What the check at start-up finds.

use super::*;

/// Compiles a program that must be refused, and gives what is said about it.
fn refused(program: &str) -> String {
    compile(program).expect_err(program)
}

#[test]
fn mistakes_are_found_before_the_first_message() {
    let cases = [
        // Types.
        (".email = upcase(.emial)", "invalid argument type"),
        (".email = upcase(.name)", "argument type is `string or null`"),
        (".clicks = .clicks / 2", "`clicks`: the schema wants long, the program gives float"),
        (".clicks = to_int(.email)", "unhandled fallible assignment"),
        (".email = 7", "`email`: the schema wants string, the program gives integer"),
        ("del(.email)", "`email` has no default and nothing assigns it"),
        (". = {\"id\": 1}", "`email` has no default and nothing assigns it"),
        (". = [1, 2]", "the schema wants record Contact"),
        (".mail = .email", "`.mail` is assigned, but no output has a field `mail`"),
        // Routing.
        ("%topic = \"contcats\"", "`contcats` is not an output topic of the settings"),
        ("if .clicks > 3 { %topic = \"others\" }", "`others` is not an output topic"),
        ("%topic = \"lines\"", "`.` does not fit the schema of `lines`: `text` has no default"),
        ("emit(\"others\", {})", "invalid enum variant"),
        ("emit(.email, {})", "unexpected expression"),
        ("emit(\"lines\", {\"id\": .id})", "does not fit the schema of `lines`: `text`"),
        // What a message has.
        ("%offset = 1", "mutation of read-only value"),
        ("%partition = 1", "mutation of read-only value"),
        (".email = string!(%keey)", "a message has no `%keey`"),
        ("%note = 1", "a message has no `%note`"),
        ("%emitted = []", "a message has no `%emitted`"),
        // Syntax.
        (".email = ", "syntax error"),
        (".email = nosuch(.email)", "call to undefined function"),
    ];
    for (program, wanted) in cases {
        let said = refused(program);
        assert!(said.contains(wanted), "{program}\n{said}");
    }
}

#[test]
fn a_problem_is_shown_with_file_line_and_caret() {
    let said = refused(".clicks = 1\n.email = upcase(.name)\n");
    assert!(said.starts_with("test.vrl for input topic forms:\n"), "{said}");
    assert!(said.contains("┌─ test.vrl:2:"), "{said}");
    assert!(said.contains("2 │ .email = upcase(.name)"), "{said}");
    assert!(said.contains("^^^^^"), "{said}");
}

#[test]
fn every_input_is_checked_with_its_own_types() {
    let source = Arc::new(Source { name: "a.vrl".into(), text: ".email = upcase(.email)".into() });
    let number = schema(json!({"type": "record", "name": "N", "fields": [
        {"name": "id", "type": "long"}, {"name": "email", "type": "long"},
        {"name": "status", "type": "string"}]}));
    let input = |topic: &str, schema| Input {
        topic: topic.into(),
        source: Arc::clone(&source),
        schema: Some(schema),
    };
    let outputs = vec![Output { topic: "contacts".into(), schema: contact() }];
    let inputs = vec![input("good", form()), input("bad", number)];
    let problems = Mapping::compile(inputs, outputs, None).expect_err("one is wrong");
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().starts_with("a.vrl for input topic bad:\n"));
}

#[test]
fn without_a_schema_the_program_must_say_what_it_expects() {
    assert!(compile_for(".email = upcase(.email)", None).is_err());
    compile_for(".email = upcase!(.email)", None).expect("asserted at run time");
}

#[test]
fn what_is_right_on_some_path_is_not_refused() {
    let programs = [
        "",
        "if .clicks > 3 { .email = \"x\" } else { abort }",
        "if is_null(.name) { .origin = \"anonymous\" }",
        "%topic = downcase(\"LINES\")",
        "if .clicks > 3 { %topic = \"lines\"; .text = .email }",
        "if .clicks > 3 { . = {}; return . }",
        "for_each(.lines) -> |_i, text| { emit(\"lines\", {\"id\": .id, \"text\": text}) }",
        "%headers.note = \"x\"; del(%headers.source); %key = .email",
    ];
    for program in programs {
        compile(program).map(drop).unwrap_or_else(|said| panic!("{program}\n{said}"));
    }
}

#[test]
fn odd_but_working_programs_get_a_warning() {
    let mapping = compile("unused = 1\n.clicks = 2").expect("compiled");
    let warnings: Vec<_> = mapping.warnings().collect();
    assert!(warnings[0].contains("unused variable `unused`"), "{warnings:?}");
}
