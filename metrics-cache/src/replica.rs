//! Start-up of one replica among several: it takes the groups of its peers before it says ready.
//!
//! Apps push to every replica, so one that starts empty would show a hole until each of them has
//! pushed again. The peers are the addresses of a headless service; this replica is one of them,
//! and knows itself by a header.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::Cli;
use crate::server::{INSTANCE_HEADER, Shared};
use crate::store::saved;

/// Pause before a peer that failed is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one peer may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// Where the peers are and how they are asked.
pub(crate) struct Peers {
    host: String,
    port: u16,
    scheme: &'static str,
    path: String,
    login: Option<(String, String)>,
    ca: Option<reqwest::Certificate>,
    resolver: TokioResolver,
}

/// What a peer had to give.
enum Fetched {
    /// It is this very process.
    Myself,
    /// Nobody listens there, so there is nothing to fetch.
    Nobody,
    Groups(saved::Contents),
}

impl Peers {
    /// Reads the flags; `None` without peers.
    pub(crate) fn from_flags(cli: &Cli) -> anyhow::Result<Option<Self>> {
        let Some(given) = &cli.peers else { return Ok(None) };
        let bad = || format!("--replica.peers: `{given}` is not a host and a port");
        let (host, port) = given.rsplit_once(':').with_context(bad)?;
        let (host, port) = (host.trim_matches(['[', ']']), port.parse().with_context(bad)?);
        ensure!(!host.is_empty(), bad());
        let login = cli.peers_credentials.as_deref().map(login).transpose()?;
        let ca = cli.peers_ca.as_deref().map(ca).transpose()?;
        Ok(Some(Self {
            host: host.to_owned(),
            port,
            scheme: if ca.is_some() { "https" } else { "http" },
            path: format!("{}/api/v1/groups", cli.prefix()),
            login,
            ca,
            resolver: resolver(cli.peers_dns)?,
        }))
    }

    /// Takes the groups of all peers in. Returns once every address answered or has nobody, or the
    /// time is over: a replica that is late is better than none.
    pub(crate) async fn fetch(&self, app: &Shared, within: Duration) {
        let deadline = Instant::now() + within;
        let mut done = BTreeSet::new();
        loop {
            let round = timeout_at(deadline, self.round(app, &mut done)).await;
            let problem = match round {
                Ok(Ok(())) => return,
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "no answer in time".into(),
            };
            if Instant::now() + PAUSE >= deadline {
                tracing::warn!(
                    problem,
                    peers = self.host,
                    "Could not ask every peer for its groups. Starting without theirs; a scrape \
                     may miss groups until their apps push again."
                );
                return;
            }
            tracing::debug!(problem, "Asking the peers again.");
            sleep(PAUSE).await;
        }
    }

    /// Asks every address that was not asked with success before.
    async fn round(&self, app: &Shared, done: &mut BTreeSet<IpAddr>) -> anyhow::Result<()> {
        let addresses = self.resolve().await?;
        let asked: Vec<_> = addresses.into_iter().filter(|at| !done.contains(at)).collect();
        let answers = join_all(asked.iter().map(|at| self.ask(app, *at))).await;
        let mut problems = Vec::new();
        for (address, answer) in asked.into_iter().zip(answers) {
            match answer {
                Ok(Fetched::Groups(contents)) => {
                    self.take(app, address, contents);
                    done.insert(address);
                }
                Ok(Fetched::Myself | Fetched::Nobody) => {
                    done.insert(address);
                }
                Err(error) => problems.push(format!("{address}: {error:#}")),
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => bail!(problems.join("; ")),
        }
    }

    async fn resolve(&self) -> anyhow::Result<Vec<IpAddr>> {
        match self.resolver.lookup_ip(self.host.as_str()).await {
            Ok(found) => Ok(found.iter().collect()),
            // The service has no pods yet: this is the first.
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
            Err(error) => Err(error).with_context(|| format!("cannot resolve {}", self.host)),
        }
    }

    async fn ask(&self, app: &Shared, address: IpAddr) -> anyhow::Result<Fetched> {
        let address = SocketAddr::new(address, self.port);
        let builder = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT);
        // By name, for the certificate, but to this one address.
        let builder = builder.resolve(&self.host, address);
        let builder = match &self.ca {
            Some(ca) => builder.tls_certs_only([ca.clone()]),
            None => builder,
        };
        let host = match self.host.parse::<IpAddr>() {
            Ok(_) => address.to_string(),
            Err(_) => format!("{}:{}", self.host, self.port),
        };
        let url = format!("{}://{host}{}", self.scheme, self.path);
        let request = builder.build()?.get(url);
        let request = match &self.login {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        let mut response = match request.send().await {
            Ok(response) => response.error_for_status().map_err(reqwest::Error::without_url)?,
            Err(error) if refused(&error) => return Ok(Fetched::Nobody),
            Err(error) => return Err(error.without_url().into()),
        };
        let instance = response.headers().get(INSTANCE_HEADER).map(|value| value.as_bytes());
        if instance == Some(app.instance.as_bytes()) {
            return Ok(Fetched::Myself);
        }
        let most = app.store.limits().memory.saturating_mul(2);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            ensure!(bytes.len() + chunk.len() <= most, "it sends more than fits into memory");
            bytes.extend_from_slice(&chunk);
        }
        let limits = app.store.limits().clone();
        let read = tokio::task::spawn_blocking(move || saved::read(&bytes, &limits)).await?;
        Ok(Fetched::Groups(read))
    }

    fn take(&self, app: &Shared, address: IpAddr, contents: saved::Contents) {
        let (mut groups, mut problems) = (0, contents.problems);
        for (key, group) in contents.groups {
            match app.store.adopt(&key, group) {
                Ok(new) => groups += usize::from(new),
                Err(error) => problems.push(saved::text(error)),
            }
        }
        if let Some(first) = problems.first() {
            let left_out = problems.len();
            tracing::warn!(%address, left_out, first, "Left out some groups of a peer.");
        }
        tracing::info!(%address, groups, "Took the groups of a peer that are newer than mine.");
    }
}

/// Makes a resolver that asks this server, or those of /etc/resolv.conf, each time anew.
fn resolver(server: Option<SocketAddr>) -> anyhow::Result<TokioResolver> {
    let mut builder = match server {
        Some(server) => {
            let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut name_server.connections {
                connection.port = server.port();
            }
            let config = ResolverConfig::from_name_servers(vec![name_server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
        None => TokioResolver::builder_tokio().context("cannot read /etc/resolv.conf")?,
    };
    let options = builder.options_mut();
    // A pod that came a moment ago must be seen, and one that went must not.
    options.cache_size = 0;
    options.positive_max_ttl = Some(Duration::ZERO);
    options.negative_max_ttl = Some(Duration::ZERO);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = Duration::from_secs(2);
    options.attempts = 2;
    Ok(builder.build()?)
}

fn refused(error: &reqwest::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        source = error.source();
    }
    false
}

fn login(file: &Path) -> anyhow::Result<(String, String)> {
    let bad = || format!("--replica.credentials-file {}", file.display());
    let text = nubium_host::text::read(file).with_context(bad)?;
    let line = text.lines().next().unwrap_or_default();
    let pair = line.split_once(':').context("its first line is not `user:password`");
    let (user, password) = pair.with_context(bad)?;
    Ok((user.to_owned(), password.to_owned()))
}

fn ca(file: &Path) -> anyhow::Result<reqwest::Certificate> {
    let bad = || format!("--replica.ca-file {}", file.display());
    let pem = std::fs::read(file).with_context(bad)?;
    reqwest::Certificate::from_pem(&pem).with_context(bad)
}
