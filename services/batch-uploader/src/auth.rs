//! Says who asks: credentials from files, and access tokens that are kept until they run out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nubium_core::config::Secret;
use nubium_host::text::without_mark;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::json;

use crate::secret_file;
use crate::settings::{Auth, Grant, OAuth2, Proof};

/// A token is not used in its last moments: it would run out on the way.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token is kept whose answer does not say.
const UNSAID: Duration = Duration::from_secs(300);
/// How long an assertion holds: servers take a few minutes.
const LIFETIME: Duration = Duration::from_secs(180);
/// The grant of an assertion, and the type of one that stands for a secret.
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Text of a token endpoint's answer that is shown in an error.
const SHOWN: usize = 200;

/// Makes the `authorization` header. Shared by all loops of the process.
pub struct Authorizer {
    auth: Auth,
    client: Client,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<f64>,
}

impl Authorizer {
    /// Makes one; tokens are fetched with `client`.
    pub fn new(auth: Auth, client: Client) -> Self {
        Self { auth, client, token: Mutex::default() }
    }

    /// Gives the header's value; `None` where no credentials are set. Reads files anew, and fetches
    /// a token only if the one at hand runs out.
    ///
    /// # Errors
    /// A file cannot be read, or the token endpoint refuses or does not answer.
    pub async fn header(&self) -> Result<Option<HeaderValue>> {
        match &self.auth {
            Auth::None => Ok(None),
            Auth::Basic { username, password_file } => {
                let password = secret_file::read(password_file)?;
                basic(username, &password).map(Some)
            }
            Auth::Bearer { token_file } => {
                bearer(secret_file::read(token_file)?.expose()).map(Some)
            }
            Auth::OAuth2(oauth) => self.token(oauth).await.map(Some),
        }
    }

    /// Forgets a token that the API has refused; answers whether there can be a better one.
    pub fn refused(&self, header: Option<&HeaderValue>) -> bool {
        let mut token = self.slot();
        match (&*token, header) {
            (Some(held), Some(header)) if held.header == header => {
                *token = None;
                true
            }
            // Another request has fetched a new one meanwhile.
            (_, Some(_)) => matches!(self.auth, Auth::OAuth2(_)),
            _ => false,
        }
    }

    async fn token(&self, oauth: &OAuth2) -> Result<HeaderValue> {
        if let Some(held) = self.slot().as_ref().filter(|held| held.until > Instant::now()) {
            return Ok(held.header.clone());
        }
        let fetched = self.fetch(oauth).await;
        let fetched =
            fetched.with_context(|| format!("no access token from {}", oauth.token_url))?;
        let header = fetched.header.clone();
        *self.slot() = Some(fetched);
        Ok(header)
    }

    async fn fetch(&self, oauth: &OAuth2) -> Result<Token> {
        let signed = match &oauth.proof {
            Proof::Key { .. } => Some(assertion(oauth, SystemTime::now())?),
            Proof::Secret { .. } => None,
        };
        let mut form = match &oauth.grant {
            Grant::ClientCredentials => vec![("grant_type", "client_credentials")],
            Grant::JwtBearer(_) => vec![("grant_type", BEARER)],
        };
        form.extend(oauth.scope.as_deref().map(|scope| ("scope", scope)));
        form.extend(oauth.audience.as_deref().map(|audience| ("audience", audience)));
        let mut request =
            self.client.post(oauth.token_url.clone()).header(ACCEPT, "application/json");
        let secret = match &oauth.proof {
            Proof::Secret { file, .. } => Some(secret_file::read(file)?),
            Proof::Key { .. } => None,
        };
        match (&oauth.proof, &secret, &signed) {
            (Proof::Secret { in_body: true, .. }, Some(secret), _) => form.extend([
                ("client_id", oauth.client_id.as_str()),
                ("client_secret", secret.expose()),
            ]),
            (_, Some(secret), _) => {
                // Both parts are form-encoded first: RFC 6749, section 2.3.1.
                let id = encode([(oauth.client_id.as_str(), "")]).trim_end_matches('=').to_owned();
                let secret = encode([(secret.expose(), "")]).trim_end_matches('=').to_owned();
                request = request.header(AUTHORIZATION, basic(&id, &Secret::from(secret))?);
            }
            (_, _, Some(signed)) if oauth.grant == Grant::ClientCredentials => form.extend([
                ("client_id", oauth.client_id.as_str()),
                ("client_assertion_type", ASSERTION),
                ("client_assertion", signed.as_str()),
            ]),
            (_, _, Some(signed)) => form.push(("assertion", signed.as_str())),
            _ => {}
        }
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let asked = Instant::now();
        let answer =
            request.body(encode(form)).send().await.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        let text = answer.text().await.map_err(reqwest::Error::without_url)?;
        if !status.is_success() {
            bail!("{status}: {}", text.chars().take(SHOWN).collect::<String>());
        }
        // The text holds a token: it is shown in no error.
        let granted: Granted = serde_json::from_str(without_mark(&text)).map_err(|error| {
            anyhow::anyhow!("{status}, but no token: {:?} error", error.classify())
        })?;
        let lasts = granted.expires_in.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        let lasts = lasts.map_or(UNSAID, |seconds| Duration::from_secs_f64(seconds.min(1e9)));
        let until = asked + lasts.saturating_sub(MARGIN.min(lasts / 2));
        Ok(Token { header: bearer(&granted.access_token)?, until })
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signs who the client is, or for whom it asks: RFC 7523, section 3.
fn assertion(oauth: &OAuth2, now: SystemTime) -> Result<String> {
    let Proof::Key { file, id, audience } = &oauth.proof else { return Ok(String::new()) };
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let subject = match &oauth.grant {
        Grant::JwtBearer(Some(subject)) => subject,
        _ => &oauth.client_id,
    };
    let audience = audience.as_deref().unwrap_or(oauth.token_url.as_str());
    let mut claims = json!({
        "iss": oauth.client_id,
        "sub": subject,
        "aud": audience,
        "iat": seconds,
        "exp": seconds + LIFETIME.as_secs(),
        "jti": uuid::Uuid::new_v4().to_string(),
    });
    // Google reads it there.
    if let (Grant::JwtBearer(_), Some(scope)) = (&oauth.grant, &oauth.scope) {
        claims["scope"] = scope.as_str().into();
    }
    let key = secret_file::read(file)?;
    let what = || format!("the key in {}", file.display());
    crate::assertion::sign(key.expose(), id.as_deref(), &claims).with_context(what)
}

/// Encodes a form.
pub(crate) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut url = Url::parse("http://form/").expect("a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

fn basic(username: &str, password: &Secret) -> Result<HeaderValue> {
    sensitive(format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose()))))
}

fn bearer(token: &str) -> Result<HeaderValue> {
    sensitive(format!("Bearer {token}"))
}

fn sensitive(text: String) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| anyhow::anyhow!("the credentials hold characters that no header may have"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_basic_credentials_are_encoded() {
        assert_eq!(encode([("a b", "c&d=é")]), "a+b=c%26d%3D%C3%A9");
        let value = basic("Aladdin", &Secret::from("open sesame".to_owned())).expect("header");
        assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(value.is_sensitive() && !format!("{value:?}").contains("QWxh"));
        assert!(bearer("a\nb").is_err());
    }
}
