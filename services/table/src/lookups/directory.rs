//! Who owns which partition: the instances ask each other.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::{Client, Url};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::access::Door;
use super::answer::InstanceDocument;
use crate::settings::Peers;

/// How long an answer is taken for true. A redirect that it makes wrong is answered with 503.
const FRESH: Duration = Duration::from_secs(2);
/// How long a question that the last answers do not answer waits for new ones.
const HURRIED: Duration = Duration::from_millis(250);
/// How long an instance may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// More instances than anybody runs; a name that resolves to more is cut.
const MOST_PEERS: usize = 64;
/// More than the longest page.
const LONGEST_ANSWER: usize = 64 << 20;

/// Knows the other instances.
pub(super) struct Directory {
    peers: Peers,
    advertised: Option<String>,
    instance: Arc<str>,
    door: Door,
    client: Client,
    known: RwLock<Arc<Snapshot>>,
    asking: tokio::sync::Mutex<()>,
}

/// What the other instances said.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    at: Option<Instant>,
    /// Those that answered, by the address at which they are reached.
    pub(super) instances: BTreeMap<String, InstanceDocument>,
    /// Why others did not.
    pub(super) silent: BTreeMap<String, String>,
}

impl Snapshot {
    /// Gives the address of the instance that owns a partition; best, one that is ready.
    pub(super) fn owner(&self, partition: i32) -> Option<&str> {
        let mut owners: Vec<_> = self
            .instances
            .iter()
            .filter_map(|(url, instance)| {
                let mut held = instance.partitions.iter();
                let held = held.find(|held| held.partition == partition && held.is_owned())?;
                Some((!held.is_served(), url.as_str()))
            })
            .collect();
        owners.sort_unstable();
        owners.first().map(|(_, url)| *url)
    }

    fn is_younger(&self, age: Duration) -> bool {
        self.at.is_some_and(|at| at.elapsed() < age)
    }
}

impl Directory {
    /// Makes a directory that has asked nobody yet.
    pub(super) fn new(
        peers: Peers,
        advertised: Option<&Url>,
        instance: Arc<str>,
        door: Door,
    ) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            // The instances are beside each other; and a proxy would get the credentials.
            .no_proxy()
            .build()
            .context("HTTP client for the other instances")?;
        Ok(Self {
            peers,
            advertised: advertised.map(plain),
            instance,
            door,
            client,
            known: RwLock::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// Gives where clients reach this instance, if the settings say so.
    pub(super) fn advertised(&self) -> Option<&str> {
        self.advertised.as_deref()
    }

    /// Gives what the other instances said a moment ago.
    pub(super) async fn snapshot(&self) -> Arc<Snapshot> {
        self.younger_than(FRESH).await
    }

    /// Finds the owner of a partition; asks anew where nobody was known to own it.
    pub(super) async fn owner(&self, partition: i32) -> Option<String> {
        let known = self.snapshot().await;
        if let Some(owner) = known.owner(partition) {
            return Some(owner.to_owned());
        }
        self.younger_than(HURRIED).await.owner(partition).map(str::to_owned)
    }

    async fn younger_than(&self, age: Duration) -> Arc<Snapshot> {
        if self.peers == Peers::None || self.known().is_younger(age) {
            return self.known();
        }
        let _one_at_a_time = self.asking.lock().await;
        if self.known().is_younger(age) {
            return self.known();
        }
        let asked = Arc::new(self.ask_all().await);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&asked);
        asked
    }

    fn known(&self) -> Arc<Snapshot> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn ask_all(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let urls = match self.addresses().await {
            Ok(urls) => urls,
            Err((name, error)) => {
                snapshot.silent.insert(name, format!("{error:#}"));
                Vec::new()
            }
        };
        let mut asked = JoinSet::new();
        for url in urls.into_iter().take(MOST_PEERS) {
            let request = self.request(&url, "/partitions?local=true");
            asked.spawn(async move { (url, fetch::<InstanceDocument>(request).await) });
        }
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok((_, Ok(own))) if *own.instance == *self.instance => {}
                Ok((url, Ok(instance))) => {
                    let reached = instance.url.clone().unwrap_or(url);
                    snapshot.instances.insert(reached, instance);
                }
                Ok((url, Err(error))) => drop(snapshot.silent.insert(url, format!("{error:#}"))),
                Err(error) => tracing::warn!(%error, "A question to another instance was lost."),
            }
        }
        snapshot.at = Some(Instant::now());
        snapshot
    }

    /// Gives where the instances are now.
    async fn addresses(&self) -> Result<Vec<String>, (String, anyhow::Error)> {
        match &self.peers {
            Peers::None => Ok(Vec::new()),
            Peers::List(urls) => Ok(urls.iter().map(plain).collect()),
            Peers::Name(url) => {
                resolve(url).await.map_err(|error| (plain(url), error.context("name look-up")))
            }
        }
    }

    fn request(&self, url: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.get(format!("{url}{path}"));
        match self.door.authorization() {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }

    /// Asks the instance at `url` for a document.
    ///
    /// # Errors
    /// It does not answer in time, or not with such a document.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        url: &str,
        path: &str,
    ) -> anyhow::Result<T> {
        fetch(self.request(url, path)).await
    }
}

/// Gives an address without its last slash.
fn plain(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Gives one address for each of a name's. With TLS the name has to stay, for the certificate's.
async fn resolve(url: &Url) -> anyhow::Result<Vec<String>> {
    let host = url.host_str().context("no host")?;
    let port = url.port_or_known_default().context("no port")?;
    ensure!(url.scheme() == "http", "instances behind one name are asked by http");
    let looked_up = tokio::net::lookup_host((host.trim_matches(['[', ']']), port));
    let found = tokio::time::timeout(PATIENCE, looked_up).await.context("no answer in time")??;
    let mut urls: Vec<_> = found.map(|address| format!("http://{address}")).collect();
    urls.sort_unstable();
    urls.dedup();
    Ok(urls)
}

/// Gives the document of an answer; `None`: there is none.
async fn fetch<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> anyhow::Result<T> {
    let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
    ensure!(response.status().is_success(), "it answered {}", response.status());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        ensure!(body.len() + chunk.len() <= LONGEST_ANSWER, "its answer is too long");
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).context("its answer is not a table service's")
}
