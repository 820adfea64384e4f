//! Reads secrets from files.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nubium_core::config::Secret;

/// Reads a secret; white space around it does not count.
///
/// # Errors
/// When the file cannot be read or is empty; names the file, never what is in it.
pub fn read(path: &Path) -> Result<Secret> {
    let text = nubium_host::text::read(path);
    let text = text.with_context(|| format!("the file {} cannot be read", path.display()))?;
    let text = text.trim();
    ensure!(!text.is_empty(), "the file {} is empty", path.display());
    Ok(Secret::from(text.to_owned()))
}
