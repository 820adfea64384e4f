//! The funnel.
fn main() {}
