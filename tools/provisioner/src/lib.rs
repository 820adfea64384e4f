//! The provisioner: topics, changelogs, schemas and rights as a plan, before a rollout.
//!
//! [`manifest`] and the maps of topics say what shall be ([`desired`]), [`observed`] what is;
//! [`plan`] is the difference and decides everything without a network, [`trial`] asks the brokers
//! whether they would take it, [`apply`] does exactly that and nothing else. [`commands`] has what
//! the binary does, one file each.

pub mod apply;
pub mod cli;
pub mod commands;
pub mod desired;
pub mod ending;
pub mod manifest;
pub mod observed;
mod order;
pub mod page;
pub mod plan;
pub mod schemas;
pub mod start;
pub mod subjects;
pub mod terminal;
pub mod trial;
