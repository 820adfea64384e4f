//! Runs the proxy in front of a server that answers every request with its correlation id.

use std::io::Read;
use std::process::Command;

use super::*;
use crate::process::Process;

const DEADLINE: Duration = Duration::from_secs(30);

/// Echoes correlation ids until its clients are gone.
fn broker() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let (mut from, mut to) = (&stream, &stream);
                while let Ok(Some(request)) = read_frame(&mut from) {
                    // Correlation id, throttle time and "no error".
                    let mut answer = request[4..8].to_vec();
                    answer.extend([0; 6]);
                    let _ = write_frame(&mut to, &answer);
                }
            });
        }
    });
    port
}

fn proxy() -> Proxy {
    let proxy = Proxy::listen().unwrap();
    proxy.forward_to(broker());
    proxy
}

fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap()
}

fn request(api: ApiKey, correlation: i32, client: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = api.0.to_be_bytes().to_vec();
    bytes.extend(1_i16.to_be_bytes());
    bytes.extend(correlation.to_be_bytes());
    bytes.extend((client.len() as i16).to_be_bytes());
    bytes.extend(client.as_bytes());
    bytes.extend(body);
    bytes
}

fn send(stream: &TcpStream, api: ApiKey, correlation: i32, client: &str, body: &[u8]) {
    write_frame(stream, &request(api, correlation, client, body)).unwrap();
}

fn answer(mut stream: &TcpStream) -> Option<i32> {
    read_frame(&mut stream).ok().flatten().and_then(|bytes| correlation(&bytes))
}

#[test]
fn forwards_in_order_and_counts() {
    let proxy = proxy();
    let stream = connect(&proxy);
    for number in 0..10 {
        send(&stream, ApiKey::FETCH, number, "app", b"body");
    }
    for number in 0..10 {
        assert_eq!(answer(&stream), Some(number));
    }
    assert_eq!(proxy.count(ApiKey::FETCH, Side::Response), 10);
    assert_eq!(proxy.count(ApiKey::PRODUCE, Side::Request), 0);
}

#[test]
fn drops_the_nth_frame_of_one_client_alone() {
    let proxy = proxy();
    let rule = Rule::on(ApiKey::PRODUCE, Side::Response, |_| Verdict::Drop);
    proxy.add(rule.nth(2).client("app-1"));
    let stream = connect(&proxy);
    for (number, client) in ["app-1", "other", "app-1", "app-1"].into_iter().enumerate() {
        send(&stream, ApiKey::PRODUCE, number as i32, client, b"");
    }
    assert_eq!([answer(&stream), answer(&stream), answer(&stream)], [Some(0), Some(1), Some(3)]);
}

#[test]
fn holds_a_frame_until_the_gate_opens() {
    let proxy = proxy();
    let gate = Gate::new();
    proxy.add(Rule::on(ApiKey::END_TXN, Side::Request, hold(&gate)));
    let held = connect(&proxy);
    send(&held, ApiKey::END_TXN, 1, "app", b"");
    gate.reached(DEADLINE).unwrap();
    let other = connect(&proxy);
    send(&other, ApiKey::FETCH, 2, "app", b"");
    assert_eq!(answer(&other), Some(2), "another connection goes on");
    gate.open(Verdict::Forward);
    assert_eq!(answer(&held), Some(1));
}

#[test]
fn answers_with_an_error_code() {
    let proxy = proxy();
    proxy.add(Rule::on(ApiKey::END_TXN, Side::Response, answer_error(47)));
    let mut stream = connect(&proxy);
    send(&stream, ApiKey::END_TXN, 7, "app", b"");
    let bytes = read_frame(&mut stream).unwrap().unwrap();
    assert_eq!(bytes, [0, 0, 0, 7, 0, 0, 0, 0, 0, 47]);
}

#[test]
fn closes_a_connection_at_a_frame() {
    let proxy = proxy();
    proxy.add(Rule::on(ApiKey::FETCH, Side::Request, |_| Verdict::Close));
    let stream = connect(&proxy);
    send(&stream, ApiKey::FETCH, 1, "app", b"");
    assert_eq!(answer(&stream), None);
}

#[test]
fn kills_a_process_at_a_frame() {
    let dir = tempfile::tempdir().unwrap();
    let victim = Process::spawn("victim", dir.path(), Command::new("sleep").arg("1000")).unwrap();
    let proxy = proxy();
    let target = Target::new();
    proxy.add(Rule::on(ApiKey::END_TXN, Side::Response, kill(&target)));
    target.set(victim.pid());
    let stream = connect(&proxy);
    send(&stream, ApiKey::END_TXN, 1, "app", b"");
    assert_eq!(victim.wait(DEADLINE).unwrap().code(), None);
}

#[test]
fn kills_a_process_after_a_frame() {
    let dir = tempfile::tempdir().unwrap();
    let victim = Process::spawn("victim", dir.path(), Command::new("sleep").arg("1000")).unwrap();
    let (proxy, target) = (proxy(), Target::new());
    target.set(victim.pid());
    proxy.add(Rule::on(ApiKey::END_TXN, Side::Response, kill_after(&target)));
    let stream = connect(&proxy);
    send(&stream, ApiKey::END_TXN, 1, "app", b"");
    assert_eq!(answer(&stream), Some(1));
    assert_eq!(victim.wait(DEADLINE).unwrap().code(), None);
}

#[test]
fn severs_and_mends() {
    let proxy = proxy();
    let stream = connect(&proxy);
    send(&stream, ApiKey::FETCH, 1, "app", b"");
    assert_eq!(answer(&stream), Some(1));
    proxy.sever();
    assert_eq!(answer(&stream), None);
    // The connection is taken by the system and closed at once.
    let mut byte = [0];
    assert!(matches!(connect(&proxy).read(&mut byte), Ok(0) | Err(_)));
    proxy.mend();
    let stream = connect(&proxy);
    send(&stream, ApiKey::FETCH, 2, "app", b"");
    assert_eq!(answer(&stream), Some(2));
}

#[test]
fn tells_a_commit_from_an_abort() {
    let frame = |version: i16, body: &[u8]| {
        let mut bytes = request(ApiKey::END_TXN, 1, "app", body);
        bytes[2..4].copy_from_slice(&version.to_be_bytes());
        Frame { api: ApiKey::END_TXN, version: 1, side: Side::Request, client: "app".into(), bytes }
    };
    assert_eq!(frame(1, &[9, 9, 1]).commits(), Some(true));
    assert_eq!(frame(1, &[9, 9, 0]).commits(), Some(false));
    assert_eq!(frame(3, &[9, 9, 1, 0]).commits(), Some(true));
    assert_eq!(frame(3, &[9, 1, 0, 0]).commits(), Some(false));
}

#[test]
fn reads_a_client_without_a_name() {
    let mut bytes = request(ApiKey::FETCH, 5, "", b"");
    bytes[8..10].copy_from_slice(&(-1_i16).to_be_bytes());
    let header = RequestHeader::read(&bytes).unwrap();
    assert_eq!((header.correlation, header.client.as_str()), (5, ""));
    assert!(RequestHeader::read(&bytes[..8]).is_none());
}
