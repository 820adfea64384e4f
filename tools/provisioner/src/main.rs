//! The binary `nubium-provision`: see `nubium-provision --help`.

use std::process::ExitCode;

/// Plans are small, but one allocator for all binaries keeps them alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    nubium_provisioner::commands::run()
}
