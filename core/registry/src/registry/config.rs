//! Says where the registry is and how patient its client shall be.

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use super::RegistryError;
use super::policy::Backoff;

/// Holds the settings of a [`Registry`](super::Registry).
#[derive(Clone)]
pub struct RegistryConfig {
    /// Base URLs; when one fails the next is tried. A login inside a URL is used and never shown.
    pub urls: Vec<String>,
    /// Name for HTTP basic authentication; empty means none.
    pub username: String,
    /// Password for HTTP basic authentication. Never shown.
    pub password: String,
    /// Longest time for one answer.
    pub timeout: Duration,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// How long a schema id that is not found is asked for again, since a follower may lag.
    pub not_found_grace: Duration,
    /// How long registering and looking up at start-up may take in all.
    pub startup_deadline: Duration,
    /// CA certificates (PEM) to trust besides those of the system.
    pub ca_pem: Option<Vec<u8>>,
}

impl RegistryConfig {
    /// Takes one or more base URLs, separated by commas, and the defaults for the rest.
    #[must_use]
    pub fn new(urls: &str) -> Self {
        let urls = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        Self {
            urls: urls.map(Into::into).collect(),
            username: String::new(),
            password: String::new(),
            timeout: Duration::from_secs(5),
            backoff: Backoff { first: Duration::from_millis(200), max: Duration::from_secs(10) },
            not_found_grace: Duration::from_secs(10),
            startup_deadline: Duration::from_secs(60),
            ca_pem: None,
        }
    }

    /// Sets the login.
    #[must_use]
    pub fn with_login(mut self, username: &str, password: &str) -> Self {
        self.username = username.into();
        self.password = password.into();
        self
    }
}

/// Takes an app's settings over, and the defaults for the rest.
impl From<&nubium_config::Registry> for RegistryConfig {
    fn from(settings: &nubium_config::Registry) -> Self {
        let urls: Vec<&str> = settings.urls.iter().map(|url| url.as_str()).collect();
        let mut made = Self::new(&urls.join(","));
        if let Some(auth) = &settings.auth {
            made = made.with_login(&auth.username, auth.password.expose());
        }
        made.timeout = settings.timeout;
        made.ca_pem = settings.ca.as_ref().map(|ca| ca.pem().to_vec());
        made
    }
}

/// Shows everything but the secrets.
impl fmt::Debug for RegistryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<String> = self.urls.iter().map(|url| redacted(url)).collect();
        f.debug_struct("RegistryConfig")
            .field("urls", &urls)
            .field("username", &self.username)
            .field("timeout", &self.timeout)
            .field("backoff", &self.backoff)
            .field("not_found_grace", &self.not_found_grace)
            .field("startup_deadline", &self.startup_deadline)
            .finish_non_exhaustive()
    }
}

/// Holds one base URL without its login, which is kept apart so that no message can show it.
pub(super) struct Server {
    pub(super) base: Url,
    pub(super) login: Option<(String, String)>,
}

impl Server {
    pub(super) fn new(text: &str, config: &RegistryConfig) -> Result<Self, RegistryError> {
        let invalid = |why: &str| {
            RegistryError::Settings(format!(
                "`{}` is not a registry's URL: {why}; an example is https://registry:8081",
                redacted(text)
            ))
        };
        let mut base = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(invalid("it must start with http:// or https:// and name a host"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(invalid("it must have neither a query nor a fragment"));
        }
        let own = (decoded(base.username()), decoded(base.password().unwrap_or_default()));
        let login = match (own.0.is_empty(), config.username.is_empty()) {
            (false, _) => Some(own),
            (true, false) => Some((config.username.clone(), config.password.clone())),
            (true, true) => None,
        };
        let cleared = base.set_username("").and_then(|()| base.set_password(None));
        cleared.map_err(|()| invalid("its login cannot be read"))?;
        Ok(Self { base, login })
    }

    /// Returns the URL of a route; the segments are percent-encoded, the query is taken as it is.
    pub(super) fn route(&self, segments: &[&str], query: Option<&str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url.set_query(query);
        url
    }
}

/// Replaces everything between `//` and the last `@` before the path.
fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("//") else {
        return if url.contains('@') { "***".into() } else { url.into() };
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match (authority.rsplit_once('@'), path.contains('@')) {
        (_, true) => format!("{scheme}//***"),
        (Some((_, host)), false) => format!("{scheme}//***@{host}{path}"),
        (None, false) => url.into(),
    }
}

/// Undoes percent-encoding, RFC 3986 section 2.1.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_a_url_is_used_and_never_shown() {
        let config = RegistryConfig::new("http://ann:p%40ss@host:8081/apis/v7/, http://b");
        let server = Server::new(&config.urls[0], &config).unwrap();
        assert_eq!(server.login, Some(("ann".into(), "p@ss".into())));
        let url = server.route(&["subjects", "a/b-value", "versions"], None);
        assert_eq!(url.as_str(), "http://host:8081/apis/v7/subjects/a%2Fb-value/versions");
        let config = config.with_login("eve", "hunter2");
        let shown = format!("{config:?}");
        assert!(!shown.contains("p%40ss") && !shown.contains("hunter2"), "{shown}");
        let other = Server::new(&config.urls[1], &config).unwrap();
        assert_eq!(other.login, Some(("eve".into(), "hunter2".into())));
    }

    #[test]
    fn a_bad_url_is_named_without_its_login() {
        for url in [
            "ftp://u:secret@host",
            "http://u:secret@",
            "u:secret@host:1",
            "//u:secret@h/",
            "http://u:se/secret@host",
            "http://u:secret@host?a=b",
            "http://u:secret@host:x/",
        ] {
            let error = Server::new(url, &RegistryConfig::new("")).err().map(|e| e.to_string());
            let error = error.unwrap_or_else(|| panic!("{url} is accepted"));
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
