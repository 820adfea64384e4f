//! Why there is no token.

use std::time::SystemTime;

use nubium_config::{AwsCredentials, TokenOrigin};

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Somebody said no: asking again cannot help until somebody acts.
    Refused,
    /// Nobody answered, or not as expected: it may pass.
    Unreachable,
    /// What is needed here is missing or cannot be read.
    Unusable,
}

/// Says why there is no token; shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TokenError {
    /// What kind it is.
    pub fault: TokenFault,
    /// What failed, where, why, and what to do.
    pub text: String,
}

impl TokenError {
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self { fault: TokenFault::Refused, text: text.into() }
    }

    pub(super) fn unreachable(text: impl Into<String>) -> Self {
        Self { fault: TokenFault::Unreachable, text: text.into() }
    }

    pub(super) fn unusable(text: impl Into<String>) -> Self {
        Self { fault: TokenFault::Unusable, text: text.into() }
    }
}

/// Names an origin.
pub fn name_of(origin: &TokenOrigin) -> String {
    match origin {
        TokenOrigin::Endpoint(endpoint) => {
            format!("the token endpoint {} (client {})", endpoint.url, endpoint.client_id)
        }
        TokenOrigin::File(path) => format!("the token file {}", path.display()),
        TokenOrigin::Msk { region, credentials } => {
            let what = match credentials {
                AwsCredentials::Environment => "the environment's AWS credentials".into(),
                AwsCredentials::Keys { id, .. } => format!("AWS key {id}"),
                AwsCredentials::WebIdentity { role, .. } => format!("role {role}"),
            };
            format!("{what} for MSK in {region}")
        }
    }
}

/// A token that ended before it came.
pub(super) fn ended(origin: &TokenOrigin, now: SystemTime, until: SystemTime) -> TokenError {
    let ago = now.duration_since(until).unwrap_or_default().as_secs();
    let advice = match origin {
        TokenOrigin::File(_) => "whoever renews the file has stopped, or a clock is wrong",
        _ => "compare this machine's clock with the provider's",
    };
    TokenError::unusable(format!("the token from {} ended {ago} s ago; {advice}", name_of(origin)))
}
