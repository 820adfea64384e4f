//! Runs what was rendered for Kubernetes as processes: pods with addresses, mounts and users of
//! their own, around real brokers, a registry and an API, all in one network that nobody else sees.
//!
//! [`manifests`] reads what `kubectl kustomize` printed, [`pod`] runs one pod as a kubelet would,
//! [`cluster`] keeps the sets and leads services to ready pods, [`world`] has what is outside, and
//! [`story`] hurts all of it under load and then counts.

pub mod broker;
pub mod cluster;
pub mod flow;
pub mod http;
pub mod load;
pub mod manifests;
pub mod network;
pub mod pod;
pub mod proof;
pub mod secrets;
pub mod story;
pub mod table;
pub mod watch;
pub mod world;
