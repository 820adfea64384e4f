//! How entries are looked up by HTTP, as the settings say it.

use std::net::{IpAddr, SocketAddr};

use nubium_service::document::{Document, Fields, Files, Value};
use reqwest::Url;

/// Says where and for whom entries are looked up.
#[derive(Debug, Clone)]
pub struct Lookups {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// Where the other instances are.
    pub peers: Peers,
    /// Where clients reach this instance; `None`: where other instances reach it.
    pub advertised: Option<Url>,
    /// Who may look.
    pub access: Access,
}

/// Says where the other instances are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peers {
    /// There are none.
    None,
    /// At every address of one name: a headless service.
    Name(Url),
    /// At these addresses; this instance may be among them.
    List(Vec<Url>),
}

/// Says who may look. Its secrets never print.
#[derive(Clone, PartialEq, Eq)]
pub enum Access {
    /// Everyone who reaches the port.
    Open,
    /// Who knows the token.
    Bearer(String),
    /// Who knows name and password.
    Basic {
        /// Name.
        username: String,
        /// Password.
        password: String,
    },
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.describe())
    }
}

impl Access {
    /// Says it in words.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Open => "everyone",
            Self::Bearer(_) => "bearer token",
            Self::Basic { .. } => "user and password",
        }
    }
}

/// Reads the section `lookups`.
pub(super) fn read(root: &Fields<'_>, files: &Files<'_>) -> Option<Lookups> {
    let fields = root.section("lookups", "lookups: {port: 8080}")?;
    if !fields.has("port") {
        fields.problem("port", "nothing", "the port to listen on", "8080");
    }
    let port = fields.whole("port", 1, 1..=65_535);
    let address = match fields.text("address", "0.0.0.0") {
        None => Some(IpAddr::from([0, 0, 0, 0])),
        Some(text) => text
            .parse()
            .map_err(|_| fields.problem("address", &text, "an IP address", "0.0.0.0"))
            .ok(),
    };
    let peers = read_peers(&fields);
    let advertised = fields.text("advertised_url", "http://table-0.example.org:8080");
    let advertised =
        advertised.and_then(|text| url(root.document(), &fields.at("advertised_url"), &text));
    let access = read_access(&fields, files);
    fields.finish();
    let port = u16::try_from(port).ok()?;
    Some(Lookups { listen: SocketAddr::new(address?, port), peers, advertised, access: access? })
}

fn read_peers(fields: &Fields<'_>) -> Peers {
    let is_list = matches!(fields.value("peers"), Some(Value::Sequence(_)));
    let texts = fields.placed_texts("peers", "http://table-headless:8080");
    let urls = texts.iter().filter_map(|(place, text)| url(fields.document(), place, text));
    let mut urls: Vec<_> = urls.collect();
    match is_list {
        true => Peers::List(urls),
        false => urls.pop().map_or(Peers::None, Peers::Name),
    }
}

/// Reads an address without a path, user or question.
pub(super) fn url(document: &Document, place: &str, text: &str) -> Option<Url> {
    let plain = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.path() == "/"
            && url.query().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    let url = text.parse().ok().filter(plain);
    if url.is_none() {
        // The text may hold a password, which is no business of a terminal.
        let expected = "an http or https address: scheme, host and port alone";
        document.problem(place, "another text", expected, "http://table-headless:8080");
    }
    url
}

fn read_access(fields: &Fields<'_>, files: &Files<'_>) -> Option<Access> {
    let before = fields.document().problems().len();
    let token = secret(fields, files, "bearer_token_file");
    let username = fields.text("username", "reader");
    let password = secret(fields, files, "password_file");
    let access = match (token, username, password) {
        (None, None, None) => Access::Open,
        (Some(token), None, None) => Access::Bearer(token),
        (None, Some(username), Some(password)) => Access::Basic { username, password },
        (Some(_), _, _) => {
            let expected = "either a token, or user and password";
            fields.problem("bearer_token_file", "both", expected, "token");
            return None;
        }
        (None, Some(_), None) => {
            fields.problem("password_file", "nothing", "a file with it", "password");
            return None;
        }
        (None, None, Some(_)) => {
            fields.problem("username", "nothing", "the name for it", "reader");
            return None;
        }
    };
    // A file that cannot be read must not leave the door open.
    (fields.document().problems().len() == before).then_some(access)
}

fn secret(fields: &Fields<'_>, files: &Files<'_>, name: &str) -> Option<String> {
    let (file, text) = files.text(fields, name, "token")?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.chars().any(char::is_control) {
        fields.problem(name, &file, "a file with one line of text", "token");
        return None;
    }
    Some(text.to_owned())
}
