//! Administers Kafka clusters: topics, configurations, groups, offsets, transactions and ACLs.
//!
//! librdkafka has no calls for half of this (incremental configurations, ACLs, hanging
//! transactions), so the tools speak Kafka's protocol themselves; [`Admin`] is what they hold, and
//! `wire` the only place that opens a connection. Everything is asynchronous and runs on tokio.
//!
//! What a broker says about each of several things comes back as [`Outcomes`]: one refused topic
//! does not hide what became of the others.

pub mod acl;
pub mod admin;
pub mod config;
pub mod error;
pub mod group;
pub mod naming;
pub mod offset;
pub mod partitions;
pub mod topic;
pub mod transaction;
mod wire;

pub use acl::{Acl, AclFilter, AclOperation, Operations, Pattern, Principal, ResourceKind};
pub use admin::{Admin, Broker, ClusterDescription, Mode};
pub use config::{ConfigChange, ConfigEntry, ConfigOrigin, ConfigScope, Configs, is_same_value};
pub use error::{AdminError, Outcome, Outcomes, Refusal};
pub use group::{Committed, GroupDescription, GroupListing, GroupMember};
pub use kafka_protocol::ResponseError;
pub use offset::At;
pub use topic::{NewTopic, PartitionDescription, TopicDescription};
pub use transaction::{
    ActiveProducer, HangingTransaction, TransactionDescription, TransactionListing,
};
pub use wire::Limits;
