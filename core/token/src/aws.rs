//! AWS credentials: keys as they were given, those of the environment, of a role that is taken on
//! with a web identity, or of the place that the program runs in.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reqwest::{Client, Url, header};

use super::TokenError;
use super::endpoint::{escape, send, shorten};
use super::machine;
use nubium_config::{AwsCredentials, REDACTED, Secret};

/// What is signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) session: Option<Secret>,
    /// When temporary ones end, and with them what was signed.
    pub(super) until: Option<SystemTime>,
}

/// Gives a variable of the environment.
pub(super) type Get<'a> = dyn Fn(&str) -> Option<String> + Sync + 'a;

/// Gets the keys of now. Those of a role are asked for anew each time: a token is made of them
/// every ten minutes.
pub(super) async fn keys(
    http: &Client,
    region: &str,
    credentials: &AwsCredentials,
    environment: &Get<'_>,
) -> Result<Keys, TokenError> {
    match credentials {
        AwsCredentials::Keys { id, secret, session } => {
            let (id, session) = (id.clone(), session.clone());
            Ok(Keys { id, secret: secret.clone(), session, until: None })
        }
        AwsCredentials::WebIdentity { role, file, sts } => {
            assume(http, region, role, file, sts.as_ref(), "nubium").await
        }
        AwsCredentials::Environment => from_environment(http, region, environment).await,
    }
}

async fn from_environment(
    http: &Client,
    region: &str,
    environment: &Get<'_>,
) -> Result<Keys, TokenError> {
    let get = |name: &str| environment(name).filter(|text| !text.trim().is_empty());
    if let (Some(id), Some(secret)) = (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
        let session = get("AWS_SESSION_TOKEN").map(Secret::from);
        return Ok(Keys { id, secret: secret.into(), session, until: None });
    }
    let (Some(role), Some(file)) = (get("AWS_ROLE_ARN"), get("AWS_WEB_IDENTITY_TOKEN_FILE")) else {
        return machine::keys(&get).await.map_err(|error| TokenError {
            fault: error.fault,
            text: format!(
                "no AWS credentials: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
                 AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, or name some in the map of clusters"
            ),
        });
    };
    let sts = get("AWS_ENDPOINT_URL_STS").and_then(|url| Url::parse(&url).ok());
    let session = get("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "nubium".into());
    assume(http, region, &role, &PathBuf::from(file), sts.as_ref(), &session).await
}

/// Takes a role on (STS, AssumeRoleWithWebIdentity, version 2011-06-15).
async fn assume(
    http: &Client,
    region: &str,
    role: &str,
    file: &Path,
    sts: Option<&Url>,
    session: &str,
) -> Result<Keys, TokenError> {
    let token = nubium_host::text::read(file).map_err(|error| {
        TokenError::unusable(format!("the web identity file {}: {error}", file.display()))
    })?;
    let token = token.trim();
    let regional = format!("https://sts.{region}.amazonaws.com/");
    let url = sts.map_or(regional, Url::to_string);
    let body = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={}&RoleSessionName={}\
         &WebIdentityToken={}",
        escape(role),
        escape(session),
        escape(token)
    );
    let request = http
        .post(&url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body);
    let place = format!("the security token service {url} (role {role})");
    let answer = send(request, &place).await?;
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status != 200 {
        let hide =
            |text: &str| if token.is_empty() { text.into() } else { text.replace(token, REDACTED) };
        let code = element(&text, "Code").unwrap_or_default();
        let why = element(&text, "Message").unwrap_or_else(|| text.clone().into_owned());
        let text = format!("{place} answered {} {code} {}", answer.status, shorten(&hide(&why)));
        return Err(match answer.status {
            400..=428 => TokenError::refused(format!(
                "{text}; check the role's trust policy and the web identity"
            )),
            _ => TokenError::unreachable(format!("{text}; it is asked again")),
        });
    }
    let found = |name| element(&text, name);
    match (found("AccessKeyId"), found("SecretAccessKey"), found("SessionToken")) {
        (Some(id), Some(secret), Some(session)) => {
            let until = found("Expiration").as_deref().and_then(moment);
            Ok(Keys { id, secret: secret.into(), session: Some(session.into()), until })
        }
        _ => Err(TokenError::unreachable(format!("{place} answered 200 without credentials"))),
    }
}

/// Reads a time as AWS writes it (RFC 3339).
pub(super) fn moment(text: &str) -> Option<SystemTime> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(SystemTime::from)
}

/// Gives the text of the first element of this name, in the flat answers of STS. What is in it are
/// ids, keys and sentences; the five entities of XML are put back.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let plain = |text: String, (entity, plain): (&str, &str)| text.replace(entity, plain);
    Some(entities.into_iter().fold(text.trim().to_owned(), plain))
}
