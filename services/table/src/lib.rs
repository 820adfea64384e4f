//! The table service: the latest record of each key, a mapping program with the previous entry at
//! hand, and look-ups by HTTP.
//!
//! The store and exactly-once are the core's, the language is crate `nubium-mapping`, what services
//! have in common crate `nubium-service`. [`table`] is the app function, [`modes`] has the
//! ready-made programs, [`settings`] the file, [`lookups`] the server. [`commands`] has what the
//! binary does, one file each; [`changelog`] and [`stores`] serve those that look at stores
//! off-line.

pub mod changelog;
pub mod commands;
pub mod entry;
pub mod lookups;
pub mod modes;
pub mod service;
pub mod settings;
pub mod stores;
pub mod table;
