//! How values are shown in problems and listings: never a secret, nor what may be one.

use super::secret::REDACTED;
use super::setting::{Kind, Setting};

/// Shows a value, redacted where it is or may hold a secret.
pub(super) fn shown(setting: &Setting, text: &str) -> String {
    match setting.kind {
        _ if setting.secret => REDACTED.into(),
        Kind::Urls if text.contains('@') => REDACTED.into(),
        Kind::File | Kind::WrittenFile | Kind::Directory if text != "off" => shown_path(text),
        _ => text.to_owned(),
    }
}

/// Shows a path, unless it looks like the file's content put where its path belongs.
fn shown_path(text: &str) -> String {
    let is_content = text.contains(|c: char| c.is_whitespace() || matches!(c, '{' | ':'));
    if is_content { REDACTED.into() } else { text.to_owned() }
}

/// Shows the path of a secret's file; anything that might be the secret itself is redacted.
pub(super) fn shown_secret_path(text: &str) -> String {
    if text.starts_with(['/', '.']) { shown_path(text) } else { REDACTED.into() }
}

/// Quotes what is shown, cut where it is long.
pub(super) fn quoted(shown: &str) -> String {
    if shown == REDACTED {
        return shown.to_owned();
    }
    let mut cut: String = shown.chars().take(200).collect();
    if cut.len() < shown.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}
