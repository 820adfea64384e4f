//! The smallest HTTP client: one request, one connection, short patience.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Where it sends us.
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

/// Asks for a path.
///
/// # Errors
/// There is no answer in time.
pub fn get(server: SocketAddr, path: &str, patience: Duration) -> Result<Answer> {
    send(server, &format!("GET {path} HTTP/1.1\r\n"), "", patience)
}

/// Posts a JSON text with further headers, each ended by a line end.
///
/// # Errors
/// There is no answer in time: it may have been done or not.
pub fn post(
    server: SocketAddr,
    path: &str,
    headers: &str,
    body: &str,
    patience: Duration,
) -> Result<Answer> {
    let head = format!(
        "POST {path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}",
        body.len()
    );
    send(server, &head, body, patience)
}

fn send(server: SocketAddr, head: &str, body: &str, patience: Duration) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    write!(stream, "{head}host: {server}\r\nconnection: close\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Result<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no head")?;
    let status = head.split(' ').nth(1).context("the answer has no status")?.parse()?;
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.to_owned()).next()
    };
    let chunked = header("transfer-encoding").is_some_and(|how| how == "chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Ok(Answer { status, location: header("location"), body })
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = after.get(..size).filter(|chunk| !chunk.is_empty()) else { break };
        body.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_location_and_chunks() {
        let answer = parse(
            "HTTP/1.1 307 There\r\nLocation: http://x/\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        );
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.location.as_deref()), (307, Some("http://x/")));
        assert_eq!(answer.body, "abcde");
        assert!(parse("").is_err());
    }
}
