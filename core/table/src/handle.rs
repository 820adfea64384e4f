//! The loop's end of a keeper: what it is asked to do, and what it tells.

use super::keeper::Keeper;
use super::source::ChangelogSource;
use nubium_topic::{Topic, TopicPartition};
use std::sync::mpsc::{self, TryRecvError};
use std::time::Duration;

/// How long there is nothing to do without an order.
const IDLE: Duration = Duration::from_secs(1);

/// What a keeper is asked to do.
#[derive(Debug)]
pub enum Order {
    /// This partition is ours; tell when it is up to date, by this ticket.
    Own(TopicPartition, u64),
    /// A store of ours may lack the last transaction: bring it up to date again.
    CatchUp(TopicPartition, u64),
    /// This partition is not ours any more.
    Release(TopicPartition),
}

/// What a keeper tells.
#[derive(Debug)]
pub enum News {
    /// The partition of this ticket is up to date.
    Ready(TopicPartition, u64),
    /// It cannot be had.
    Failed(TopicPartition, String),
}

/// What a keeper goes by.
#[derive(Debug, Clone)]
pub struct KeeperSettings {
    /// The schema id that our own changelog keys are framed with.
    pub key_id: u32,
    /// The changelog; none where other tables are looked up only.
    pub changelog: Option<Topic>,
    /// The ids that the cluster gave to topics when they were made.
    pub topic_ids: Vec<(Topic, String)>,
    /// How long the changelog keeps tombstones: a store that is further behind may miss some.
    pub delete_retention: Option<Duration>,
    /// Other tables' changelogs that are followed, with their partition counts.
    pub lookups: Vec<(Topic, i32)>,
    /// How many instances follow a partition.
    pub standby_replicas: usize,
    /// The client ids of this process.
    pub own_ids: Vec<String>,
}

/// The loop's end of a keeper. Ends it when dropped, after it has closed its stores.
pub struct KeeperHandle {
    orders: Option<mpsc::Sender<Order>>,
    news: mpsc::Receiver<News>,
    inline: Option<Box<dyn FnMut()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl KeeperHandle {
    pub(super) fn new(orders: mpsc::Sender<Order>, news: mpsc::Receiver<News>) -> Self {
        Self { orders: Some(orders), news, inline: None, thread: None }
    }

    /// Runs a keeper on a thread of its own.
    pub fn start<S: ChangelogSource + Send + 'static>(
        name: &str,
        parts: (Keeper<S>, Self),
    ) -> std::io::Result<Self> {
        let (mut keeper, mut handle) = parts;
        let run = move || {
            while keeper.turn(IDLE) {}
            keeper.close();
        };
        handle.thread = Some(std::thread::Builder::new().name(name.into()).spawn(run)?);
        Ok(handle)
    }

    /// Runs a keeper on the caller's thread, a turn with every look at the news at which `ready`
    /// says so.
    pub fn inline<S: ChangelogSource + 'static>(
        parts: (Keeper<S>, Self),
        mut ready: impl FnMut() -> bool + 'static,
    ) -> Self {
        let (mut keeper, mut handle) = parts;
        handle.inline = Some(Box::new(move || {
            if ready() && !keeper.turn(Duration::ZERO) {
                keeper.close();
            }
        }));
        handle
    }

    /// Tells the keeper what to do; it is done at its next turn.
    pub fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // A keeper that is gone has panicked; `news` says so.
            let _ = orders.send(order);
        }
    }

    /// Says whether it turns with every look at the news.
    pub fn is_inline(&self) -> bool {
        self.inline.is_some()
    }

    /// Says whether the keeper's thread runs. One that ended by itself has panicked: its news say so,
    /// also to a loop that waits for none. Costs a load of an atomic.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_none_or(|thread| !thread.is_finished())
    }

    /// What there is to tell. `Err`: the keeper is gone.
    pub fn news(&mut self) -> Result<Option<News>, &'static str> {
        if let Some(turn) = &mut self.inline {
            turn();
        }
        match self.news.try_recv() {
            Ok(news) => Ok(Some(news)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                Err("the keeper's thread ended; see the panic above")
            }
        }
    }
}

impl Drop for KeeperHandle {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(turn) = &mut self.inline {
            turn();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
