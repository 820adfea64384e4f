//! HTTP/1 for small servers that must survive the open network.
//!
//! [`serve`] runs any axum router or tower service with every [`Limits`] in place, [`serve_with`] on
//! TLS or what else a handshake makes; [`probes`] is
//! the router of `/livez`, `/readyz` and `/metrics` on top of it.

mod connection;
mod limits;
pub mod probes;
mod rest;
mod server;
mod stall;

pub use limits::Limits;
pub use probes::{ProbeServer, Probes, Report};
pub use server::{serve, serve_with};

#[cfg(test)]
mod tests;
