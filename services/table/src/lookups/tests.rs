use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nubium_core::table::{Entry, PartitionState, Phase, Role};
use nubium_host::Stop;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::{Value, json};

use super::get::{Decision, decide};
use super::{LookupServer, View};
use crate::settings::{Access, Lookups, Peers};

/// A table whose keys begin with their partition: `1-key`; `0!1-key` is on 1 and guessed to be on 0.
#[derive(Default)]
struct Played {
    entries: Mutex<BTreeMap<String, i64>>,
    partitions: Mutex<Vec<PartitionState>>,
}

fn partition(key: &str) -> i32 {
    let key = key.split_once('!').map_or(key, |(_, key)| key);
    key.split('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn guess(key: &str) -> i32 {
    partition(key.split_once('!').map_or(key, |(guess, _)| guess))
}

fn entry(key: &str, number: i64) -> Entry {
    let value = json!({"n": number}).to_string();
    Entry { key: key.to_owned(), value, timestamp: 1_000 + number, partition: partition(key) }
}

fn held(partition: i32, role: Role, phase: Phase) -> PartitionState {
    PartitionState { partition, role, phase, rows: 3, position: 10, end: 10 }
}

impl Played {
    fn new(partitions: Vec<PartitionState>, keys: &[&str]) -> Arc<Self> {
        let played = Self::default();
        *played.partitions.lock().expect("lock") = partitions;
        let mut entries = played.entries.lock().expect("lock");
        entries.extend((0..).zip(keys).map(|(number, key)| ((*key).to_owned(), number)));
        drop(entries);
        Arc::new(played)
    }

    fn owner_of(partition: i32, keys: &[&str]) -> Arc<Self> {
        Self::new(vec![held(partition, Role::Active, Phase::Ready)], keys)
    }
}

impl View for Played {
    fn get(&self, key: &str) -> anyhow::Result<Option<Entry>> {
        Ok(self.entries.lock().expect("lock").get(key).map(|number| entry(key, *number)))
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> anyhow::Result<Vec<Entry>> {
        let entries = self.entries.lock().expect("lock");
        let wanted = entries.iter().filter(|(key, _)| key.starts_with(prefix));
        let wanted = wanted.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        Ok(wanted.take(limit).map(|(key, number)| entry(key, *number)).collect())
    }

    fn partitions(&self) -> Vec<PartitionState> {
        self.partitions.lock().expect("lock").clone()
    }

    fn partition_of(&self, key: &str) -> Option<i32> {
        Some(guess(key))
    }

    fn partition_count(&self) -> i32 {
        2
    }
}

/// Instances that know each other, each at an address of its own.
fn start(tables: &[Arc<Played>], access: &Access) -> (Vec<LookupServer>, Vec<String>) {
    let listeners: Vec<_> =
        tables.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("port")).collect();
    let urls: Vec<String> = listeners
        .iter()
        .map(|listener| format!("http://{}", listener.local_addr().expect("address")))
        .collect();
    let peers: Vec<Url> = urls.iter().map(|url| url.parse().expect("URL")).collect();
    let servers =
        (0..).zip(listeners.into_iter().zip(tables)).map(|(number, (listener, table))| {
            let settings = Lookups {
                listen: listener.local_addr().expect("address"),
                peers: Peers::List(peers.clone()),
                advertised: None,
                access: access.clone(),
            };
            let instance = format!("table-{number}");
            let view = Arc::clone(table) as Arc<dyn View>;
            LookupServer::start_on(listener, &settings, "people", &instance, view, Stop::new())
                .expect("server")
        });
    (servers.collect(), urls)
}

/// A client that shows redirects instead of following them.
async fn ask(url: &str) -> Response {
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    client.build().expect("client").get(url).send().await.expect("an answer")
}

async fn follow(url: &str) -> Response {
    Client::builder().no_proxy().build().expect("client").get(url).send().await.expect("an answer")
}

async fn body(response: Response) -> Value {
    response.json().await.expect("JSON")
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[test]
fn what_is_done_about_a_key_follows_from_what_is_here() {
    let wait = |text, seconds| Decision::Wait(text, Duration::from_secs(seconds));
    let recovering = |left| Phase::Recovering { rows: 1, rate: 1.0, left };
    let in_9_s = recovering(Some(Duration::from_secs(9)));
    let (active, standby) = (Role::Active, Role::Standby);
    let starting = wait("the table is starting", 1);
    let busy = |seconds| wait("the key's partition is recovering", seconds);
    for (key, here, stale, redirected, wanted) in [
        (None, vec![], false, false, starting),
        (Some(0), vec![held(0, active, Phase::Ready)], false, false, Decision::Answer),
        (Some(0), vec![held(0, active, in_9_s)], false, false, busy(9)),
        (Some(0), vec![held(0, active, recovering(None))], true, false, busy(5)),
        (
            Some(0),
            vec![held(0, active, Phase::Waiting)],
            false,
            false,
            wait("the store of the key's partition is waited for", 5),
        ),
        (Some(0), vec![held(1, active, Phase::Ready)], false, false, Decision::Elsewhere(0)),
        (Some(0), vec![held(0, standby, Phase::Ready)], false, false, Decision::Elsewhere(0)),
        (Some(0), vec![held(0, standby, Phase::Ready)], true, false, Decision::Answer),
        (Some(0), vec![], false, true, Decision::Answer),
    ] {
        assert_eq!(decide(key, &here, stale, redirected), wanted, "{key:?} {here:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_answered_by_its_key_whatever_is_in_that() {
    let keys = ["0-a", "0-a/b c?ü"];
    let all = [0, 1].map(|partition| held(partition, Role::Active, Phase::Ready));
    let (_servers, urls) = start(&[Played::new(all.into(), &keys)], &Access::Open);
    let answer = ask(&format!("{}/table/0-a", urls[0])).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let wanted = json!({"key": "0-a", "value": {"n": 0}, "timestamp": 1_000, "partition": 0});
    assert_eq!(body(answer).await, wanted);
    let answer = ask(&format!("{}/table/0-a%2Fb%20c%3F%C3%BC", urls[0])).await;
    assert_eq!(body(answer).await["key"], "0-a/b c?ü");
    let answer = ask(&format!("{}/table/0-z", urls[0])).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(body(answer).await, json!({"error": "there is no entry of this key"}));
    for (path, wanted) in [
        ("/table/0-a?stael=true", "there is no `stael`: use stale, redirected, local"),
        ("/table/0-a?stale=maybe", "`stale` is \"maybe\": use true or false"),
        ("/table?limit=5000", "`limit` is \"5000\": use a whole number from 1 to 1000"),
        ("/table?prefix=a&prefix=b", "`prefix` is there twice"),
    ] {
        let answer = ask(&format!("{}{path}", urls[0])).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(body(answer).await["error"], wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_instance_is_redirected_to_it_and_never_in_a_circle() {
    let tables = [Played::owner_of(0, &["0-a", "1!0-c"]), Played::owner_of(1, &["1-b c", "0!1-d"])];
    let (_servers, urls) = start(&tables, &Access::Open);
    let at_the_first = format!("{}/table/1-b%20c", urls[0]);
    let answer = ask(&at_the_first).await;
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    let wanted = format!("{}/table/1-b%20c?redirected=true", urls[1]);
    assert_eq!(header(&answer, "location"), wanted);
    let answer = follow(&at_the_first).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(body(answer).await["key"], "1-b c");

    // Where a key should be is a guess: a miss there is asked of the others.
    let answer = ask(&format!("{}/table/0!1-d", urls[0])).await;
    assert_eq!(header(&answer, "location"), format!("{}/table/0%211-d?redirected=true", urls[1]));
    let answer = follow(&format!("{}/table/1!0-c", urls[0])).await;
    assert_eq!(body(answer).await["key"], "1!0-c", "here in spite of the guess");
    let answer = follow(&format!("{}/table/1!0-c?redirected=true", urls[1])).await;
    assert_eq!(answer.url().port(), urls[1].rsplit(':').next().and_then(|p| p.parse().ok()));
    assert_eq!(body(answer).await["key"], "1!0-c", "no second redirect: it is handed on");
    assert_eq!(ask(&format!("{}/table/0-z", urls[0])).await.status(), StatusCode::NOT_FOUND);

    // The second has lost the partition since it was asked.
    tables[1].partitions.lock().expect("lock").clear();
    let answer = follow(&at_the_first).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let wrong = ask(&format!("{}/table/0-z", urls[0])).await;
    assert_eq!(wrong.status(), StatusCode::SERVICE_UNAVAILABLE, "it may be on what is missing");
    assert_eq!(header(&answer, "retry-after"), "1");
    assert_eq!(answer.url().path(), "/table/1-b%20c");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_owns_it_or_it_recovers_is_asked_again_later() {
    let left = Some(Duration::from_secs(7));
    let recovering = Phase::Recovering { rows: 5, rate: 2.0, left };
    let table = Played::new(vec![held(0, Role::Active, recovering)], &["0-a"]);
    let (_servers, urls) = start(&[table], &Access::Open);
    for (key, seconds) in [("0-a", "7"), ("1-a", "1")] {
        let answer = ask(&format!("{}/table/{key}", urls[0])).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{key}");
        assert_eq!(header(&answer, "retry-after"), seconds, "{key}");
    }
    let partitions = body(ask(&format!("{}/partitions", urls[0])).await).await;
    let wanted = json!({"partition": 0, "role": "active", "state": "recovering", "rows": 3,
        "position": 10, "end": 10, "recovered_rows": 5, "rows_per_second": 2.0,
        "seconds_left": 7});
    assert_eq!(partitions["partitions"], json!([wanted]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_gathered_from_all_instances_page_by_page() {
    let names: Vec<String> = (0..60).map(|n| format!("{}-{n:02}", n % 2)).collect();
    let of = |partition| -> Vec<&str> {
        names.iter().map(String::as_str).filter(|key| self::partition(key) == partition).collect()
    };
    let tables = [Played::owner_of(0, &of(0)), Played::owner_of(1, &of(1))];
    // What it follows comes from the owner, not from here.
    tables[0].partitions.lock().expect("lock").push(held(1, Role::Standby, Phase::Ready));
    tables[0].entries.lock().expect("lock").insert("1-01".into(), 99);
    let access = Access::Bearer("token".into());
    let (_servers, urls) = start(&tables, &access);
    let client = Client::builder().no_proxy().build().expect("client");
    let get = async |path: &str| {
        let request = client.get(format!("{}{path}", urls[0])).bearer_auth("token");
        request.send().await.expect("an answer")
    };
    let (mut next, mut read, mut pages) = (Some("/table?limit=7".to_owned()), Vec::new(), 0);
    while let Some(path) = next {
        let page = body(get(&path).await).await;
        let entries = page["entries"].as_array().expect("entries");
        read.extend(entries.iter().map(|entry| entry["key"].as_str().expect("key").to_owned()));
        next = page["next"].as_str().map(str::to_owned);
        pages += 1;
    }
    let mut wanted = names.clone();
    wanted.sort();
    assert_eq!(read, wanted);
    assert_eq!(pages, 9);
    let page = body(get("/table?prefix=1-0&from=1-03&to=1-09").await).await;
    let read: Vec<_> = page["entries"].as_array().expect("entries").iter().collect();
    let keys: Vec<_> = read.iter().map(|entry| entry["key"].as_str().expect("key")).collect();
    assert_eq!(keys, ["1-03", "1-05", "1-07"]);
    assert_eq!(page["next"], Value::Null);

    tables[1].partitions.lock().expect("lock").clear();
    let answer = get("/table").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(body(answer).await["error"].as_str().expect("text").contains("[1]"));
    let page = body(get("/table?partial=true").await).await;
    assert_eq!(page["missing_partitions"], json!([1]));
    assert_eq!(page["entries"].as_array().map(Vec::len), Some(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_with_the_credentials_may_look() {
    let basic = Access::Basic { username: "reader".into(), password: "secret".into() };
    for (access, challenge) in [(Access::Bearer("token".into()), "Bearer"), (basic, "Basic")] {
        let (_servers, urls) = start(&[Played::owner_of(0, &["0-a"])], &access);
        let client = Client::builder().no_proxy().build().expect("client");
        for path in ["/", "/table", "/table/0-a", "/partitions"] {
            let url = format!("{}{path}", urls[0]);
            let answer = ask(&url).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
            assert!(header(&answer, "www-authenticate").starts_with(challenge));
            let wrong = client.get(&url).bearer_auth("tokem").send().await.expect("an answer");
            assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED, "{path}");
            let request = match &access {
                Access::Bearer(token) => client.get(&url).bearer_auth(token),
                _ => client.get(&url).basic_auth("reader", Some("secret")),
            };
            let let_in = request.send().await.expect("an answer").status();
            assert!(let_in.is_success() || let_in == StatusCode::SERVICE_UNAVAILABLE, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_entries_and_partitions_and_lets_no_text_out() {
    let keys = ["0-<script>alert(1)</script>", "0-\"quoted\""];
    let (_servers, urls) = start(&[Played::owner_of(0, &keys)], &Access::Open);
    let answer = ask(&format!("{}/?prefix=%22%3E%3Cb%3E", urls[0])).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(header(&answer, "content-security-policy").contains("default-src 'none'"));
    let text = answer.text().await.expect("text");
    assert!(text.contains("value=\"&quot;&gt;&lt;b&gt;\""), "{text}");
    let text = ask(&urls[0]).await.text().await.expect("text");
    assert!(text.contains("0-&lt;script&gt;alert(1)&lt;/script&gt;"), "{text}");
    assert!(!text.contains("<script"), "{text}");
    assert!(text.contains("/table/0-%22quoted%22"), "{text}");
    assert!(text.contains("Without the entries of partitions [1]"), "{text}");
    assert!(text.contains("<td>table-0<td>active<td>ready"), "{text}");
    let style = ask(&format!("{}/style.css", urls[0])).await;
    assert_eq!(header(&style, "content-type"), "text/css; charset=utf-8");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_do_not_answer_are_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = listener.local_addr().expect("address");
    let silent = TcpListener::bind("127.0.0.1:0").expect("port");
    let gone = format!("http://{}", silent.local_addr().expect("address"));
    drop(silent);
    let settings = Lookups {
        listen: address,
        peers: Peers::List(vec![gone.parse().expect("URL")]),
        advertised: Some("https://table-0.example.org".parse().expect("URL")),
        access: Access::Open,
    };
    let view = Played::owner_of(0, &[]) as Arc<dyn View>;
    let server =
        LookupServer::start_on(listener, &settings, "people", "table-0", view, Stop::new());
    let server = server.expect("server");
    let url = format!("http://{}/partitions", server.address());
    let partitions = body(ask(&url).await).await;
    assert_eq!(partitions["url"], "https://table-0.example.org");
    assert!(partitions["silent_instances"][&gone].is_string(), "{partitions}");
    assert_eq!(partitions["other_instances"], json!({}));
    drop(server);
    assert!(std::net::TcpStream::connect(address).is_err(), "dropping it stops it");
}
