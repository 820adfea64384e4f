//! What a JWT says of itself (RFC 7519). Nothing is verified here: that is the broker's part.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The claims that are looked at.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
}

impl Claims {
    /// Reads the claims of a token; none of one that is no JWT.
    pub(super) fn of(token: &str) -> Self {
        let payload = token.trim().split('.').nth(1).unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// When it ends.
    pub(super) fn until(&self) -> Option<SystemTime> {
        let seconds = Duration::try_from_secs_f64(self.exp?).ok()?;
        UNIX_EPOCH.checked_add(seconds)
    }

    /// Whom it names.
    pub(super) fn principal(self) -> Option<String> {
        self.sub.filter(|sub| !sub.contains('\0'))
    }
}
