//! Plans in files: what `plan --out` keeps and `apply` reads.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Plan;
use crate::ending::Error;

/// Raised when a plan of an earlier version would be misread.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    /// The version of the tool, for people.
    version: String,
    /// Of the plan's own text, so that a file that was edited or cut is found out.
    sha256: String,
    plan: Plan,
}

/// Keeps a plan in a file, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn save(path: &Path, plan: &Plan) -> Result<(), Error> {
    let file = File {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        sha256: hash(plan),
        plan: plan.clone(),
    };
    let text = serde_json::to_string_pretty(&file).unwrap_or_default();
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, text + "\n").map_err(Error::file(&unfinished))?;
    std::fs::rename(&unfinished, path).map_err(Error::file(path))
}

/// Reads a plan as it was kept.
///
/// # Errors
/// The file cannot be read, is no plan, is of another format, or was changed.
pub fn load(path: &Path) -> Result<Plan, Error> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    let again = "make it again with plan --out";
    let format = serde_json::from_str::<serde_json::Value>(&text).ok();
    let format = format.and_then(|file| file["format"].as_u64());
    if let Some(other) = format.filter(|format| *format != u64::from(FORMAT)) {
        let why = format!("{shown} is a plan of format {other}, not {FORMAT}: {again}");
        return Err(Error::Failed(why));
    }
    let file: File = serde_json::from_str(&text)
        .map_err(|error| Error::Failed(format!("{shown} is no plan ({error}): {again}")))?;
    if hash(&file.plan) != file.sha256 {
        return Err(Error::Failed(format!("{shown} was changed after it was made: {again}")));
    }
    Ok(file.plan)
}

fn hash(plan: &Plan) -> String {
    let text = serde_json::to_vec(plan).unwrap_or_default();
    Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
}
