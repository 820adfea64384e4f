//! The app function: sends a batch, and does with every message what the answers say.

mod follow;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use futures::StreamExt as _;
use nubium_core::metrics::{ExternalRequest, Metrics};
use nubium_core::{BatchTransaction, Consumed, Exception};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method};

use self::follow::Round;
use crate::announce::Announced;
use crate::answer::{Answered, Verdict};
use crate::auth::Authorizer;
use crate::breaker::{Breaker, Change, Said};
use crate::chunk::{self, Chunk};
use crate::client;
use crate::item::{self, Item};
use crate::pace::Pace;
use crate::produce::Told;
use crate::route::Route;
use crate::settings::Settings;

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
    breaker: Breaker,
    announced: Arc<Announced>,
    metrics: Metrics,
}

/// How one request went.
enum Sent {
    /// It was not sent: the service had asked another one to come back later.
    Held,
    /// With what came back, where that is produced.
    Answered(Verdict, Option<Told>),
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
        let client = client::new(&settings)?;
        Ok(Self {
            app: app.to_owned(),
            has_failure_topic,
            tries,
            auth: Authorizer::new(settings.auth.clone(), client.clone()),
            pace: Pace::new(settings.limits.requests_per_second),
            breaker: Breaker::new(settings.limits.breaker),
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
            let mut round = Round { batch, messages: &messages, left, wait, failed: None };
            for (chunk, sent) in sent {
                match sent {
                    Sent::Held => round.left.push(chunk),
                    Sent::Answered(verdict, told) => {
                        self.follow(&mut round, chunk, verdict, told.as_ref());
                    }
                }
            }
            if let Some(error) = round.failed {
                return Err(error);
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
            match item::of(message, &self.settings.request, id) {
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
        let single = !self.settings.is_bulk();
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
        self.circuit(batch, held).await;
        if held.get() {
            return Sent::Held;
        }
        let (verdict, told) = match self.ask(chunk).await {
            Ok(answered) => answered,
            Err(error) => {
                let named = error.chain().find_map(|cause| cause.downcast_ref::<reqwest::Error>());
                let name = match named {
                    Some(error) if error.is_timeout() => "RequestTimeout",
                    Some(error) if error.is_connect() => "ConnectError",
                    Some(_) => "RequestError",
                    None => "CredentialsError",
                };
                let from = self.from(&self.settings.request.method);
                let text = format!("no answer from {from}: {error:#}");
                (Verdict::Again { exception: Exception::new(name, text), wait: None }, None)
            }
        };
        self.note(&verdict);
        if matches!(verdict, Verdict::Again { .. } | Verdict::Unauthorized(_)) {
            held.set(true);
        }
        Sent::Answered(verdict, told)
    }

    async fn ask(&self, chunk: &Chunk) -> Result<(Verdict, Option<Told>)> {
        let settings = &self.settings.request;
        let authorization = self.auth.header().await?;
        let route = chunk.items.first().and_then(|item| item.route.as_deref());
        let method = route.map_or(&settings.method, |route| &route.method);
        let url = route.map_or(&settings.url, |route| &route.url);
        let mut request = self.client.request(method.clone(), url.clone());
        if Route::has_body(method) {
            request = request.header(CONTENT_TYPE, item::content_type(&chunk.items, settings));
            if settings.gzip {
                request = request.header(CONTENT_ENCODING, "gzip");
            }
            request = request.body(item::body(&chunk.items, settings)?);
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
        let answered = request.send().await;
        self.count(method, answered.as_ref().map_or(0, |response| response.status().as_u16()));
        let mut response = answered.map_err(reqwest::Error::without_url)?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.pause(&headers);
        let mut body = Vec::new();
        while body.len() < ANSWER {
            let part = response.chunk().await.map_err(reqwest::Error::without_url)?;
            let Some(part) = part else { break };
            body.extend_from_slice(&part);
        }
        let from = self.from(method);
        let answered = Answered {
            from: &from,
            status,
            headers: &headers,
            body: &body,
            now: SystemTime::now(),
        };
        let verdict = answered.judge(&chunk.items, self.settings.answer.as_ref());
        let told = self.settings.produce.is_some().then(|| Told::new(status, &headers, &body));
        Ok((self.after_refusal(chunk, authorization.as_ref(), verdict), told))
    }

    /// Waits while the API is left alone, unless it is asked to come back later meanwhile.
    async fn circuit(&self, batch: &BatchTransaction<'_>, held: &Cell<bool>) {
        while !held.get() {
            let wait = self.breaker.ask(Instant::now());
            if wait.is_zero() {
                return;
            }
            batch.wait(wait).await;
        }
    }

    /// Notes for the circuit breaker what an answer says of the API.
    fn note(&self, verdict: &Verdict) {
        let said = match verdict {
            Verdict::Again { wait: None, .. } => Said::Fails,
            Verdict::Again { .. } | Verdict::Unauthorized(_) => Said::Nothing,
            _ => Said::Works,
        };
        match self.breaker.note(said, Instant::now()) {
            Some(Change::Opens) => {
                tracing::warn!("The API fails again and again: leaving it alone for a while.");
            }
            Some(Change::Closes) => tracing::info!("The API works again."),
            None => {}
        }
    }

    /// Holds the requests to come back while the API says that it takes none.
    fn pause(&self, headers: &HeaderMap) {
        let quota = self.settings.quota.as_ref();
        if let Some(wait) = quota.and_then(|quota| quota.pause(headers, SystemTime::now())) {
            tracing::info!(?wait, "The API's quota is used up, waiting.");
            self.pace.hold(Instant::now() + wait);
        }
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

    fn count(&self, method: &Method, status_code: u16) {
        let request = &self.settings.request;
        self.metrics.external_request(&ExternalRequest {
            to: &request.name,
            endpoint: &request.endpoint,
            kind: method.as_str(),
            is_bulk: self.settings.is_bulk(),
            status_code,
        });
    }

    fn from(&self, method: &Method) -> String {
        let request = &self.settings.request;
        format!("{} {method} {}", request.name, request.endpoint)
    }
}
