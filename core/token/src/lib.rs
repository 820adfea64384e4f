//! Tokens that a client proves itself with (SASL/OAUTHBEARER): where they come from, when they are
//! renewed.
//!
//! Clients of librdkafka are handed theirs by a thread an origin (nubium-kafka's `token`), which
//! asks an [`Issuer`]. The tools, which speak Kafka's protocol themselves, hold a [`Wallet`].

mod aws;
mod claims;
mod endpoint;
mod error;
mod file;
mod machine;
mod msk;
mod renewal;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;

use nubium_config::{Secret, TokenOrigin, TokenSource};

pub use self::error::{TokenError, TokenFault, name_of};
pub use self::renewal::{due, pause};

/// How long one request for a token may take.
const REQUEST: Duration = Duration::from_secs(10);

/// Holds a token until it ends; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    value: Secret,
    /// Whom it names, for logs of librdkafka.
    pub principal: String,
    /// When it ends.
    pub until: SystemTime,
}

impl Token {
    /// Hands out the token itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        self.value.expose()
    }

    /// Tells whether it may still be shown to a broker.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.until > now
    }

    /// Makes one, if it may be sent at all (RFC 6750, b64token).
    fn checked(text: &str, principal: String, until: SystemTime) -> Result<Self, String> {
        let text = text.trim();
        let may = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
        match text {
            "" => Err("it is empty".into()),
            text if !text.chars().all(may) => Err("it has characters that no token has".into()),
            _ => Ok(Self { value: text.to_owned().into(), principal, until }),
        }
    }

    /// When it ends, in milliseconds since the epoch.
    pub fn until_millis(&self) -> i64 {
        let since = self.until.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, principal, until } = self;
        let mut shown = f.debug_struct("Token");
        shown.field("value", value).field("principal", principal).field("until", until).finish()
    }
}

/// Gets tokens from one origin.
#[derive(Debug)]
pub struct Issuer {
    origin: TokenOrigin,
    http: reqwest::Client,
}

impl Issuer {
    /// Makes one; nothing is asked yet.
    ///
    /// # Errors
    /// The file of authorities cannot be read.
    pub fn new(origin: &TokenOrigin) -> Result<Self, TokenError> {
        let authorities = match origin {
            TokenOrigin::Endpoint(endpoint) => endpoint.ca_location.as_deref(),
            _ => None,
        };
        Ok(Self { origin: origin.clone(), http: endpoint::client(authorities)? })
    }

    /// Gets a token of now.
    ///
    /// # Errors
    /// There is none: see the fault.
    pub async fn issue(&self) -> Result<Token, TokenError> {
        let now = SystemTime::now();
        let token = match &self.origin {
            TokenOrigin::Endpoint(endpoint) => endpoint::ask(&self.http, endpoint, now).await?,
            TokenOrigin::File(path) => file::read(path)?,
            TokenOrigin::Msk { region, credentials } => {
                let environment = |name: &str| std::env::var(name).ok();
                let keys = aws::keys(&self.http, region, credentials, &environment).await?;
                msk::token(region, &keys, now)?
            }
        };
        match token.is_valid(now) {
            true => Ok(token),
            false => Err(error::ended(&self.origin, now, token.until)),
        }
    }
}

/// Keeps the token of one origin for whoever asks, and renews it in good time.
#[derive(Debug)]
pub struct Wallet {
    issuer: Issuer,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    token: Token,
    due: SystemTime,
}

impl Wallet {
    /// Makes one that holds nothing yet.
    ///
    /// # Errors
    /// The file of authorities cannot be read.
    pub fn new(source: &TokenSource) -> Result<Self, TokenError> {
        Ok(Self { issuer: Issuer::new(&source.origin)?, kept: Mutex::default() })
    }

    /// Gives the token, a new one where it is time. One that cannot be renewed is given for as long
    /// as it is valid.
    ///
    /// # Errors
    /// There is no valid one, and none can be had.
    pub async fn token(&self) -> Result<Token, TokenError> {
        let mut kept = self.kept.lock().await;
        let now = SystemTime::now();
        if let Some(kept) = &*kept
            && kept.due > now
        {
            return Ok(kept.token.clone());
        }
        match (self.issuer.issue().await, &*kept) {
            (Ok(token), _) => {
                let due = renewal::due(now, token.until, &self.issuer.origin);
                *kept = Some(Kept { token: token.clone(), due });
                Ok(token)
            }
            (Err(error), Some(old)) if old.token.is_valid(now) => {
                tracing::warn!(%error, "The token could not be renewed; the one at hand is used.");
                Ok(old.token.clone())
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Forgets the token: a broker refused it, and the provider may have changed its keys.
    pub async fn distrust(&self) {
        *self.kept.lock().await = None;
    }
}
