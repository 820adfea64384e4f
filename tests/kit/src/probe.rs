//! Asks an app's probe port, as an orchestrator and a metrics scraper would.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use tokio::runtime::{Builder, Runtime};

use crate::exposition::{Sample, parse};
use crate::ports;
use crate::scenario::Scenario;
use crate::wait::{Look, eventually};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one instance's probe port.
#[derive(Debug)]
pub struct Probe {
    port: u16,
    http: Client,
    runtime: Runtime,
}

impl Probe {
    /// Picks a free port and tells it to the instances that the scenario starts from now on.
    ///
    /// # Errors
    /// The system has no free port or thread.
    pub fn on(scenario: &mut Scenario) -> Result<Self> {
        let [port] = ports::free()?;
        scenario.set("NU_PROBE_PORT", port.to_string()).set("NU_PROBE_ADDRESS", "127.0.0.1");
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let http = Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build()?;
        Ok(Self { port, http, runtime })
    }

    /// Asks for a path; returns the status and the body.
    ///
    /// # Errors
    /// There is no answer.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        self.runtime.block_on(async {
            let response = self.http.get(&url).send().await?;
            let status = response.status().as_u16();
            Ok((status, response.text().await?))
        })
    }

    /// Waits until a path answers with this status, and returns the body.
    ///
    /// # Errors
    /// It does not when the deadline passes: says what it answered last.
    pub fn answers(&self, path: &str, status: u16, deadline: Duration) -> Result<String> {
        eventually(&format!("{path} to answer {status}"), deadline, || match self.get(path) {
            Ok((seen, body)) if seen == status => Look::Ready(body),
            Ok((seen, body)) => Look::NotYet(format!("{seen} {body}")),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })
    }

    /// Scrapes the metrics.
    ///
    /// # Errors
    /// There is no answer, or it is not the text format: says where.
    pub fn metrics(&self) -> Result<Vec<Sample>> {
        let (status, body) = self.get("/metrics")?;
        ensure!(status == 200, "/metrics answers {status}");
        parse(&body).with_context(|| format!("/metrics is no text format:\n{body}"))
    }
}
