//! One file per verb.

pub(crate) mod admin;
pub(crate) mod api;
pub(crate) mod delete;
pub(crate) mod metrics;
pub(crate) mod push;
pub(crate) mod status;
