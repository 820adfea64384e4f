//! What a hostile client can do: take its own connection down, and nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use nubium_test_kit::receiver::{Receiver, forms};
use nubium_test_kit::services::shared;
use nubium_test_kit::topics;
use serde_json::json;

use crate::RECEIVER;

/// A connection that is not closed by then never is.
const DEADLINE: Duration = Duration::from_secs(60);
const GIBIBYTE: usize = 1 << 30;
/// What the receiver may grow by. A debug build and its allocator keep some of what they took.
const GROWTH_KIB: u64 = 64 * 1024;

fn receiver() -> Result<(Receiver, String)> {
    let services = shared();
    let topic = topics::unique("forms");
    topics::create(&services.bootstrap, &[(&topic, 1)])?;
    let settings = format!(
        "limits: {{header_seconds: 1, body_seconds: 1}}\n\
         routes: [{{path: /forms, topic: {topic}, schema: form.avsc}}]\n"
    );
    let cluster = (services.bootstrap.as_str(), services.registry.as_str());
    Ok((Receiver::start(RECEIVER, cluster, &settings, &[])?, topic))
}

fn connect(receiver: &Receiver) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", receiver.port()))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// Reads until the receiver closes; a reset counts as closed, a time-out does not.
fn until_closed(mut stream: &TcpStream) -> Result<String> {
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => all.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

/// Sends bytes and reads the answer until the receiver closes.
fn exchange(receiver: &Receiver, bytes: &[u8]) -> Result<String> {
    let mut stream = connect(receiver)?;
    // The receiver may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    until_closed(&stream)
}

fn works(receiver: &Receiver) -> Result<()> {
    let answer = receiver.post("/forms", &json!({"id": "good", "n": 1}))?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

const HEAD: &str = "POST /forms HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n";

#[test]
fn slow_clients_are_cut_off_and_others_are_served_meanwhile() -> Result<()> {
    let (receiver, topic) = receiver()?;
    let mut slow = Vec::new();
    for at in 0..60 {
        let mut stream = connect(&receiver)?;
        match at % 3 {
            0 => {}
            1 => stream.write_all(b"POST /forms HTTP/1.1\r\nhost: t\r\nx-slow: ")?,
            _ => {
                stream.write_all(format!("{HEAD}content-length: 100\r\n\r\n{{\"id\"").as_bytes())?
            }
        }
        slow.push(stream);
    }
    works(&receiver)?;
    for (at, stream) in slow.iter().enumerate() {
        let answer = until_closed(stream)?;
        match at % 3 {
            2 => ensure!(answer.starts_with("HTTP/1.1 408 "), "{answer}"),
            _ => ensure!(!answer.contains(" 200 "), "{answer}"),
        }
    }
    works(&receiver)?;
    ensure!(forms(&shared().bootstrap, &topic)?.len() == 2);
    Ok(())
}

#[test]
fn a_body_of_a_gibibyte_is_refused_early_and_never_held() -> Result<()> {
    let (receiver, _) = receiver()?;
    works(&receiver)?;
    let before = receiver.memory_kib()?;
    let declared =
        exchange(&receiver, format!("{HEAD}content-length: {GIBIBYTE}\r\n\r\n").as_bytes())?;
    ensure!(declared.starts_with("HTTP/1.1 413 "), "{declared}");
    for _ in 0..4 {
        let mut stream = connect(&receiver)?;
        stream.write_all(format!("{HEAD}transfer-encoding: chunked\r\n\r\n").as_bytes())?;
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
        let mut sent = 0;
        while sent < GIBIBYTE && stream.write_all(chunk.as_bytes()).is_ok() {
            sent += 0x1_0000;
        }
        ensure!(sent < GIBIBYTE / 16, "{sent} bytes were taken");
        let answer = until_closed(&stream)?;
        ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    works(&receiver)?;
    let grown = receiver.memory_kib()?.saturating_sub(before);
    ensure!(grown < GROWTH_KIB, "it grew by {grown} KiB");
    Ok(())
}

#[test]
fn hostile_bodies_are_refused_with_400_and_cost_no_memory() -> Result<()> {
    let (receiver, topic) = receiver()?;
    works(&receiver)?;
    let before = receiver.memory_kib()?;
    let json = [("content-type", "application/json")];
    let deep = "[".repeat(1_000_000);
    let nested = format!("{{\"id\":{}", "{\"a\":".repeat(150_000));
    let wide = format!("[{}1]", "1,".repeat(9_000));
    let many_fields: String = (0..50_000).map(|n| format!("\"f{n}\":{n},")).collect();
    let many_fields = format!("{{{many_fields}\"id\":\"x\",\"n\":1}}");
    for body in [
        deep.into_bytes(),
        nested.into_bytes(),
        wide.into_bytes(),
        many_fields.into_bytes(),
        b"{\"id\": \"\xff\xfe\", \"n\": 1}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"id\": \"\\ud800\", \"n\": 1}".to_vec(),
        b"{\"id\": \"a\", \"n\": 1e400}".to_vec(),
        b"{\"id\": \"a\", \"n\": 9223372036854775808}".to_vec(),
        b"\0".to_vec(),
        Vec::new(),
    ] {
        let begins = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let answer = receiver.send("POST", "/forms", &json, body)?;
        ensure!(answer.status == 400, "{begins}: {answer:?}");
        ensure!(answer.body.len() < 64 * 1024, "an answer of {} bytes", answer.body.len());
    }
    works(&receiver)?;
    ensure!(forms(&shared().bootstrap, &topic)?.len() == 2);
    let grown = receiver.memory_kib()?.saturating_sub(before);
    ensure!(grown < GROWTH_KIB, "it grew by {grown} KiB");
    Ok(())
}

#[test]
fn header_floods_and_broken_requests_are_refused() -> Result<()> {
    let (receiver, topic) = receiver()?;
    let many: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(200_000));
    for (name, request, statuses) in [
        ("many headers", format!("{HEAD}{many}\r\n"), &["431"][..]),
        ("a long header", format!("{HEAD}{long}\r\n"), &["431"]),
        ("a long path", format!("POST /{} HTTP/1.1\r\n\r\n", "a".repeat(200_000)), &["414", "431"]),
        (
            "two lengths",
            format!("{HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}"),
            &["400"],
        ),
        ("no number", format!("{HEAD}content-length: -1\r\n\r\n"), &["400"]),
        ("a folded header", format!("{HEAD}x-a: b\r\n c\r\n\r\n"), &["400"]),
        ("no HTTP", "\x16\x03\x01\x02\0\x01\0".to_owned(), &["400"]),
        ("HTTP/2 in clear", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &["400", "505"]),
        ("a bad chunk", format!("{HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n"), &["400"]),
    ] {
        let answer = exchange(&receiver, request.as_bytes())?;
        let refused = statuses.iter().any(|s| answer.starts_with(&format!("HTTP/1.1 {s} ")));
        ensure!(refused || answer.is_empty(), "{name}: {answer}");
    }
    works(&receiver)?;
    ensure!(forms(&shared().bootstrap, &topic)?.len() == 1);
    Ok(())
}

#[test]
fn a_request_smuggled_in_the_body_of_another_is_not_taken() -> Result<()> {
    let (receiver, topic) = receiver()?;
    let inner = "{\"id\":\"smuggled\",\"n\":1}";
    let smuggled = format!("{HEAD}content-length: {}\r\n\r\n{inner}", inner.len());
    // Both lengths: what counts is the chunks, and then the connection ends or the rest is refused.
    let both = format!(
        "{HEAD}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{smuggled}\r\n0\r\n\r\n",
        smuggled.len()
    );
    let stream = connect(&receiver)?;
    (&stream).write_all(both.as_bytes())?;
    // An idle connection is closed after a second.
    let answer = until_closed(&stream)?;
    ensure!(!answer.contains(" 200 "), "{answer}");
    // Refused before its body is read: the rest must not be taken for a request.
    let refused = format!(
        "POST /elsewhere HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    );
    let stream = connect(&receiver)?;
    (&stream).write_all(refused.as_bytes())?;
    let answer = until_closed(&stream)?;
    ensure!(answer.matches("HTTP/1.1 ").count() == 1, "one answer: {answer}");
    works(&receiver)?;
    ensure!(forms(&shared().bootstrap, &topic)?.len() == 1);
    Ok(())
}

#[test]
fn clients_that_go_away_in_the_middle_leave_nothing_behind() -> Result<()> {
    let (receiver, _) = receiver()?;
    works(&receiver)?;
    let files =
        || std::fs::read_dir(format!("/proc/{}/fd", receiver.process().pid())).map(Iterator::count);
    let (before, open) = (receiver.memory_kib()?, files()?);
    for _ in 0..2_000 {
        let mut stream = connect(&receiver)?;
        stream.write_all(format!("{HEAD}content-length: 1000\r\n\r\n{{\"id\"").as_bytes())?;
        drop(stream);
    }
    nubium_test_kit::wait::until("the connections to be closed", DEADLINE, || {
        files().is_ok_and(|count| count <= open + 8)
    })?;
    works(&receiver)?;
    let grown = receiver.memory_kib()?.saturating_sub(before);
    ensure!(grown < GROWTH_KIB, "it grew by {grown} KiB");
    Ok(())
}
