//! The receiver and a bare axum handler with rdkafka, in turn, under the same load, on one broker.
//!
//! `scripts/bench-receiver` runs it and says what can be set. The bare handler parses JSON into a
//! struct and produces the JSON again: no Avro, no checks, no headers, no limits. Both run as
//! processes of their own with the same librdkafka properties; clients keep their connections.
#![allow(clippy::print_stdout, reason = "a table is what this is for")]

mod bare;
mod load;

use std::collections::BTreeMap;
use std::env;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use load::Measured;
use nubium_local::program::app_settings;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

const SCHEMA: &str = r#"{"type": "record", "name": "Form", "fields": [
    {"name": "id", "type": "string"}, {"name": "email", "type": "string"},
    {"name": "name", "type": "string"}, {"name": "score", "type": "double"},
    {"name": "clicks", "type": "long"}, {"name": "active", "type": "boolean"},
    {"name": "comment", "type": ["null", "string"], "default": null}]}"#;
const PARTITIONS: i32 = 4;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--bare") {
        return bare::serve(&arguments[at + 1], &arguments[at + 2], &arguments[at + 3]);
    }
    let Ok(bootstrap) = env::var("BENCH_BOOTSTRAP") else {
        println!(
            "set BENCH_BOOTSTRAP, BENCH_REGISTRY and BENCH_BINARY, or run scripts/bench-receiver"
        );
        return;
    };
    let registry = env::var("BENCH_REGISTRY").expect("BENCH_REGISTRY");
    let topic = format!("bench-receiver-{:x}", std::process::id());
    create(&bootstrap, &topic);
    let seconds = number("BENCH_SECONDS", 10);
    let (rounds, connections) = (number("BENCH_ROUNDS", 3), number("BENCH_CONNECTIONS", 64));
    println!("{connections} connections, {seconds} s a run, {rounds} rounds\n");
    println!("| server | records a request | records/s | p50 ms | p99 ms | failed |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let mut all = BTreeMap::<(usize, &str), Vec<Measured>>::new();
    for _ in 0..rounds {
        for size in [1, 50] {
            for server in ["http-receiver", "bare handler"] {
                let running = match server {
                    "http-receiver" => receiver(&bootstrap, &registry, &topic),
                    _ => bare_server(&bootstrap, &topic),
                };
                let time = Duration::from_secs(seconds as u64);
                let measured = load::run(running.port, size, connections, time);
                println!(
                    "| {server} | {size} | {:.0} | {:.2} | {:.2} | {} |",
                    measured.per_second, measured.p50, measured.p99, measured.failed
                );
                all.entry((size, server)).or_default().push(measured);
            }
        }
    }
    println!("\n| records a request | receiver / bare, records/s | receiver / bare, p99 |");
    println!("| ---: | ---: | ---: |");
    for size in [1, 50] {
        let best = |server| &all[&(size, server)];
        let rate = |server| best(server).iter().map(|m| m.per_second).fold(0.0, f64::max);
        let p99 = |server| best(server).iter().map(|m| m.p99).fold(f64::MAX, f64::min);
        println!(
            "| {size} | {:.2} | {:.2} |",
            rate("http-receiver") / rate("bare handler"),
            p99("http-receiver") / p99("bare handler")
        );
    }
}

fn number(name: &str, default: usize) -> usize {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn create(bootstrap: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("client");
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let created = runtime.block_on(admin.create_topics(&[new], &AdminOptions::new()));
    created.expect("answer")[0].as_ref().expect("topic");
}

/// A server that ends with this.
struct Running {
    port: u16,
    child: Child,
    _dir: Option<tempfile::TempDir>,
}

impl Running {
    fn start(port: u16, dir: Option<tempfile::TempDir>, command: &mut Command) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        load::wait_for(port);
        Self { port, child, _dir: dir }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    listener.local_addr().expect("address").port()
}

fn receiver(bootstrap: &str, registry: &str, topic: &str) -> Running {
    let (dir, port) = (tempfile::tempdir().expect("directory"), free_port());
    let settings = format!(
        "listen: 127.0.0.1:{port}\n\
         routes: [{{path: /forms, topic: {topic}, schema: form.avsc, key: /id}}]\n"
    );
    let file = dir.path().join("http-receiver.yaml");
    std::fs::write(&file, settings).expect("settings");
    std::fs::write(dir.path().join("form.avsc"), SCHEMA).expect("schema");
    let program = env::var("BENCH_BINARY").expect("BENCH_BINARY");
    let mut command = Command::new(program);
    command
        .arg("run")
        .envs(app_settings(bootstrap, registry, "bench"))
        .env("NU_HTTP_RECEIVER_CONFIG", file)
        .env("NU_HEALTH_FILE", "off");
    Running::start(port, Some(dir), &mut command)
}

fn bare_server(bootstrap: &str, topic: &str) -> Running {
    let port = free_port();
    let this = env::current_exe().expect("path");
    let mut command = Command::new(this);
    command.args(["--bare", &port.to_string(), bootstrap, topic]);
    Running::start(port, None, &mut command)
}
