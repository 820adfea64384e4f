//! The app function: sends a batch, and does with every message what the answers say.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use nubium_core::metrics::{ExternalRequest, Metrics};
use nubium_core::{BatchTransaction, Consumed, Exception};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, redirect};

use crate::announce::Announced;
use crate::answer::{Answered, Outcome, Verdict};
use crate::auth::Authorizer;
use crate::chunk::{self, Chunk};
use crate::item::{self, Item};
use crate::pace::Pace;
use crate::settings::{Auth, Body, Settings};

/// Bytes of an answer that are read: enough for the results of the largest batches.
const ANSWER: usize = 16 << 20;

/// Sends batches to an HTTP API; shared by all loops of the process.
pub struct Uploader {
    settings: Settings,
    /// The app's name, which is part of idempotency keys.
    app: String,
    /// Whether what is refused has somewhere to go.
    has_failure_topic: bool,
    tries: u32,
    client: Client,
    auth: Authorizer,
    pace: Pace,
    announced: Arc<Announced>,
    metrics: Metrics,
}

/// What is left to do of a batch after a round of requests.
struct Round<'a> {
    batch: &'a BatchTransaction<'a>,
    messages: &'a [Consumed<'a>],
    left: Vec<Chunk>,
    wait: Duration,
}

/// How one request went.
enum Sent {
    /// It was not sent: the service had asked another one to come back later.
    Held,
    Answered(Verdict),
}

