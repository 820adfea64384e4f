//! A token endpoint: client credentials for a token (RFC 6749, section 4.4).

use std::path::Path;
use std::time::{Duration, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Response, header};
use serde::Deserialize;

use super::claims::Claims;
use super::{REQUEST, Token, TokenError};
use nubium_config::{REDACTED, TokenEndpoint};

/// What stays as it is in forms and in signed queries (RFC 3986, unreserved).
pub(super) const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Answers above this are no tokens.
const ANSWER_MAX: usize = 1 << 20;
/// How much of an answer that is no token is shown.
const SHOWN: usize = 300;

/// Makes the client that endpoints are asked with. It follows no redirect: what it sends is for
/// one address alone.
pub(super) fn client(authorities: Option<&Path>) -> Result<Client, TokenError> {
    let mut builder = Client::builder()
        .timeout(REQUEST)
        .connect_timeout(REQUEST / 2)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(path) = authorities {
        let wrong = |why: String| {
            TokenError::unusable(format!("oauth_ca_location, {}: {why}", path.display()))
        };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem);
        let certificates = certificates.map_err(|error| wrong(error.to_string()))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| TokenError::unusable(format!("HTTP client: {error}")))
}

/// Percent-encodes what goes into a form or a query.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Asks for a token.
pub(super) async fn ask(
    http: &Client,
    endpoint: &TokenEndpoint,
    now: SystemTime,
) -> Result<Token, TokenError> {
    let mut body = "grant_type=client_credentials".to_owned();
    for (name, value) in [("scope", &endpoint.scope), ("audience", &endpoint.audience)] {
        if let Some(value) = value {
            body += &format!("&{name}={}", escape(value));
        }
    }
    let (id, secret) = (escape(&endpoint.client_id), escape(endpoint.client_secret.expose()));
    let request = http
        .post(endpoint.url.clone())
        .basic_auth(id, Some(secret))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(body);
    let place = super::error::name_of(&nubium_config::TokenOrigin::Endpoint(endpoint.clone()));
    let answer = send(request, &place).await?;
    let hide = |text: &str| text.replace(endpoint.client_secret.expose(), REDACTED);
    if answer.status != 200 {
        return Err(no(&place, &answer, &hide));
    }
    token(endpoint, &answer.body, now).map_err(|why| {
        TokenError::unreachable(format!("{place} answered 200 without a token: {why}"))
    })
}

/// What an endpoint answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Sends a request and reads the answer; what fails on the way is told without what was sent.
pub(super) async fn send(
    request: reqwest::RequestBuilder,
    place: &str,
) -> Result<Answer, TokenError> {
    let failed = |error: reqwest::Error| {
        TokenError::unreachable(format!(
            "{place} does not answer: {}; it is asked again",
            reason(&error.without_url())
        ))
    };
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status().as_u16();
    Ok(Answer { status, body: body(answer).await.map_err(failed)? })
}

async fn body(mut answer: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            break;
        }
    }
    Ok(body)
}

/// Puts an error's causes into one line; reqwest's own says little.
fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
    error_description: Option<String>,
}

/// Reads a token (RFC 6749, section 5.1). It ends when the answer says or when the token itself
/// does, whichever is first.
fn token(endpoint: &TokenEndpoint, body: &[u8], now: SystemTime) -> Result<Token, String> {
    // serde's words could show the token.
    let granted: Granted =
        serde_json::from_slice(body).map_err(|_| "no JSON with an access_token")?;
    if let Some(kind) = granted.token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(format!("its token_type is {}, not Bearer", shorten(&kind)));
    }
    // Some providers send the number as text.
    let seconds = match &granted.expires_in {
        Some(serde_json::Value::String(text)) => text.trim().parse().ok(),
        Some(value) => value.as_f64(),
        None => None,
    };
    let told = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let told = told.and_then(|time| now.checked_add(time));
    let claims = Claims::of(&granted.access_token);
    let until = match (told, claims.until()) {
        (Some(told), Some(own)) => told.min(own),
        (Some(until), None) | (None, Some(until)) => until,
        (None, None) => return Err("neither expires_in nor the token says when it ends".into()),
    };
    let principal = claims.principal().unwrap_or_else(|| endpoint.client_id.clone());
    Token::checked(&granted.access_token, principal, until)
}

/// Says what was refused (RFC 6749, section 5.2), and whether asking again may help.
fn no(place: &str, answer: &Answer, hide: &dyn Fn(&str) -> String) -> TokenError {
    let said = match serde_json::from_slice::<Denied>(&answer.body) {
        Ok(Denied { error, error_description: Some(more) }) => format!("{error}: {more}"),
        Ok(Denied { error, .. }) => error,
        Err(_) => String::from_utf8_lossy(&answer.body).trim().to_owned(),
    };
    let said = shorten(&hide(&said));
    let status = answer.status;
    match status {
        400 | 401 | 403 => TokenError::refused(format!(
            "{place} refused: {status} {said}; check oauth_client_id, oauth_client_secret and \
             oauth_scope"
        )),
        300..=399 | 404 | 405 | 410 => TokenError::refused(format!(
            "{place} is no token endpoint: it answered {status} {said}; check oauth_token_url"
        )),
        _ => {
            TokenError::unreachable(format!("{place} answered {status} {said}; it is asked again"))
        }
    }
}

/// Cuts what somebody else wrote to a length for logs, on one line.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
