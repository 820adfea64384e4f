//! The binary `batch-uploader`: see `batch-uploader --help`.

/// Serves librdkafka's allocations too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    nubium_batch_uploader::commands::main()
}
