//! A call of another service for each message, where the benchmark asks for it
//! (`scripts/bench-slow-calls`).

use std::sync::OnceLock;

/// Calls `BENCH_CALL_URL`, if that is set, and waits for the answer.
///
/// # Errors
/// There is no good answer.
pub(crate) async fn call() -> anyhow::Result<()> {
    static SERVICE: OnceLock<Option<(reqwest::Client, String)>> = OnceLock::new();
    let service = SERVICE.get_or_init(|| {
        let url = std::env::var("BENCH_CALL_URL").ok()?;
        Some((reqwest::Client::new(), url))
    });
    if let Some((client, url)) = service {
        client.get(url).send().await?.error_for_status()?;
    }
    Ok(())
}
