//! Hands the clients of librdkafka their tokens (SASL/OAUTHBEARER). It could fetch them by itself
//! only with libcurl, and asks for them on a queue that not every client polls, so they are pushed:
//! a thread an origin, which renews the token in good time for as long as a client lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use rdkafka::client::{Client, ClientContext};

use nubium_config::TokenSource;
use nubium_token::{Issuer, Token, TokenError, due, name_of, pause};

use crate::raw::{Keyed, TokenTarget};

/// The property that names a client's keeper. librdkafka leaves its meaning to whoever fetches
/// tokens.
const PROPERTY: &str = "sasl.oauthbearer.config";
/// The longest sleep: a clock that is put forward must not let a token end unseen.
const NAP: Duration = Duration::from_secs(30);

static KEEPERS: Mutex<Vec<Arc<Keeper>>> = Mutex::new(Vec::new());

/// Renews the token of one source.
struct Keeper {
    source: TokenSource,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: bool,
    token: Option<Token>,
    trouble: Option<String>,
    targets: Vec<Weak<TokenTarget>>,
}

/// Names the keeper of a source, for the property `sasl.oauthbearer.config` of its clients. No
/// token is fetched before there is a client.
#[must_use]
pub fn enlist(source: &TokenSource) -> String {
    let mut keepers = lock(&KEEPERS);
    let known = keepers.iter().position(|keeper| keeper.source == *source);
    let index = known.unwrap_or_else(|| {
        let (state, changed) = (Mutex::default(), Condvar::new());
        keepers.push(Arc::new(Keeper { source: source.clone(), state, changed }));
        keepers.len() - 1
    });
    format!("nubium-{index}")
}

fn find(name: &str) -> Option<Arc<Keeper>> {
    let index: usize = name.strip_prefix("nubium-")?.parse().ok()?;
    lock(&KEEPERS).get(index).cloned()
}

/// Hands a client tokens for as long as it lives, where its properties say so. `of` finds
/// librdkafka's client in it.
pub fn keyed<T, C: ClientContext>(
    client: T,
    of: impl for<'a> FnOnce(&'a T) -> &'a Client<C>,
    properties: &BTreeMap<String, String>,
) -> Keyed<T> {
    let keeper = properties.get(PROPERTY).and_then(|name| find(name));
    let Some(keeper) = keeper else { return Keyed::without(client) };
    let keyed = Keyed::new(client, of);
    if let Some(target) = keyed.target() {
        keeper.serve(&target);
    }
    keyed
}

impl Keeper {
    fn serve(self: &Arc<Self>, target: &Arc<TokenTarget>) {
        let mut state = lock(&self.state);
        state.targets.push(Arc::downgrade(target));
        if let Some(token) = state.token.as_ref().filter(|t| t.is_valid(SystemTime::now())) {
            hand(&self.source, target, token);
        } else if let Some(trouble) = &state.trouble {
            target.fail(trouble);
        }
        if !state.running {
            let keeper = Arc::clone(self);
            let run = move || keeper.run();
            match std::thread::Builder::new().name("tokens".into()).spawn(run) {
                Ok(_) => state.running = true,
                Err(error) => tracing::error!(%error, "No thread for renewing tokens."),
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn run(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let issuer = Issuer::new(&self.source.origin);
        let (runtime, issuer) = match (runtime, issuer) {
            (Ok(runtime), Ok(issuer)) => (runtime, issuer),
            (Err(error), _) => return self.give_up(&error.to_string()),
            (_, Err(error)) => return self.give_up(&error.to_string()),
        };
        let mut failures = 0;
        loop {
            self.wait_for_clients();
            let asked = SystemTime::now();
            let next = match runtime.block_on(issuer.issue()) {
                Ok(token) => {
                    if failures > 0 {
                        tracing::info!(origin = name_of(&self.source.origin), "Tokens come again.");
                    }
                    failures = 0;
                    let next = due(asked, token.until, &self.source.origin);
                    self.renewed(token);
                    next
                }
                Err(error) => {
                    failures += 1;
                    let wait = pause(failures);
                    self.failed(&error, wait);
                    SystemTime::now() + wait
                }
            };
            while let Ok(left) = next.duration_since(SystemTime::now()) {
                std::thread::sleep(left.min(NAP));
            }
        }
    }

    /// Nobody is asked for tokens that nobody needs.
    fn wait_for_clients(&self) {
        let mut state = lock(&self.state);
        loop {
            state.targets.retain(|target| target.strong_count() > 0);
            if !state.targets.is_empty() {
                return;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn renewed(&self, token: Token) {
        let mut state = lock(&self.state);
        state.trouble = None;
        if state.token.as_ref() == Some(&token) {
            return;
        }
        tracing::debug!(origin = name_of(&self.source.origin), ?token, "There is a new token.");
        for target in state.targets.iter().filter_map(Weak::upgrade) {
            hand(&self.source, &target, &token);
        }
        state.token = Some(token);
    }

    fn failed(&self, error: &TokenError, wait: Duration) {
        let mut state = lock(&self.state);
        let now = SystemTime::now();
        let left = state.token.as_ref().and_then(|token| token.until.duration_since(now).ok());
        let again = format!("{wait:?}");
        if let Some(left) = left {
            let left = format!("{} s", left.as_secs());
            tracing::warn!(%error, left, again, "The token could not be renewed.");
            return;
        }
        let text = "There is no token: brokers cannot be reached until one comes.";
        tracing::error!(%error, again, "{text}");
        state.trouble = Some(error.to_string());
        for target in state.targets.iter().filter_map(Weak::upgrade) {
            target.fail(&error.text);
        }
    }

    fn give_up(&self, error: &str) {
        tracing::error!(error, "Tokens cannot be fetched at all.");
        let mut state = lock(&self.state);
        state.trouble = Some(error.to_owned());
        for target in state.targets.iter().filter_map(Weak::upgrade) {
            target.fail(error);
        }
    }
}

fn hand(source: &TokenSource, target: &TokenTarget, token: &Token) {
    let given =
        target.set(token.expose(), token.until_millis(), &token.principal, &source.extensions);
    if let Err(error) = given {
        tracing::error!(error, "librdkafka refuses the token.");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
