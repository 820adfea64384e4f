//! The binary `nubium-provision`.

fn main() {}