impl Uploader {
    /// Makes one of settings; `tries` as [`crate::start::Start::tries`] says.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn new(
        settings: Settings,
        app: &str,
        tries: u32,
        has_failure_topic: bool,
        metrics: &Metrics,
    ) -> Result<Self> {
        let client = client(&settings)?;
        Ok(Self {
            app: app.to_owned(),
            has_failure_topic,
            tries,
            auth: Authorizer::new(settings.auth.clone(), client.clone()),
            pace: Pace::new(settings.limits.requests_per_second),
            announced: Arc::default(),
            client,
            settings,
            metrics: metrics.clone(),
        })
    }

    /// Sends one batch, again and again until every message is done, refused, or to be retried
    /// later. Between tries the app keeps its place in the group, and a stop ends the wait.
    ///
    /// # Errors
    /// A message cannot be decoded and there is no failure topic.
    pub async fn handle(&self, batch: &BatchTransaction<'_>) -> Result<()> {
        let messages: Vec<Consumed<'_>> = batch.messages().collect();
        let items = self.items(batch, &messages)?;
        let mut chunks = self.cut(items);
        if self.announces() {
            let notes = self.announced.announce(&chunks);
            if !notes.is_empty() {
                batch.note(notes).await?;
            }
        }
        while !chunks.is_empty() {
            let held = Cell::new(false);
            let sent = futures::stream::iter(chunks)
                .map(|chunk| async {
                    let sent = self.send(batch, &chunk, &held).await;
                    (chunk, sent)
                })
                .buffered(self.settings.limits.concurrency)
                .collect::<Vec<_>>()
                .await;
            let (left, wait) = (Vec::new(), Duration::ZERO);
            let mut round = Round { batch, messages: &messages, left, wait };
            for (chunk, sent) in sent {
                match sent {
                    Sent::Held => round.left.push(chunk),
                    Sent::Answered(verdict) => self.follow(&mut round, chunk, verdict),
                }
            }
            chunks = round.left;
            if !chunks.is_empty() && !round.wait.is_zero() {
                batch.wait(round.wait).await;
            }
        }
        Ok(())
    }

    fn items(&self, batch: &BatchTransaction<'_>, messages: &[Consumed<'_>]) -> Result<Vec<Item>> {
        let id = self.settings.answer.as_ref().and_then(|answer| answer.ids.as_ref());
        let id = id.map(|ids| ids.item.as_str());
        let mut items = Vec::with_capacity(messages.len());
        for &message in messages {
            match item::of(message, self.settings.request.item, id) {
                Ok(item) => items.push(item),
                Err(error) if self.has_failure_topic => {
                    self.refuse(batch, message, Exception::of(&error));
                }
                Err(error) => {
                    let (topic, partition) = (message.topic(), message.partition());
                    let place = format!("{topic}[{partition}], offset {}", message.offset());
                    return Err(error.context(place));
                }
            }
        }
        Ok(items)
    }

    fn cut(&self, items: Vec<Item>) -> Vec<Chunk> {
        let single = self.settings.request.body == Body::Single;
        let apart = self.settings.request.idempotency_header.is_some();
        chunk::cut(items, &self.settings.batch, single, apart, |item| self.announced.begins(item))
    }

    /// Whether requests are announced: one message alone makes the same request anyway.
    fn announces(&self) -> bool {
        self.settings.is_bulk() && self.settings.request.idempotency_header.is_some()
    }

    /// The requests that were announced, for the pattern that makes the batches.
    pub fn announced(&self) -> Arc<Announced> {
        Arc::clone(&self.announced)
    }

    /// Sends one request and judges the answer.
    async fn send(&self, batch: &BatchTransaction<'_>, chunk: &Chunk, held: &Cell<bool>) -> Sent {
        let wait = self.pace.take(Instant::now());
        if !wait.is_zero() && !held.get() {
            batch.wait(wait).await;
        }
        if held.get() {
            return Sent::Held;
        }
        let verdict = match self.ask(chunk).await {
            Ok(verdict) => verdict,
            Err(error) => {
                let named = error.chain().find_map(|cause| cause.downcast_ref::<reqwest::Error>());
                let name = match named {
                    Some(error) if error.is_timeout() => "RequestTimeout",
                    Some(error) if error.is_connect() => "ConnectError",
                    Some(_) => "RequestError",
                    None => "CredentialsError",
                };
                let text = format!("no answer from {}: {error:#}", self.from());
                Verdict::Again { exception: Exception::new(name, text), wait: None }
            }
        };
        if matches!(verdict, Verdict::Again { .. } | Verdict::Unauthorized(_)) {
            held.set(true);
        }
        Sent::Answered(verdict)
    }

    async fn ask(&self, chunk: &Chunk) -> Result<Verdict> {
        let settings = &self.settings.request;
        let authorization = self.auth.header().await?;
        let mut request = self.client.request(settings.method.clone(), settings.url.clone());
        request = request.header(
            CONTENT_TYPE,
            match settings.body {
                Body::JsonArray | Body::Single => "application/json",
                Body::Ndjson => "application/x-ndjson",
            },
        );
        if settings.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        if let Some(name) = &settings.idempotency_header {
            request = request.header(name, item::key(&self.app, &chunk.items));
        }
        for (name, value) in &settings.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = &authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let body = item::body(&chunk.items, settings)?;
        let answered = request.body(body).send().await;
        self.count(answered.as_ref().map_or(0, |response| response.status().as_u16()));
        let mut response = answered.map_err(reqwest::Error::without_url)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while body.len() < ANSWER {
            let part = response.chunk().await.map_err(reqwest::Error::without_url)?;
            let Some(part) = part else { break };
            body.extend_from_slice(&part);
        }
        let from = self.from();
        let answered = Answered {
            from: &from,
            status,
            headers: &headers,
            body: &body,
            now: SystemTime::now(),
        };
        let verdict = answered.judge(&chunk.items, self.settings.answer.as_ref());
        Ok(self.after_refusal(chunk, authorization.as_ref(), verdict))
    }

    /// Gives a request whose token was refused another one at once, and one try alone.
    fn after_refusal(
        &self,
        chunk: &Chunk,
        used: Option<&HeaderValue>,
        verdict: Verdict,
    ) -> Verdict {
        let Verdict::Unauthorized(exception) = verdict else { return verdict };
        match self.auth.refused(used) && !chunk.renewed {
            true => Verdict::Unauthorized(exception),
            false => Verdict::Again { exception, wait: None },
        }
    }

    fn count(&self, status_code: u16) {
        let request = &self.settings.request;
        self.metrics.external_request(&ExternalRequest {
            to: &request.name,
            endpoint: &request.endpoint,
            kind: request.method.as_str(),
            is_bulk: self.settings.is_bulk(),
            status_code,
        });
    }

    fn from(&self) -> String {
        let request = &self.settings.request;
        format!("{} {} {}", request.name, request.method, request.endpoint)
    }

    /// Does what the verdict says.
    fn follow(&self, round: &mut Round<'_>, mut chunk: Chunk, verdict: Verdict) {
        match verdict {
            Verdict::Done => {}
            Verdict::Failed(exception) => {
                for item in &chunk.items {
                    self.refuse(round.batch, round.messages[item.index], exception.clone());
                }
            }
            Verdict::TooLarge(exception) => match chunk.clone().halves() {
                Some(halves) => {
                    tracing::info!(items = chunk.items.len(), "too large for the API, halving");
                    round.left.extend(halves);
                }
                None => self.follow(round, chunk, Verdict::Failed(exception)),
            },
            Verdict::Unauthorized(_) => {
                chunk.renewed = true;
                round.left.push(chunk);
            }
            Verdict::Again { exception, wait: Some(wait) } => {
                let wait = wait.max(self.backoff(1));
                tracing::warn!(%exception, ?wait, items = chunk.items.len(),
                    "the API asks to come back later");
                round.wait = round.wait.max(wait);
                round.left.push(chunk);
            }
            Verdict::Again { exception, wait: None } => {
                let again = vec![exception; chunk.items.len()];
                self.again(round, chunk, again);
            }
            Verdict::Each(outcomes) => self.each(round, chunk, outcomes),
        }
    }

    fn each(&self, round: &mut Round<'_>, mut chunk: Chunk, outcomes: Vec<Outcome>) {
        let (mut items, mut exceptions) = (Vec::new(), Vec::new());
        for (item, outcome) in std::mem::take(&mut chunk.items).into_iter().zip(outcomes) {
            match outcome {
                Outcome::Done => {}
                Outcome::Failed(exception) => {
                    self.refuse(round.batch, round.messages[item.index], exception);
                }
                Outcome::Again(exception) => {
                    items.push(item);
                    exceptions.push(exception);
                }
            }
        }
        if !items.is_empty() {
            chunk.items = items;
            self.again(round, chunk, exceptions);
        }
    }

    /// Tries again after a back-off, or routes the messages when it was tried often enough.
    fn again(&self, round: &mut Round<'_>, mut chunk: Chunk, exceptions: Vec<Exception>) {
        chunk.tries += 1;
        chunk.renewed = false;
        let (items, tries) = (chunk.items.len(), chunk.tries);
        let first = exceptions.first().map(ToString::to_string).unwrap_or_default();
        if tries < self.tries {
            let wait = self.backoff(tries);
            tracing::warn!(exception = first, items, tries, ?wait, "not taken, trying again");
            round.wait = round.wait.max(wait);
            round.left.push(chunk);
            return;
        }
        tracing::error!(exception = first, items, tries, "not taken, to be retried later");
        for (item, exception) in chunk.items.iter().zip(exceptions) {
            self.metrics.error(&exception.name);
            round.batch.retry(round.messages[item.index], exception);
        }
    }

    fn backoff(&self, tries: u32) -> Duration {
        let retry = &self.settings.retry;
        retry.backoff.saturating_mul(1 << (tries - 1).min(20)).min(retry.backoff_max)
    }

    fn refuse(&self, batch: &BatchTransaction<'_>, message: Consumed<'_>, exception: Exception) {
        tracing::error!(topic = message.topic(), partition = message.partition(),
            offset = message.offset(), %exception, "refused, to the failure topic");
        self.metrics.error(&exception.name);
        batch.fail(message, exception);
    }
}

/// Makes the HTTP client.
///
/// # Errors
/// The certificates of `ca_file` cannot be used.
pub fn client(settings: &Settings) -> Result<Client> {
    let request = &settings.request;
    let mut builder = Client::builder()
        .timeout(request.timeout)
        .connect_timeout(request.connect_timeout)
        // A redirect of a POST is a wrong URL, and credentials must not travel on.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("nubium-batch-uploader/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = &request.ca_file {
        let pem = std::fs::read(file).with_context(|| format!("ca_file {}", file.display()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .with_context(|| format!("ca_file {}", file.display()))?;
        ensure!(!certificates.is_empty(), "ca_file {} holds no certificate", file.display());
        builder = builder.tls_certs_merge(certificates);
    } else if is_plain(settings) {
        // Images without CA certificates can still use a plain API.
        builder = builder.tls_certs_only([]);
    }
    builder.build().context("HTTP client")
}

/// Whether nothing of it goes over TLS.
fn is_plain(settings: &Settings) -> bool {
    let token = match &settings.auth {
        Auth::OAuth2(oauth) => Some(&oauth.token_url),
        _ => None,
    };
    std::iter::once(&settings.request.url).chain(token).all(|url| url.scheme() == "http")
}
