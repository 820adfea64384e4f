//! TLS, users and bad configuration files.

mod common;

use std::process::{Command, Output, Stdio};

use common::{cache, certificate, eventually};

/// bcrypt of `secret`, cost 4.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a hash")
}

fn basic(login: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login))
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("cannot run `{program}`: {error}; install it"))
}

#[test]
fn users_are_asked_for_their_password_and_may_change_while_it_runs() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("web.yml");
    let write = |password: &str| {
        let text = format!(
            "basic_auth_users:\n  ann: {}\nhttp_server_config:\n  headers:\n    X-Test: yes!\n",
            hash(password)
        );
        std::fs::write(&file, text).expect("written");
    };
    write("secret");
    let server = cache(&[&format!("--web.config.file={}", file.display())]);
    let status = |login: &str| {
        let login = basic(login);
        server.send("GET", "/metrics", &[("authorization", &login)], b"").status
    };
    let anonymous = server.get("/metrics");
    assert_eq!((anonymous.status, anonymous.header("www-authenticate")), (401, Some("Basic")));
    assert_eq!(anonymous.header("x-test"), Some("yes!"));
    assert_eq!(server.put("/metrics/job/j", "a 1\n").status, 401);
    for (login, want) in [
        ("ann:secret", 200),
        ("ann:secret", 200),
        ("ann:wrong", 401),
        ("bob:secret", 401),
        ("ann", 401),
        ("", 401),
    ] {
        assert_eq!(status(login), want, "{login}");
    }
    write("changed");
    eventually("the new password counts", || status("ann:changed") == 200);
    assert_eq!(status("ann:secret"), 401, "the old one is not remembered");
    std::fs::write(&file, "basic_auth_users: [").expect("written");
    eventually("a look at the file", || {
        // Each request looks, if the last look is old.
        status("ann:changed") == 200 && server.log().contains("The web configuration is bad now")
    });
    assert_eq!((status("ann:changed"), status("ann:x")), (200, 401));
}

#[test]
fn tls_is_spoken_certificates_rotate_and_peers_use_it() {
    let directory = tempfile::tempdir().expect("directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    certificate::make(directory.path(), "one");
    certificate::make(directory.path(), "two");
    std::fs::copy(at("one.pem"), at("cert.pem")).expect("copied");
    std::fs::copy(at("one.key"), at("cert.key")).expect("copied");
    let config = format!(
        "tls_server_config:\n  cert_file: cert.pem\n  key_file: cert.key\nbasic_auth_users:\n  \
         peer: {}\n",
        hash("p:w")
    );
    std::fs::write(at("web.yml"), config).expect("written");
    let flag = format!("--web.config.file={}", at("web.yml"));
    let server = cache(&[&flag]);
    let url = format!("https://{}/metrics/job/j", server.address);
    let curl = |ca: &str, arguments: &[&str]| {
        let ca = at(ca);
        let fixed = ["-sS", "--cacert", &ca, "-u", "peer:p:w", "-w", "%{http_code}"];
        let output = run("curl", &[&fixed, arguments].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let push = ["-X", "PUT", "--data-binary", "a 1\n", &url];
    assert_eq!(curl("one.pem", &push), "200");
    assert_eq!(curl("two.pem", &push), "000", "another certificate");
    let plain = String::from_utf8_lossy(&server.exchange(b"GET / HTTP/1.1\r\n\r\n")).into_owned();
    assert!(!plain.contains("200"), "no plain HTTP: {plain}");

    std::fs::write(at("login"), "peer:p:w\n").expect("written");
    let (peers, ca, login) = (
        format!("--replica.peers={}", server.address),
        format!("--replica.ca-file={}", at("one.pem")),
        format!("--replica.credentials-file={}", at("login")),
    );
    let replica = cache(&[&peers, &ca, &login]);
    eventually("the replica is ready", || replica.get("/-/ready").status == 200);
    assert!(replica.metrics().contains("a{instance=\"\",job=\"j\"} 1\n"));

    std::fs::copy(at("two.pem"), at("cert.pem")).expect("copied");
    std::fs::copy(at("two.key"), at("cert.key")).expect("copied");
    eventually("the new certificate is shown", || curl("two.pem", &push) == "200");
}

#[test]
fn client_certificates_are_required_when_the_file_says_so() {
    let directory = tempfile::tempdir().expect("directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    for name in ["server", "client"] {
        certificate::make(directory.path(), name);
    }
    let config = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  \
                  client_ca_file: client.pem\n  client_auth_type: RequireAndVerifyClientCert\n  \
                  min_version: TLS13\n";
    std::fs::write(at("web.yml"), config).expect("written");
    let server = cache(&[&format!("--web.config.file={}", at("web.yml"))]);
    let url = format!("https://{}/-/healthy", server.address);
    let (ca, cert, key) = (at("server.pem"), at("client.pem"), at("client.key"));
    let with = run("curl", &["-sS", "--cacert", &ca, "--cert", &cert, "--key", &key, &url]);
    assert_eq!(String::from_utf8_lossy(&with.stdout), "OK");
    let without = run("curl", &["-sS", "--cacert", &ca, &url]);
    assert!(!without.status.success());
}

#[test]
fn a_bad_file_ends_the_program_with_code_2_and_names_the_field_but_no_secret() {
    let directory = tempfile::tempdir().expect("directory");
    certificate::make(directory.path(), "one");
    let pair = "cert_file: one.pem, key_file: one.key";
    for (text, want) in [
        ("basic_auth_user: {}", "unknown field `basic_auth_user`"),
        ("basic_auth_users: {ann: canary}", "the hash of `ann` is not bcrypt"),
        ("basic_auth_users: canary", "expected the fields"),
        ("tls_server_config: {cert_file: one.pem}", "missing field `key_file`"),
        (
            "tls_server_config: {cert_file: no.pem, key_file: one.key}",
            "tls_server_config.cert_file",
        ),
        (
            "tls_server_config: {cert_file: one.pem, key_file: one.pem}",
            "tls_server_config.key_file",
        ),
        (&format!("tls_server_config: {{{pair}, min_version: TLS9}}"), "`TLS9` is not TLS12"),
        (&format!("tls_server_config: {{{pair}, client_auth_type: x}}"), "client_auth_type: `x`"),
        (
            &format!("tls_server_config: {{{pair}, client_auth_type: RequireAndVerifyClientCert}}"),
            "needs a client_ca_file",
        ),
        (
            &format!("tls_server_config: {{{pair}, client_ca_file: one.pem}}"),
            "client_ca_file is given",
        ),
        ("http_server_config: {headers: {'a b': c}}", "`a b` or its value is no header"),
    ] {
        let file = directory.path().join("web.yml");
        std::fs::write(&file, text).expect("written");
        let flag = format!("--web.config.file={}", file.display());
        let port = "--web.listen-address=127.0.0.1:0";
        let ended = run(env!("CARGO_BIN_EXE_metrics-cache"), &[port, &flag]);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{text}: {said}");
        assert!(said.contains(want) && said.contains("web.yml"), "{text}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
    let missing = run(env!("CARGO_BIN_EXE_metrics-cache"), &["--web.config.file=/no/such/file"]);
    assert_eq!(missing.status.code(), Some(2));
}
