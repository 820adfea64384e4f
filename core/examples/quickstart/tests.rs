use super::*;
use nubium_core::Single;
use nubium_core::driver::{Driver, Fault, Step};

#[test]
fn an_aborted_transaction_is_done_again() -> anyhow::Result<()> {
    let mut driver = Driver::new(Single(clean))?;
    driver.input("people", 1, PERSON)?;
    driver.output("people-clean", 1, PERSON)?;
    driver.send("people", 0, "ada", &Person { email: " Ada@Example.org ".into() })?;
    driver.fail(Step::Commit, 1, Fault::Abort);
    driver.run()?;
    let cleaned: Vec<Person> = driver.values("people-clean")?;
    assert_eq!(cleaned.len(), 1);
    assert_eq!(cleaned[0].email, "ada@example.org");
    assert_eq!(driver.committed("people", 0), Some(1));
    Ok(())
}

/// The README shows this app and its first test as they are.
#[test]
fn the_readme_shows_this_very_app() {
    let readme = include_str!("../../../README.md");
    let app = include_str!("main.rs").split_once("\n\n").expect("a first line").1;
    let app = app.split_once("\n#[cfg(test)]").expect("tests").0;
    assert!(readme.contains(app), "README.md differs from core/examples/quickstart/main.rs");
    let tests = include_str!("tests.rs").split("\n/// ").next().expect("a first test");
    let test = tests.split_once("#[test]").expect("a first test").1;
    assert!(readme.contains(test.trim_end()), "README.md differs from quickstart/tests.rs");
}
