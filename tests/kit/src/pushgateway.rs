//! Debian's Pushgateway, the reference for what a push may be.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::exposition::{Sample, parse};
use crate::ports;
use crate::process::Process;
use crate::wait::{Look, eventually, until};

const DEADLINE: Duration = Duration::from_secs(60);

/// A Pushgateway on 127.0.0.1; killed on drop.
#[derive(Debug)]
pub struct Pushgateway {
    port: u16,
    process: Process,
}

impl Pushgateway {
    /// Starts the one that `PUSHGATEWAY` names, or Debian's `prometheus-pushgateway`.
    ///
    /// # Errors
    /// It is not installed, or does not answer.
    pub fn start(dir: &Path) -> Result<Self> {
        let program = std::env::var("PUSHGATEWAY").unwrap_or("prometheus-pushgateway".into());
        let [port] = ports::free()?;
        let mut command = Command::new(&program);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--persistence.file=");
        let process = Process::spawn("pushgateway", dir, &mut command).with_context(|| {
            format!(
                "cannot start `{program}`: install Debian's package prometheus-pushgateway, or \
                 set PUSHGATEWAY to a binary"
            )
        })?;
        let answers = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        until("the Pushgateway to answer", DEADLINE, answers)?;
        Ok(Self { port, process })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Sends one request; returns the status and the body.
    ///
    /// # Errors
    /// There is no answer.
    pub fn send(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let http = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build()?;
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let request = http.request(method.parse()?, url).body(body.to_owned());
        runtime.block_on(async {
            let answer = request.send().await?;
            Ok((answer.status().as_u16(), answer.text().await?))
        })
    }

    /// Scrapes what it holds of a job.
    ///
    /// # Errors
    /// There is no answer, or it is not the text format.
    pub fn job(&self, job: &str) -> Result<Vec<Sample>> {
        let (status, text) = self.send("GET", "/metrics", "")?;
        ensure!(status == 200, "a scrape is answered {status}: {text}");
        // Its own metrics have kinds that apps here do not use.
        let mut own = String::new();
        for family in text.split_inclusive('\n') {
            if !family.contains("go_") && !family.contains("pushgateway_") {
                own.push_str(family);
            }
        }
        let samples = parse(&own)?;
        Ok(samples.into_iter().filter(|s| s.labels.get("job").is_some_and(|j| j == job)).collect())
    }

    /// Waits until a condition on what it holds of a job holds, and returns that.
    ///
    /// # Errors
    /// It does not hold in time.
    pub fn eventually(
        &self,
        what: &str,
        job: &str,
        holds: impl Fn(&[Sample]) -> bool,
    ) -> Result<Vec<Sample>> {
        eventually(what, DEADLINE, || match self.job(job) {
            Ok(samples) if holds(&samples) => Look::Ready(samples),
            Ok(samples) => Look::NotYet(format!("{samples:?}")),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })
    }
}
