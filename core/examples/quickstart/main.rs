//! The app of the README: cleans e-mail addresses on their way from one topic to another.

use nubium_core::{App, Record, Transaction};
use serde::{Deserialize, Serialize};

const PERSON: &str = r#"{"type": "record", "name": "Person", "fields": [
    {"name": "email", "type": "string"}]}"#;

#[derive(Deserialize, Serialize)]
struct Person {
    email: String,
}

async fn clean(tx: &Transaction<'_>) -> anyhow::Result<()> {
    let mut person: Person = tx.value()?;
    person.email = person.email.trim().to_lowercase();
    tx.produce(
        Record::to("people-clean").value(&person).header("last_updated_by", "people-cleaner"),
    )
}

fn main() -> std::process::ExitCode {
    App::from_env().consume(["people"]).produce("people-clean", PERSON).run(clean)
}

#[cfg(test)]
mod tests;
