//! The addresses behind the name of the metrics service, asked anew each time.

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::{Resolver, TokioResolver, system_conf};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long one look-up may take, with all its retries and search domains.
const LIMIT: Duration = Duration::from_secs(10);

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Every address, IPv4 and IPv6; at least one.
    Found(BTreeSet<IpAddr>),
    /// The name has no address: the service has no pods, or there is none of this name.
    Nobody,
    /// It is not known: no server gave a usable answer.
    Failed(String),
}

/// The servers, search domains and options of a resolver.
type Resolving = (ResolverConfig, ResolverOpts);

/// A service by its name.
#[derive(Debug, Clone)]
pub(super) struct Service {
    name: String,
    /// Asked instead of those of `/etc/resolv.conf`.
    server: Option<SocketAddr>,
    /// How the system resolves, once that could be read: a start must not depend on it.
    system: Arc<OnceLock<Resolving>>,
}

impl Service {
    pub(super) fn new(name: &str, server: Option<SocketAddr>) -> Self {
        Self { name: name.to_owned(), server, system: Arc::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Looks the name up.
    pub(super) async fn look_up(&self) -> Lookup {
        let system = match self.system.get() {
            Some(known) => Ok(known.clone()),
            None => system_conf::read_system_conf().inspect(|read| {
                // Another look-up may have been faster.
                let _ = self.system.set(read.clone());
            }),
        };
        match tokio::time::timeout(LIMIT, self.ask(system)).await {
            Ok(lookup) => lookup,
            Err(_) => Lookup::Failed(format!("no answer within {LIMIT:?}")),
        }
    }

    /// Asks by a new resolver, which knows nothing of the answers and failures before.
    async fn ask(&self, system: Result<Resolving, NetError>) -> Lookup {
        // With the many dots that pods search with, the resolver would ask for it as a name first.
        if let Ok(address) = self.name.parse() {
            return Lookup::Found([address].into());
        }
        let settled = settle(system, self.server);
        let resolver = match settled.and_then(|(config, options)| resolver(config, options)) {
            Ok(resolver) => resolver,
            Err(error) => return Lookup::Failed(format!("/etc/resolv.conf: {error}")),
        };
        match resolver.lookup_ip(self.name.as_str()).await {
            Ok(found) => match found.iter().collect::<BTreeSet<_>>() {
                found if found.is_empty() => Lookup::Nobody,
                found => Lookup::Found(found),
            },
            Err(error) if says_nobody(&error) => Lookup::Nobody,
            Err(error) => Lookup::Failed(error.to_string()),
        }
    }
}

/// Tells an answer that there is no address from a server that failed or refused.
fn says_nobody(error: &NetError) -> bool {
    let NetError::Dns(DnsError::NoRecordsFound(answer)) = error else { return false };
    matches!(answer.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
}

/// Searches as the system does, and remembers nothing.
fn settle(
    system: Result<Resolving, NetError>,
    server: Option<SocketAddr>,
) -> Result<Resolving, NetError> {
    let (config, mut options) = match (system, server) {
        (Ok((config, options)), Some(server)) => {
            let (domain, search, _) = config.into_parts();
            (ResolverConfig::from_parts(domain, search, vec![name_server(server)]), options)
        }
        (Err(_), Some(server)) => {
            let servers = vec![name_server(server)];
            (ResolverConfig::from_parts(None, Vec::new(), servers), ResolverOpts::default())
        }
        (system, None) => system?,
    };
    // A pod that came a moment ago must be seen, and one that went must not.
    options.cache_size = 0;
    options.positive_max_ttl = Some(Duration::ZERO);
    options.negative_max_ttl = Some(Duration::ZERO);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = options.timeout.min(Duration::from_secs(2));
    options.attempts = options.attempts.clamp(1, 2);
    Ok((config, options))
}

fn resolver(config: ResolverConfig, options: ResolverOpts) -> Result<TokioResolver, NetError> {
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = server.port());
    NameServerConfig::new(server.ip(), true, connections)
}

#[cfg(test)]
mod tests;
