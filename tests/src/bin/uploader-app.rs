//! `batch-uploader run`, as a program of this package so that tests find it.

fn main() -> std::process::ExitCode {
    let run = ["batch-uploader", "run"].map(Into::into);
    nubium_service::service::main_of::<nubium_batch_uploader::service::BatchUploader>(run)
}
