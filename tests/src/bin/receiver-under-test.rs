//! The HTTP receiver as its binary runs it, so that the tests of this package have it built.

fn main() -> std::process::ExitCode {
    nubium_service::service::main::<nubium_http_receiver::service::HttpReceiver>()
}
