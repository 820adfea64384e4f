//! The binary `table`.

fn main() {}
