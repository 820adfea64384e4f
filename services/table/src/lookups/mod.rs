//! Look-ups by HTTP: one entry, a range of entries, and how it stands with the partitions.
//!
//! Each instance has the entries of its own partitions. One that is asked for a key of another
//! redirects to it ([`get`]); a range is gathered from all ([`scan`]). Who owns what they ask each
//! other ([`directory`]), so it works with every group protocol of Kafka's, and without Kafka.
//!
//! A circle cannot happen: a redirect goes to the one instance that says it owns the partition, with
//! `redirected=true`, and such a request is never redirected again. What instances ask each other
//! has `local=true`, and is answered from what is there.

mod access;
mod answer;
mod directory;
mod get;
mod page;
mod query;
mod scan;
mod server;
mod state;
mod view;

pub use server::LookupServer;
pub use view::View;

#[cfg(test)]
mod tests;
