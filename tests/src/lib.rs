//! Holds what end-to-end tests share and the kit (`nubium_test_kit`) has not: the [`fleet`] of all
//! services, and the [`original`], nubium-utils.
//!
//! This package is the only one whose tests have all services built, as its own binaries.

pub mod fleet;
pub mod original;
