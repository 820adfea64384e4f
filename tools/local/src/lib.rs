//! Nubium.
