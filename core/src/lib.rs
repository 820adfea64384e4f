//! Nubium.

pub mod codec;
