//! One partition that is ours, and how it stands with it.
//!
//! ```text
//!              assign                       store up to date                 too young
//!   (not ours) ──────▶ Restoring{parked} ─────────────────────▶ Ready ───────────────────▶ Young
//!        ▲   └─────────── without a table ──────────────────────▶ │ ◀───── old enough, rewind ┘
//!        │                      ▲ └ rewind: parked is dropped     │                           │
//!        │                      └──────────── store in doubt ─────┴───────────────────────────┤
//!        │   Ready ──── too much of it in hand ────▶ Full ──── room again, rewind ────▶ Ready        │
//!        └── revoked or lost, from every state: what is in hand of it goes with it ───────────┘
//! ```

use nubium_kafka::message::Message;
use nubium_topic::TopicPartition;

/// How many messages of a partition wait in memory while its store is brought up to date.
const PARKED: usize = 2_000;
/// How many bytes of messages wait so, over all partitions; further ones stay at the broker.
pub(super) const PARKED_BYTES: usize = 32 << 20;
/// How it stands with a partition of ours.
#[derive(Debug)]
pub(super) enum State {
    /// Its messages are handled.
    Ready,
    /// Its next message is too young, until this time in milliseconds since the epoch.
    Young(i64),
    /// Too many of its messages are in hand behind one that is not done; what follows waits at the
    /// broker. Where several are in the function at once.
    Full,
    /// Its messages wait for stores.
    Restoring(Restoring),
}

#[derive(Debug, Default)]
pub(super) struct Restoring {
    /// The order to the keeper whose end is waited for; none where only other tables are.
    pub(super) ticket: Option<u64>,
    pub(super) parked: Vec<Message>,
    pub(super) bytes: usize,
    /// No more are taken; fetching pauses.
    pub(super) full: bool,
}

/// One partition that is ours.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) at: TopicPartition,
    /// The first offset that is not committed.
    pub(super) committed: i64,
    /// The group does not know it yet: `auto.offset.reset` chose it.
    pub(super) guessed: bool,
    pub(super) state: State,
    /// Where the consumer is to go on; what comes before it is there is stale.
    pub(super) target: Option<i64>,
}

impl Partition {
    pub(super) fn rests(&self) -> bool {
        match &self.state {
            State::Ready => false,
            State::Young(_) | State::Full => true,
            State::Restoring(restoring) => restoring.full,
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.target.is_none() && matches!(self.state, State::Ready)
    }

    pub(super) fn has_parked(&self) -> bool {
        matches!(&self.state, State::Restoring(restoring) if !restoring.parked.is_empty())
    }

    /// Takes in a message that was fetched. Answers it if it is to be handled now; one that is
    /// stale is dropped, and one that must wait for a store is put aside, up to `share` bytes.
    pub(super) fn admit(&mut self, message: Message, share: usize) -> Option<Message> {
        if self.target.is_some() {
            return None;
        }
        match &mut self.state {
            State::Ready => Some(message),
            State::Restoring(restoring) if !restoring.full => {
                restoring.bytes += message.size();
                let next = message.offset() + 1;
                restoring.parked.push(message);
                if restoring.parked.len() >= PARKED || restoring.bytes >= share {
                    // What librdkafka has fetched goes with the pause.
                    (restoring.full, self.target) = (true, Some(next));
                }
                None
            }
            // The pause was refused.
            State::Restoring(_) | State::Young(_) | State::Full => {
                self.target = Some(message.offset());
                None
            }
        }
    }
}
