//! How entries are looked up by HTTP, as the settings say it.

use std::net::{IpAddr, SocketAddr};

use nubium_service::document::{Document, Map, Value, show};
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

const PLACE: &str = "lookups";
const NAMES: [&str; 7] = [
    "port",
    "address",
    "peers",
    "advertised_url",
    "bearer_token_file",
    "username",
    "password_file",
];

/// Reads `lookups`; `None` where it is not there, or wrong.
pub(super) fn read(document: &mut Document<'_>, root: &Map) -> Option<Lookups> {
    let map = document.map(root, "", PLACE, "lookups: {port: 8080}")?;
    document.names(&map, PLACE, &NAMES);
    let port = document.number(&map, PLACE, "port", 1..=65_535);
    if !map.contains_key("port") {
        document.problem("lookups.port", "nothing", "the port to listen on", "8080");
    }
    let address = document.text(&map, PLACE, "address", "0.0.0.0");
    let address = match address.as_deref().map(str::parse::<IpAddr>) {
        None => Some(IpAddr::from([0, 0, 0, 0])),
        Some(Ok(address)) => Some(address),
        Some(Err(_)) => {
            let read = address.unwrap_or_default();
            document.problem("lookups.address", &read, "an IP address", "0.0.0.0");
            None
        }
    };
    let peers = read_peers(document, &map);
    let advertised =
        document.text(&map, PLACE, "advertised_url", "http://table-0.example.org:8080");
    let advertised = advertised.and_then(|text| url(document, "lookups.advertised_url", &text));
    let access = read_access(document, &map)?;
    let port = u16::try_from(port?).ok()?;
    Some(Lookups { listen: SocketAddr::new(address?, port), peers, advertised, access })
}

/// One address names all instances, as a headless service does; a list names each.
fn read_peers(document: &mut Document<'_>, map: &Map) -> Peers {
    let example = "http://table-headless:8080";
    match map.get("peers") {
        None => Peers::None,
        Some(Value::String(text)) => {
            url(document, "lookups.peers", text).map_or(Peers::None, Peers::Name)
        }
        Some(Value::Sequence(list)) => {
            let mut urls = Vec::new();
            for (index, peer) in list.iter().enumerate() {
                let place = format!("lookups.peers[{index}]");
                match peer {
                    Value::String(text) => urls.extend(url(document, &place, text)),
                    other => document.problem(&place, &show(other), "an address", example),
                }
            }
            Peers::List(urls)
        }
        Some(other) => {
            let expected = "the address of a headless service, or a list of addresses";
            document.problem("lookups.peers", &show(other), expected, example);
            Peers::None
        }
    }
}

/// Reads an address without a path, user or question.
pub(super) fn url(document: &mut Document<'_>, place: &str, text: &str) -> Option<Url> {
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

fn read_access(document: &mut Document<'_>, map: &Map) -> Option<Access> {
    let before = document.problems.len();
    let token = secret(document, map, "bearer_token_file");
    let username = document.text(map, PLACE, "username", "reader");
    let password = secret(document, map, "password_file");
    let access = match (token, username, password) {
        (None, None, None) => Access::Open,
        (Some(token), None, None) => Access::Bearer(token),
        (None, Some(username), Some(password)) => Access::Basic { username, password },
        (Some(_), _, _) => {
            let expected = "either a token, or user and password";
            document.problem("lookups.bearer_token_file", "both", expected, "token");
            return None;
        }
        (None, Some(_), None) => {
            document.problem("lookups.password_file", "nothing", "a file with it", "password");
            return None;
        }
        (None, None, Some(_)) => {
            document.problem("lookups.username", "nothing", "the name for it", "reader");
            return None;
        }
    };
    // A file that cannot be read must not leave the door open.
    (document.problems.len() == before).then_some(access)
}

fn secret(document: &mut Document<'_>, map: &Map, name: &str) -> Option<String> {
    let file = document.text(map, PLACE, name, "token")?;
    let place = format!("{PLACE}.{name}");
    let text = document.file(&place, &file, "token")?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.chars().any(char::is_control) {
        document.problem(&place, &file, "a file with one line of text", "token");
        return None;
    }
    Some(text.to_owned())
}
