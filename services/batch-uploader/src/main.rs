//! The binary `batch-uploader`.

fn main() {}
