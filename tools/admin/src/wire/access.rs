//! How a cluster is reached, made ready from its settings once.

use std::fmt;

use nubium_config::{Cluster, Sasl};
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::tls;
use crate::error::AdminError;

/// Holds what every connection needs.
pub(super) struct Access {
    pub(super) addresses: Vec<Address>,
    pub(super) tls: Option<TlsConnector>,
    pub(super) sasl: Option<Sasl>,
    pub(super) client_id: String,
}

impl Access {
    pub(super) fn new(cluster: &Cluster, client_id: &str) -> Result<Self, AdminError> {
        let addresses = Address::list(&cluster.url);
        if addresses.is_empty() {
            let why = "it names no broker as host:port".into();
            return Err(AdminError::Settings { what: "url".into(), why });
        }
        let tls = match cluster.protocol.is_ssl() {
            true => Some(tls::connector(&cluster.tls)?),
            false => None,
        };
        let sasl = cluster.protocol.is_sasl().then(|| cluster.sasl.clone()).flatten();
        Ok(Self { addresses, tls, sasl, client_id: client_id.to_owned() })
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
