//! How a cluster is reached, made ready from its settings once.

use std::fmt;

use nubium_config::{Cluster, Login, Sasl, TokenSource};
use nubium_token::Wallet;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::tls;
use crate::error::AdminError;

/// Holds what every connection needs.
pub(super) struct Access {
    pub(super) addresses: Vec<Address>,
    pub(super) tls: Option<TlsConnector>,
    pub(super) proof: Option<Proof>,
    pub(super) client_id: String,
}

/// What is proven to a broker.
pub(super) enum Proof {
    Password(Login),
    /// What is told beside the token is in the source.
    Token(Box<TokenSource>, Box<Wallet>),
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
        let sasl = cluster.sasl.as_ref().filter(|_| cluster.protocol.is_sasl());
        let proof = sasl.map(proof).transpose()?;
        Ok(Self { addresses, tls, proof, client_id: client_id.to_owned() })
    }
}

fn proof(sasl: &Sasl) -> Result<Proof, AdminError> {
    let settings = |what: &str, why: String| AdminError::Settings { what: what.into(), why };
    match sasl {
        Sasl::Password(login) => Ok(Proof::Password(login.clone())),
        Sasl::Token(source) => {
            let wallet = Wallet::new(source);
            let wallet = wallet.map_err(|error| settings("sasl_mechanism", error.to_string()))?;
            Ok(Proof::Token(Box::new(source.clone()), Box::new(wallet)))
        }
        Sasl::Kerberos(_) => {
            let why = "GSSAPI is for apps alone; give the tools a password, a token or a \
                certificate";
            Err(settings("sasl_mechanism", why.into()))
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
