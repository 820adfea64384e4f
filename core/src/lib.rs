//! Nubium.
pub mod config;
pub mod kafka;
