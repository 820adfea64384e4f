//! Kafka's protocol on the wire: where the brokers are, who is asked what, and what is asked again.

mod access;
mod address;
mod api;
mod connection;
mod sasl;
mod scram;
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest};
use nubium_config::Cluster;

use self::access::Access;
use self::address::Address;
pub(crate) use self::api::Ask;
use self::connection::Connection;
use crate::error::{AdminError, Refusal};

/// How long to wait before asking again what another broker may know.
const PAUSE: Duration = Duration::from_millis(100);

/// Bounds what a cluster may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest time for reaching a broker and being let in.
    pub connect: Duration,
    /// The longest time for one answer.
    pub answer: Duration,
    /// How long a cluster may be between two controllers, leaders or coordinators.
    pub election: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            election: Duration::from_secs(30),
        }
    }
}

/// Says which broker a request is for.
#[derive(Debug, Clone)]
pub(crate) enum To {
    /// Any one.
    Any,
    /// The one that changes the cluster.
    Controller,
    /// This one.
    Broker(i32),
    /// The one that keeps a group.
    Group(String),
    /// The one that keeps a transactional id.
    Transaction(String),
}

/// Reaches the brokers of one cluster.
#[derive(Debug)]
pub(crate) struct Network {
    access: Access,
    limits: Limits,
    known: Mutex<Known>,
    idle: Mutex<HashMap<Address, Vec<Connection>>>,
    requests: AtomicU64,
}

/// Where the brokers are, as far as is known.
#[derive(Debug, Default)]
struct Known {
    brokers: BTreeMap<i32, Address>,
    controller: Option<i32>,
}

