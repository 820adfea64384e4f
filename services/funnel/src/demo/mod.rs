//! The demo: real records through the funnel, in one process.

pub mod data;
