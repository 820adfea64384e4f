//! Who may look.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq as _;

use crate::settings::Access;

/// Tells who may look by a request's headers, and what an instance says to another.
#[derive(Clone)]
pub(super) struct Door(Option<Credentials>);

#[derive(Clone)]
struct Credentials {
    scheme: &'static str,
    secret: String,
}

impl Door {
    pub(super) fn new(access: &Access) -> Self {
        Self(match access {
            Access::Open => None,
            Access::Bearer(token) => Some(Credentials { scheme: "Bearer", secret: token.clone() }),
            Access::Basic { username, password } => {
                let secret = BASE64_STANDARD.encode(format!("{username}:{password}"));
                Some(Credentials { scheme: "Basic", secret })
            }
        })
    }

    /// Gives what the `Authorization` of a request to another instance has to be.
    pub(super) fn authorization(&self) -> Option<String> {
        let credentials = self.0.as_ref()?;
        Some(format!("{} {}", credentials.scheme, credentials.secret))
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// The answer to one that is not let in.
    #[expect(clippy::result_large_err, reason = "the answer is sent right away")]
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Response> {
        let Some(credentials) = &self.0 else { return Ok(()) };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|text| text.split_once(' '));
        let known = given.is_some_and(|(scheme, secret)| {
            scheme.eq_ignore_ascii_case(credentials.scheme)
                && bool::from(secret.trim().as_bytes().ct_eq(credentials.secret.as_bytes()))
        });
        if known {
            return Ok(());
        }
        let challenge = format!("{} realm=\"table\"", credentials.scheme);
        let mut refused = super::answer::error(
            StatusCode::UNAUTHORIZED,
            "look-ups need the credentials of the table's settings",
        );
        if let Ok(challenge) = challenge.parse() {
            refused.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        Err(refused.into_response())
    }
}
