//! The handle on one cluster, and what the cluster is.

use kafka_protocol::messages::MetadataRequest;
use nubium_config::Cluster;

use crate::error::AdminError;
use crate::wire::{Limits, Network, To};

/// Administers one cluster.
///
/// Connections are made when they are needed and kept. Requests of one handle may run at the same
/// time. Nothing is cached but where the brokers are.
#[derive(Debug)]
pub struct Admin {
    pub(crate) network: Network,
}

/// Says what a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// The id it was formatted with.
    pub id: String,
    /// The broker that changes go to.
    pub controller: Option<i32>,
    /// All brokers, by id.
    pub brokers: Vec<Broker>,
}

/// Says where one broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// The id.
    pub id: i32,
    /// `host:port` as clients shall connect to it.
    pub address: String,
    /// The rack or zone it is in.
    pub rack: Option<String>,
}

/// Chooses between doing and asking whether it could be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Does it.
    Apply,
    /// Lets the broker check it, and changes nothing.
    Validate,
}

impl Admin {
    /// Connects to the first broker of a cluster that answers, and learns where the others are.
    ///
    /// `client_id` is what the brokers' logs and quotas know us by.
    ///
    /// # Errors
    /// A certificate or key cannot be read, no broker answers, or it does not let us in.
    pub async fn connect(cluster: &Cluster, client_id: &str) -> Result<Self, AdminError> {
        Self::connect_within(cluster, client_id, Limits::default()).await
    }

    /// Connects as [`Admin::connect`] with time limits of one's own.
    ///
    /// # Errors
    /// As [`Admin::connect`].
    pub async fn connect_within(
        cluster: &Cluster,
        client_id: &str,
        limits: Limits,
    ) -> Result<Self, AdminError> {
        let network = Network::new(cluster, client_id, limits)?;
        network.refresh().await?;
        Ok(Self { network })
    }

    /// Asks what the cluster is.
    ///
    /// # Errors
    /// The broker is lost, or refuses.
    pub async fn cluster(&self) -> Result<ClusterDescription, AdminError> {
        let request = MetadataRequest::default()
            .with_topics(Some(Vec::new()))
            .with_allow_auto_topic_creation(false);
        let answer = self.network.ask("describe the cluster", To::Any, &request).await?;
        let mut brokers: Vec<Broker> = answer
            .brokers
            .into_iter()
            .map(|broker| Broker {
                id: broker.node_id.0,
                address: format!("{}:{}", broker.host, broker.port),
                rack: broker.rack.map(|rack| rack.to_string()),
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        Ok(ClusterDescription {
            id: answer.cluster_id.map(|id| id.to_string()).unwrap_or_default(),
            controller: Some(answer.controller_id.0).filter(|id| *id >= 0),
            brokers,
        })
    }

    /// Counts the requests sent so far, those that set up connections left out.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.network.requests()
    }
}
