//! A replica that starts among others: by address and by name, in clear and by TLS.

mod common;

use std::net::Ipv4Addr;

use common::dns::{Dns, Says};
use common::{Server, cache, cache_at, certificate, eventually};

fn is_ready(server: &Server) -> bool {
    server.get("/-/ready").status == 200
}

/// Loopback addresses stand for pods: one port, many addresses.
fn pod(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, n)
}

#[test]
fn a_replica_has_the_groups_of_its_peer_before_it_is_ready() {
    let first = cache(&[]);
    for n in 0..50 {
        first.put(&format!("/metrics/job/j/instance/{n}"), "# TYPE a gauge\na 1\n");
    }
    let peers = format!("--replica.peers={}", first.address);
    let second = cache(&[&peers]);
    eventually("the second is ready", || second.get("/-/ready").status == 200);
    let groups = |server: &Server| {
        let text = server.metrics();
        let mut lines: Vec<_> = text.lines().filter(|it| it.contains("job=\"j\"")).collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(groups(&second), groups(&first));
    assert_eq!(groups(&first).lines().count(), 150);
    // Nobody there, and itself: neither holds it up.
    let nobody = cache(&["--replica.peers=127.0.0.1:1"]);
    eventually("it is ready alone", || nobody.get("/-/ready").status == 200);
}

#[test]
fn a_replica_whose_peer_does_not_answer_waits_and_then_starts() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let peers = format!("--replica.peers={}", silent.local_addr().expect("address"));
    let server = cache(&[&peers, "--replica.timeout=2s"]);
    assert_eq!(server.get("/-/ready").status, 503);
    assert_eq!(server.get("/-/healthy").status, 200);
    eventually("it starts all the same", || server.get("/-/ready").status == 200);
}

#[test]
fn a_replica_finds_its_peers_by_the_name_of_the_headless_service() {
    let first = cache_at(&format!("{}:0", pod(1)), &[]);
    let port = first.address.port();
    let second = cache_at(&format!("{}:{port}", pod(2)), &[]);
    first.put("/metrics/job/only-first", "a 1\n");
    first.put("/metrics/job/both", "a 1\n");
    second.put("/metrics/job/only-second", "a 1\n");
    second.put("/metrics/job/both", "a 2\n");
    // Nobody listens at the third address, and the fourth is its own.
    let dns = Dns::start(Says::Addresses([1, 2, 3, 4].map(pod).to_vec()));
    let peers = format!("--replica.peers={}:{port}", certificate::HOST);
    let fourth = cache_at(&format!("{}:{port}", pod(4)), &[&peers, &dns.flag()]);
    eventually("the replica is ready", || is_ready(&fourth));
    let value = |job: &str| fourth.value(&format!("a{{instance=\"\",job=\"{job}\"}}"));
    for (job, want) in [("only-first", "1"), ("only-second", "1"), ("both", "2")] {
        assert_eq!(value(job).as_deref(), Some(want), "{job}: the newest push counts");
    }
    assert!(!fourth.log().contains("Could not ask every peer"), "{}", fourth.log());
}

#[test]
fn a_replica_waits_while_its_peers_cannot_be_looked_up() {
    let peer = cache(&[]);
    peer.put("/metrics/job/j", "a 1\n");
    let dns = Dns::start(Says::Failure);
    let peers = format!("--replica.peers={}:{}", certificate::HOST, peer.address.port());
    let server = cache(&[&peers, &dns.flag()]);
    eventually("the name is asked for", || dns.asked() > 0);
    assert_eq!(server.get("/-/ready").status, 503);
    dns.say(Says::Addresses(vec![Ipv4Addr::LOCALHOST]));
    eventually("the replica is ready", || is_ready(&server));
    assert!(server.metrics().contains("a{instance=\"\",job=\"j\"} 1\n"));
}

#[test]
fn the_first_replica_of_a_service_without_pods_starts_alone() {
    let dns = Dns::start(Says::NoSuchName);
    let peers = format!("--replica.peers={}:9091", certificate::HOST);
    let server = cache(&[&peers, &dns.flag()]);
    eventually("the replica is ready", || is_ready(&server));
    assert!(dns.asked() > 0);
}

#[test]
fn the_certificate_of_a_peer_must_be_of_the_name_and_not_of_its_address() {
    let directory = tempfile::tempdir().expect("directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    certificate::make(directory.path(), "one");
    let config = "tls_server_config:\n  cert_file: one.pem\n  key_file: one.key\n";
    std::fs::write(at("web.yml"), config).expect("written");
    let peer =
        cache_at(&format!("{}:0", pod(5)), &[&format!("--web.config.file={}", at("web.yml"))]);
    let port = peer.address.port();
    let dns = Dns::start(Says::Addresses(vec![pod(5)]));
    let ca = format!("--replica.ca-file={}", at("one.pem"));
    for (host, want) in [(certificate::HOST, true), ("other.test", false)] {
        let peers = format!("--replica.peers={host}:{port}");
        let flags = [&peers, &ca, &dns.flag(), "--replica.timeout=2s"];
        let server = cache(&flags.map(|flag| flag as &str));
        eventually("the replica is ready", || is_ready(&server));
        let took = server.log().contains("Took the groups of a peer");
        assert_eq!(took, want, "{host}: {}", server.log());
    }
}