impl Network {
    pub(crate) fn new(
        cluster: &Cluster,
        client_id: &str,
        limits: Limits,
    ) -> Result<Self, AdminError> {
        let access = Access::new(cluster, client_id)?;
        let (known, idle) = (Mutex::default(), Mutex::default());
        Ok(Self { access, limits, known, idle, requests: AtomicU64::new(0) })
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Lists the ids of the brokers.
    pub(crate) fn brokers(&self) -> Vec<i32> {
        lock(&self.known).brokers.keys().copied().collect()
    }

    /// Learns where the brokers are.
    pub(crate) async fn refresh(&self) -> Result<(), AdminError> {
        let request = MetadataRequest::default()
            .with_topics(Some(Vec::new()))
            .with_allow_auto_topic_creation(false);
        let what = "learn where the brokers are";
        let answer = self.exchange(what, &self.any(), &request).await?;
        let brokers = answer.brokers.iter().map(|broker| {
            let port = u16::try_from(broker.port).unwrap_or_default();
            (broker.node_id.0, Address::new(&broker.host, port))
        });
        let controller = Some(answer.controller_id.0).filter(|id| *id >= 0);
        *lock(&self.known) = Known { brokers: brokers.collect(), controller };
        Ok(())
    }

    /// Asks one broker; what only tells that it is the wrong one, or not ready, is asked again.
    pub(crate) async fn ask<R: Ask>(
        &self,
        what: &str,
        to: To,
        request: &R,
    ) -> Result<R::Answer, AdminError> {
        let start = Instant::now();
        loop {
            let addresses = self.addresses(what, &to).await?;
            let answer = self.exchange(what, &addresses, request).await?;
            let code = R::codes(&answer).into_iter().find(|code| is_moving(*code));
            if code.is_none() || start.elapsed() >= self.limits.election {
                return Ok(answer);
            }
            tokio::time::sleep(PAUSE).await;
            self.refresh().await?;
        }
    }

    /// Asks every broker the same, at the same time.
    pub(crate) async fn ask_all<R: Ask>(
        &self,
        what: &str,
        request: &R,
    ) -> Result<Vec<R::Answer>, AdminError> {
        let brokers = self.brokers();
        try_join_all(brokers.into_iter().map(|id| self.ask(what, To::Broker(id), request))).await
    }

    async fn addresses(&self, what: &str, to: &To) -> Result<Vec<Address>, AdminError> {
        let id = match to {
            To::Any => return Ok(self.any()),
            To::Controller => {
                let controller = lock(&self.known).controller;
                // With KRaft any broker passes changes on.
                let Some(id) = controller else { return Ok(self.any()) };
                id
            }
            To::Broker(id) => *id,
            To::Group(name) => self.coordinator(what, name, 0).await?,
            To::Transaction(name) => self.coordinator(what, name, 1).await?,
        };
        if !lock(&self.known).brokers.contains_key(&id) {
            self.refresh().await?;
        }
        let address = lock(&self.known).brokers.get(&id).cloned();
        address.map(|address| vec![address]).ok_or_else(|| AdminError::Unreachable {
            tried: vec![format!("broker {id}, needed to {what}, is not in the cluster")],
        })
    }

    /// Finds the broker that keeps a group (0) or a transactional id (1).
    async fn coordinator(&self, what: &str, name: &str, kind: i8) -> Result<i32, AdminError> {
        let start = Instant::now();
        loop {
            let request = FindCoordinatorRequest::default()
                .with_key_type(kind)
                .with_key(name.to_owned().into())
                .with_coordinator_keys(Vec::new());
            let answer = self.exchange(what, &self.any(), &request).await?;
            match Refusal::of(answer.error_code, answer.error_message) {
                None => return Ok(answer.node_id.0),
                Some(no) if is_moving(no.code) && start.elapsed() < self.limits.election => {
                    tokio::time::sleep(PAUSE).await;
                }
                Some(refusal) => return Err(AdminError::refused(what, refusal)),
            }
        }
    }

    /// The brokers that may be asked when it is all the same: those known, then those configured.
    fn any(&self) -> Vec<Address> {
        let mut addresses: Vec<_> = lock(&self.known).brokers.values().cloned().collect();
        let configured = self.access.addresses.iter();
        addresses
            .extend(configured.filter(|a| !addresses.contains(a)).cloned().collect::<Vec<_>>());
        addresses
    }

    /// Sends a request to the first of these brokers that can be reached, and reads the answer.
    async fn exchange<R: Ask>(
        &self,
        what: &str,
        addresses: &[Address],
        request: &R,
    ) -> Result<R::Answer, AdminError> {
        if let Some((address, mut connection)) = self.take(addresses) {
            match self.on(what, &mut connection, request).await {
                // It may have been idle for so long that the broker closed it.
                Err(AdminError::Lost { .. }) if R::READS => {}
                Ok(answer) => {
                    self.give(address, connection);
                    return Ok(answer);
                }
                Err(error) => return Err(error),
            }
        }
        let (address, mut connection) = self.open(addresses).await?;
        let answer = self.on(what, &mut connection, request).await?;
        self.give(address, connection);
        Ok(answer)
    }

    async fn on<R: Ask>(
        &self,
        what: &str,
        connection: &mut Connection,
        request: &R,
    ) -> Result<R::Answer, AdminError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let limit = self.limits.answer;
        match tokio::time::timeout(limit, connection.ask(what, request)).await {
            Ok(answer) => answer,
            Err(_) => {
                let broker = connection.broker().to_owned();
                Err(AdminError::TimedOut { what: what.into(), broker, limit })
            }
        }
    }

    async fn open(&self, addresses: &[Address]) -> Result<(Address, Connection), AdminError> {
        let mut tried = Vec::new();
        for address in addresses {
            let limit = self.limits.connect;
            match tokio::time::timeout(limit, Connection::open(&self.access, address)).await {
                Ok(Ok(connection)) => return Ok((address.clone(), connection)),
                Ok(Err(AdminError::Lost { why, .. })) => tried.push(format!("{address}: {why}")),
                // Another broker would say the same, and count it as another wrong password.
                Ok(Err(error)) => return Err(error),
                Err(_) => tried.push(format!("{address}: no answer within {limit:?}")),
            }
        }
        Err(AdminError::Unreachable { tried })
    }

    fn take(&self, addresses: &[Address]) -> Option<(Address, Connection)> {
        let mut idle = lock(&self.idle);
        addresses.iter().find_map(|address| {
            let connection = idle.get_mut(address)?.pop()?;
            Some((address.clone(), connection))
        })
    }

    /// Keeps a connection whose last answer was read whole; a cancelled one never gets here.
    fn give(&self, address: Address, connection: Connection) {
        lock(&self.idle).entry(address).or_default().push(connection);
    }
}

/// Tells whether an error passes once the cluster has settled on who does what.
fn is_moving(code: i16) -> bool {
    use ResponseError::{
        CoordinatorLoadInProgress, CoordinatorNotAvailable, NotController, NotCoordinator,
    };
    [NotController, NotCoordinator, CoordinatorNotAvailable, CoordinatorLoadInProgress]
        .into_iter()
        .any(|kind| kind.code() == code)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
