//! Nubium.

pub mod liveness;
pub mod metrics;
