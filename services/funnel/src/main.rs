//! The binary `funnel`: see `funnel --help`.

/// Serves librdkafka's allocations too, which is worth a tenth of the throughput.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    nubium_service::service::main::<nubium_funnel::service::Funnel>()
}
