//! AWS credentials of the place that a program runs in: a container (ECS, EKS Pod Identity) or an
//! instance (EC2).
//!
//! Source: AWS SDKs and Tools Reference Guide, "Container credential provider" and "IMDS credential
//! provider"; EC2 User Guide, "Use the Instance Metadata Service to access instance metadata".

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url, header};
use serde::Deserialize;

use super::TokenError;
use super::aws::{Get, Keys, moment};
use super::endpoint::{Answer, send, shorten};

/// Where ECS has them.
const CONTAINER: &str = "http://169.254.170.2";
/// Hosts that credentials are asked of without TLS, beside this machine itself: ECS, and EKS.
const LINK_LOCAL: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];
/// Where an instance has them.
const INSTANCE: &str = "http://169.254.169.254";
/// How long a session with the instance's metadata lasts; it is for one use.
const SESSION_SECONDS: &str = "60";
/// It answers at once, or is not there.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks whoever has keys for this place: the container's address where the environment names one,
/// else the instance's metadata.
pub(super) async fn keys(environment: &Get<'_>) -> Result<Keys, TokenError> {
    let http = client()?;
    match container(environment)? {
        Some(url) => {
            let place = format!("the container's credentials, {url}");
            let mut request = http.get(url);
            if let Some(token) = authorization(environment)? {
                request = request.header(header::AUTHORIZATION, token);
            }
            read(&place, &asked(request, &place).await?)
        }
        None => of_instance(&http, environment).await,
    }
}

/// No proxy stands between a program and its own machine, and no redirect leads away from it.
fn client() -> Result<Client, TokenError> {
    let builder = Client::builder().timeout(LIMIT).connect_timeout(LIMIT).no_proxy();
    let client = builder.redirect(reqwest::redirect::Policy::none()).build();
    client.map_err(|error| TokenError::unusable(format!("HTTP client: {error}")))
}

/// Gives the address that the environment names, if it names one.
pub(super) fn container(environment: &Get<'_>) -> Result<Option<Url>, TokenError> {
    let relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let (name, text) = match (relative, full) {
        (Some(path), _) => ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", format!("{CONTAINER}{path}")),
        (None, Some(url)) => ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url),
        (None, None) => return Ok(None),
    };
    let wrong = |why: &str| TokenError::unusable(format!("{name}: {why}"));
    let url = Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
    match url.scheme() == "https" || is_near(url.host_str().unwrap_or_default()) {
        true => Ok(Some(url)),
        false => Err(wrong("an address without TLS must be of this machine, ECS or EKS")),
    }
}

/// Tells whether a host is this machine, or what ECS and EKS have beside it.
fn is_near(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost"
        || LINK_LOCAL.contains(&host)
        || address.is_ok_and(|address| address.is_loopback())
}

/// Gives what that address is shown.
fn authorization(environment: &Get<'_>) -> Result<Option<String>, TokenError> {
    let Some(file) = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") else {
        return Ok(environment("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    };
    let text = nubium_host::text::read(std::path::Path::new(&file)).map_err(|error| {
        TokenError::unusable(format!("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, {file}: {error}"))
    })?;
    Ok(Some(text.trim().to_owned()))
}

/// Asks the metadata service, version 2: a session first, then the role's name, then its keys.
async fn of_instance(http: &Client, environment: &Get<'_>) -> Result<Keys, TokenError> {
    let off = environment("AWS_EC2_METADATA_DISABLED");
    if off.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Err(TokenError::unusable("AWS_EC2_METADATA_DISABLED is true"));
    }
    let base = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let base = base.unwrap_or_else(|| INSTANCE.into());
    let base = base.trim_end_matches('/');
    let place = format!("the instance's metadata, {base}");
    let session = http
        .put(format!("{base}/latest/api/token"))
        .header("x-aws-ec2-metadata-token-ttl-seconds", SESSION_SECONDS)
        .header(header::CONTENT_LENGTH, "0");
    let session = text(&asked(session, &place).await?);
    let get = |path: &str| {
        http.get(format!("{base}/latest/meta-data/iam/security-credentials/{path}"))
            .header("x-aws-ec2-metadata-token", &session)
    };
    let role = text(&asked(get(""), &place).await?);
    let Some(role) = role.lines().next().map(str::trim).filter(|role| !role.is_empty()) else {
        return Err(TokenError::unusable(format!("{place} names no role; attach one")));
    };
    let place = format!("{place} (role {role})");
    read(&place, &asked(get(role), &place).await?)
}

async fn asked(request: RequestBuilder, place: &str) -> Result<Answer, TokenError> {
    let answer = send(request, place).await?;
    if answer.status == 200 {
        return Ok(answer);
    }
    let said = format!("{place} answered {} {}", answer.status, shorten(&text(&answer)));
    Err(match answer.status {
        400..=428 => TokenError::refused(format!("{said}; check the role that is attached")),
        _ => TokenError::unreachable(format!("{said}; it is asked again")),
    })
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).trim().to_owned()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Option<String>,
}

/// Reads keys, which both places give alike.
fn read(place: &str, answer: &Answer) -> Result<Keys, TokenError> {
    // serde's words could show a key.
    let given: Given = serde_json::from_slice(&answer.body).map_err(|_| {
        TokenError::unreachable(format!("{place} answered 200 without credentials"))
    })?;
    Ok(Keys {
        id: given.access_key_id,
        secret: given.secret_access_key.into(),
        session: Some(given.token.into()),
        until: given.expiration.as_deref().and_then(moment),
    })
}
