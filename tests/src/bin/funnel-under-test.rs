//! The funnel as its binary runs it, so that the tests of this package have it built. Without
//! arguments it is `funnel run`.

use std::ffi::OsString;

fn main() -> std::process::ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.len() < 2 {
        arguments.push("run".into());
    }
    nubium_service::service::main_of::<nubium_funnel::service::Funnel>(arguments)
}
