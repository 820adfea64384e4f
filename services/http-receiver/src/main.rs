//! The binary `http-receiver`.

fn main() {}
