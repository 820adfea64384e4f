//! What can go wrong, and where.

/// A step at which a fault can be injected. Each counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A new producer asks for its id.
    InitProducer,
    /// A transaction begins.
    Begin,
    /// Offsets are added to it.
    SendOffsets,
    /// A record is added to it.
    Send,
    /// It is to be committed; the fault comes before that takes effect.
    Commit,
    /// It has been committed; the fault is that the answer is lost.
    Committed,
    /// It is to be aborted.
    Abort,
    /// The group is served.
    Serve,
    /// Messages are fetched.
    Fetch,
    /// The consumer is moved.
    Seek,
    /// A partition is paused.
    Pause,
    /// A partition is resumed.
    Resume,
}

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call asks for an abort (a failed record, a stale group generation).
    Abort,
    /// No answer in time.
    Timeout,
    /// The connection breaks with the call's request on it, and the client repeats it on another.
    /// The first one arrives in the middle of the next transaction. Where offsets are added, and
    /// where a transaction is committed or aborted; elsewhere nothing comes of it.
    BrokenConnection,
    /// Another producer takes the `transactional.id` over.
    Fence,
    /// The producer dies.
    Fatal,
    /// The partitions are revoked and assigned again.
    Rebalance,
    /// The partitions are lost and assigned again: nothing in hand may be committed.
    Lose,
    /// The process dies; nothing more of it reaches the broker.
    Crash,
    /// One partition, the `n`th of those that are ours, is revoked and assigned again, or assigned
    /// to another member where there is one.
    RevokeOne(usize),
    /// One partition is lost, and is assigned again or to another member.
    LoseOne(usize),
    /// So many of the next seeks are refused.
    RefuseSeeks(u32),
    /// So many of the next calls that pause or resume are refused.
    RefusePauses(u32),
    /// The table's stores come no further for so many turns.
    LateStores(u32),
    /// Retention deletes so many messages from the beginning of each input partition.
    Retention(u32),
}
