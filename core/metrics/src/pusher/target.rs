//! How one pod is pushed to: its address, the job's path, proof of who pushes, TLS.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nubium_config::{MetricsPush, PushAuth};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, header};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// The text format of a push.
const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long a pod may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest part of a pod's answer that goes into the log.
const ANSWER_MAX: usize = 500;

/// What a pod gets.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// Rises with every round.
    pub(super) round: u64,
    /// PUT replaces the group, DELETE removes it.
    pub(super) method: Method,
    pub(super) body: Arc<str>,
    /// No other follows: a pod that is busy gets it afterwards.
    pub(super) last: bool,
}

/// Why a push did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PushError {
    /// Nobody accepts connections there.
    Connect(String),
    /// No answer, or the connection broke.
    NoAnswer(String),
    /// An answer other than 2xx.
    Refused(String),
}

/// What is the same for all pods.
#[derive(Debug)]
pub(super) struct Target {
    host: String,
    path: String,
    tls: bool,
    ca: Option<Vec<Certificate>>,
    auth: Option<PushAuth>,
    timeout: Duration,
    pub(super) pod_port: u16,
    pub(super) service_port: u16,
}

impl Target {
    /// # Errors
    /// The file of certificates cannot be used.
    pub(super) fn new(settings: &MetricsPush, job: &str) -> anyhow::Result<Self> {
        let read = |ca: &nubium_config::Certificates| {
            Certificate::from_pem_bundle(ca.pem())
                .with_context(|| format!("NU_METRICS_CA_FILE {}", ca.path().display()))
        };
        Ok(Self {
            // A trailing dot keeps the resolver from searching; it is no part of a certificate.
            host: settings.service_name.trim_end_matches('.').to_owned(),
            path: path(job),
            tls: settings.tls,
            ca: settings.ca.as_ref().map(read).transpose()?,
            auth: settings.auth.clone(),
            timeout: settings.timeout,
            pod_port: settings.pod_port,
            service_port: settings.service_port,
        })
    }

    /// Makes the client of one pod, which opens a connection for each push: a pod behind a service
    /// with a cluster IP is then chosen anew, and a connection that died is never used.
    pub(super) fn client(&self, pod: IpAddr) -> reqwest::Result<Client> {
        let mut client = Client::builder()
            .user_agent(concat!("nubium/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(0);
        if !self.tls {
            // Images without CA certificates can still push.
            client = client.tls_certs_only([]);
        } else if let Some(ca) = &self.ca {
            client = client.tls_certs_only(ca.clone());
        }
        if self.tls && self.host.parse::<IpAddr>().is_err() {
            // By name, for the certificate, but to this one address.
            client = client.resolve(&self.host, SocketAddr::new(pod, 0));
        }
        client.build()
    }

    fn url(&self, pod: IpAddr, port: u16) -> String {
        let address = SocketAddr::new(pod, port);
        match (self.tls, self.host.parse::<IpAddr>()) {
            (false, _) => format!("http://{address}{}", self.path),
            (true, Ok(_)) => format!("https://{address}{}", self.path),
            (true, Err(_)) => format!("https://{}:{port}{}", self.host, self.path),
        }
    }

    /// Sends a job to the first of these ports where somebody listens; returns that port.
    pub(super) async fn push(
        &self,
        client: &Client,
        pod: IpAddr,
        ports: &[u16],
        job: &Job,
    ) -> Result<u16, PushError> {
        let attempts = async {
            let mut failed = PushError::Connect("no port to push to".into());
            for port in ports {
                match self.send(client, pod, *port, job).await {
                    Ok(()) => return Ok(*port),
                    Err(error @ PushError::Connect(_)) => failed = error,
                    Err(error) => return Err(error),
                }
            }
            Err(failed)
        };
        let late = || PushError::NoAnswer(format!("no answer within {:?}", self.timeout));
        tokio::time::timeout(self.timeout, attempts).await.unwrap_or_else(|_| Err(late()))
    }

    async fn send(
        &self,
        client: &Client,
        pod: IpAddr,
        port: u16,
        job: &Job,
    ) -> Result<(), PushError> {
        let mut request = client.request(job.method.clone(), self.url(pod, port));
        if job.method == Method::PUT {
            request = request.header(header::CONTENT_TYPE, MEDIA_TYPE).body(job.body.to_string());
        }
        request = match &self.auth {
            None => request,
            Some(PushAuth::Basic(basic)) => {
                request.basic_auth(&basic.username, Some(basic.password.expose()))
            }
            Some(PushAuth::Bearer { token, file }) => {
                let renewed = file.as_ref().and_then(|file| nubium_host::text::read(file).ok());
                let renewed = renewed.as_deref().map(str::trim).filter(|text| !text.is_empty());
                request.bearer_auth(renewed.unwrap_or(token.expose()))
            }
        };
        let mut answer = request.send().await.map_err(|error| unanswered(port, error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_MAX {
                break;
            }
        }
        let text: String = String::from_utf8_lossy(&body).chars().take(ANSWER_MAX).collect();
        Err(PushError::Refused(format!("port {port} answers {status}: {}", text.trim())))
    }
}

fn unanswered(port: u16, error: reqwest::Error) -> PushError {
    let connect = error.is_connect();
    // The URL says nothing more than pod and job, and may not name the pod.
    let text = format!("port {port}: {:#}", anyhow::Error::from(error.without_url()));
    if connect { PushError::Connect(text) } else { PushError::NoAnswer(text) }
}

/// Writes the path of a job's group. A name that URLs would not leave alone goes as base64, which
/// Pushgateways read since 0.8.
fn path(job: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    match job {
        "." | ".." => format!("/metrics/job@base64/{}", URL_SAFE_NO_PAD.encode(job)),
        "" => "/metrics/job@base64/=".into(),
        _ if job.bytes().all(plain) => format!("/metrics/job/{job}"),
        _ => format!("/metrics/job@base64/{}", URL_SAFE_NO_PAD.encode(job)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_name_is_escaped_where_a_url_would_change_it() {
        for (job, expected) in [
            ("funnel-0", "/metrics/job/funnel-0"),
            ("ns.funnel_0~a", "/metrics/job/ns.funnel_0~a"),
            ("a/b", "/metrics/job@base64/YS9i"),
            ("..", "/metrics/job@base64/Li4"),
            ("ü?", "/metrics/job@base64/w7w_"),
            ("50%", "/metrics/job@base64/NTAl"),
            ("", "/metrics/job@base64/="),
        ] {
            assert_eq!(path(job), expected);
        }
    }
}
