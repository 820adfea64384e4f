//! The binary `http-receiver`: see `http-receiver --help`.

use std::process::ExitCode;

/// Serves librdkafka's allocations too, which is worth a tenth of the throughput.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    nubium_http_receiver::main()
}
