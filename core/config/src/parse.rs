//! From text to value. A refusal says why without repeating the text, which may be a secret.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nubium_document::topic_name;
use url::Url;

use super::setting::Unit;

/// Says why a text is refused.
pub(super) type Refusal = String;

/// Reads a boolean as Python and YAML write it.
pub(super) fn flag(text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Ok(true),
        "false" | "0" | "no" | "off" | "f" | "n" => Ok(false),
        _ => Err("neither true nor false".into()),
    }
}

/// Reads a whole number between two bounds, both included.
pub(super) fn whole(text: &str, min: u64, max: u64) -> Result<u64, Refusal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("not a whole number".into());
    }
    if digits.len() < text.len() && digits.bytes().any(|b| b != b'0') {
        return Err("too small".into());
    }
    match digits.parse::<u64>() {
        Ok(number) if number < min => Err("too small".into()),
        Ok(number) if number <= max => Ok(number),
        _ => Err("too large".into()),
    }
}

/// Reads a number, whole or with a decimal point, between two bounds, both included.
pub(super) fn decimal(text: &str, min: f64, max: f64) -> Result<f64, Refusal> {
    // Rust also reads `inf`, `nan` and `1e9`; none of them is meant as a setting.
    if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-')) {
        return Err("not a number".into());
    }
    match text.parse::<f64>() {
        Ok(number) if number < min => Err("too small".into()),
        Ok(number) if number > max => Err("too large".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a number".into()),
    }
}

/// Reads a length of time, to the millisecond.
pub(super) fn time(text: &str, unit: Unit, min: f64, max: f64) -> Result<Duration, Refusal> {
    let milliseconds = match unit {
        Unit::Milliseconds => 1.0,
        Unit::Seconds => 1_000.0,
        Unit::Minutes => 60_000.0,
    };
    let number = decimal(text, min, max)?;
    Ok(Duration::from_millis((number * milliseconds).round() as u64))
}

/// Reads a size in units of 2^20 bytes and gives bytes.
pub(super) fn megabytes(text: &str, min: f64, max: f64) -> Result<u64, Refusal> {
    Ok((decimal(text, min, max)? * 1_048_576.0).floor() as u64)
}

/// Reads a comma-separated list of topic names; no text is an empty list.
pub(super) fn topics(text: &str) -> Result<Vec<String>, Refusal> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let names = text.split(',').map(str::trim);
    names.map(|name| Ok(topic_name(name).map(|()| name.to_owned())?)).collect()
}

/// Reads a comma-separated list of HTTP addresses; `scheme` goes before one that has none.
pub(super) fn urls(text: &str, scheme: &str) -> Result<Vec<Url>, Refusal> {
    text.split(',').map(str::trim).map(|address| url(address, scheme)).collect()
}

fn url(address: &str, scheme: &str) -> Result<Url, Refusal> {
    if address.is_empty() {
        return Err("an empty address".into());
    }
    let full = match address.contains("://") {
        true => address.to_owned(),
        false => format!("{scheme}://{address}"),
    };
    let url = Url::parse(&full).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        Err("a scheme other than http and https".into())
    } else if !url.username().is_empty() || url.password().is_some() {
        Err("a username or password inside the address".into())
    } else if url.query().is_some() || url.fragment().is_some() {
        Err("a query or fragment in the address".into())
    } else {
        Ok(url)
    }
}

/// Reads a server's IP address; `port` is used where it names none.
pub(super) fn server(text: &str, port: u16) -> Result<SocketAddr, Refusal> {
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    text.parse().map_err(|_| "neither an IP address nor one with a port".into())
}

/// Checks a list of brokers as librdkafka reads it: `[PROTOCOL://]host[:port],...`.
pub(super) fn brokers(text: &str) -> Result<(), Refusal> {
    for broker in text.split(',').map(str::trim) {
        let address = broker.split_once("://").map_or(broker, |(_, address)| address);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (address, "9092"),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@') {
            return Err("a broker without a usable host name".into());
        }
        if whole(port, 1, 65_535).is_err() {
            return Err("a broker whose port is no number from 1 to 65535".into());
        }
    }
    Ok(())
}

/// Finds the names that stand more than once in a list.
pub(super) fn repeated(names: &[String]) -> Vec<&str> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name.as_str()).or_insert(0) += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}
