//! Tokens from a file that somebody else renews.

use std::path::Path;

use super::claims::Claims;
use super::{Token, TokenError};

/// Reads the token as it is now.
pub(super) fn read(path: &Path) -> Result<Token, TokenError> {
    let wrong = |why: &str| {
        TokenError::unusable(format!(
            "the token file {}: {why}; check the volume and oauth_token_location",
            path.display()
        ))
    };
    let text = nubium_host::text::read(path).map_err(|error| wrong(&error.to_string()))?;
    let claims = Claims::of(&text);
    let until = claims.until().ok_or_else(|| wrong("it holds no JWT that says when it ends"))?;
    let principal = claims.principal().unwrap_or_else(|| "token".into());
    Token::checked(&text, principal, until).map_err(|why| wrong(&why))
}
