//! Starts librdkafka's mock cluster and keeps it for as long as the handle lives.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use rdkafka::mocking::MockCluster;

/// Holds a running mock cluster with one broker on 127.0.0.1.
///
/// It speaks enough of the protocol for idempotent and transactional producers, consumer groups
/// (classic protocol), committed offsets and watermarks, so an app runs on it unchanged.
///
/// # What it does not prove
/// - **Committed offsets.** Offsets sent to a transaction are acknowledged and forgotten, so
///   `committed_offsets` knows nothing of them: after a restart or a rebalance a transactional app
///   starts where `auto.offset.reset` says. Offsets committed without a transaction are kept.
/// - **Isolation.** There are no control records and no last stable offset: records of an open or
///   aborted transaction are visible to a `read_committed` consumer. Exactly once cannot be tested.
/// - **Durability.** All is in memory and gone with the handle. A partition keeps its newest
///   100,000 records or 5 MiB, whichever is less; a consumer further behind misses the rest.
/// - **Administration.** Topics cannot be created, altered or deleted by the Kafka admin API; use
///   [`Broker::create_topic`]. A topic that a client asks for is created with 4 partitions.
/// - **Security and limits.** No TLS, no SASL, no ACLs, no quotas.
///
/// A new consumer group waits 3 s for its first members, as a Kafka broker does by default.
/// The end-to-end tests therefore run on a real Apache Kafka.
#[derive(Debug)]
pub struct Broker {
    bootstrap: String,
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread that owns the cluster is asked to do. The cluster's handle is not `Send`.
enum Order {
    CreateTopic { name: String, partitions: i32, answer: Sender<Result<()>> },
}

impl Broker {
    /// Starts the cluster and returns once it listens.
    ///
    /// # Errors
    /// When librdkafka cannot create its client or open its port.
    pub fn start() -> Result<Self> {
        let (orders, inbox) = channel();
        let (started, bootstrap) = channel();
        let thread = std::thread::Builder::new()
            .name("mock-broker".into())
            .spawn(move || serve(&started, &inbox))
            .context("cannot start the mock broker's thread")?;
        let bootstrap = bootstrap.recv().context("the mock broker's thread ended early")??;
        Ok(Self { bootstrap, orders, thread: Some(thread) })
    }

    /// Returns the address for `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// When it exists already, or the partition count is not positive.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let (answer, outcome) = channel();
        self.orders
            .send(Order::CreateTopic { name: name.into(), partitions, answer })
            .map_err(|_| anyhow!("the mock broker has stopped"))?;
        outcome.recv().context("the mock broker has stopped")?
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Dropping the last sender ends the thread's loop.
        self.orders = channel().0;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(started: &Sender<Result<String>>, orders: &Receiver<Order>) {
    let cluster = match MockCluster::new(1).context("cannot start librdkafka's mock cluster") {
        Ok(cluster) => cluster,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(cluster.bootstrap_servers()));
    for order in orders {
        match order {
            Order::CreateTopic { name, partitions, answer } => {
                let outcome = cluster
                    .create_topic(&name, partitions, 1)
                    .with_context(|| format!("cannot create topic `{name}` ({partitions})"));
                let _ = answer.send(outcome);
            }
        }
    }
}
