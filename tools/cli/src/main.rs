//! The binary `dude`.

fn main() {}
