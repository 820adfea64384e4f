//! A provider of signed tokens: a token endpoint for client credentials, the keys that a broker
//! checks with, and what a test needs to make it refuse, go away and come back.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fs, thread};

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::scenario::Background;

/// Whom tokens name.
pub const SUBJECT: &str = "ledger";
/// The client that the endpoint knows.
pub const CLIENT: &str = "ledger-app";
/// The client's secret.
pub const CLIENT_SECRET: &str = "s3cret/of+the=client";

/// What the endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Answers with a good token.
    Serves,
    /// Answers with a token that brokers refuse: another key has signed it.
    Misleads,
    /// Says no to everybody.
    Refuses,
    /// Takes connections and says nothing.
    Down,
}

/// A provider, until the process ends.
#[derive(Debug, Clone)]
pub struct Provider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: SocketAddr,
    key: EcdsaKeyPair,
    other_key: EcdsaKeyPair,
    behaviour: Mutex<(Mode, Duration)>,
    asked: AtomicU64,
    issued: Mutex<Vec<String>>,
}

impl Provider {
    /// Listens on a free port.
    ///
    /// # Errors
    /// The system has no free port or no randomness.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let key = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = || key().map_err(|_| anyhow!("no key"));
        let provider = Self(Arc::new(Inner {
            address: listener.local_addr()?,
            key: key()?,
            other_key: key()?,
            behaviour: Mutex::new((Mode::Serves, Duration::from_secs(3_600))),
            asked: AtomicU64::new(0),
            issued: Mutex::default(),
        }));
        let serving = provider.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                // Who goes away before the answer needs none.
                thread::spawn(move || serving.answer(stream));
            }
        });
        Ok(provider)
    }

    /// Where tokens are asked for.
    pub fn url(&self) -> String {
        format!("http://{}/token", self.0.address)
    }

    /// Changes what the endpoint does, and how long its tokens live.
    pub fn set(&self, mode: Mode, lifetime: Duration) {
        *lock(&self.0.behaviour) = (mode, lifetime);
    }

    /// How often a token was asked for.
    pub fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Writes the keys that tokens are checked with (RFC 7517).
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_keys(&self, path: &Path) -> Result<()> {
        let public = self.0.key.public_key().as_ref();
        let [x, y] = [&public[1..33], &public[33..65]].map(|part| URL_SAFE_NO_PAD.encode(part));
        let key = json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": "1", "x": x, "y": y});
        Ok(fs::write(path, json!({ "keys": [key] }).to_string())?)
    }

    /// Signs a token that lives so long.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn issue(&self, lifetime: Duration) -> Result<String> {
        self.sign(&self.0.key, lifetime)
    }

    fn sign(&self, key: &EcdsaKeyPair, lifetime: Duration) -> Result<String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
        let claims = json!({
            "iss": "nubium-tests", "sub": SUBJECT, "scope": "kafka",
            "iat": now, "exp": now + lifetime.as_secs_f64(),
        });
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": "1"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| anyhow!("cannot sign"))?;
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
        lock(&self.0.issued).push(token.clone());
        Ok(token)
    }

    /// Writes a token into a file, and a new one every second and a half, as Kubernetes does: beside
    /// it, then renamed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_file(&self, path: &Path, lifetime: Duration) -> Result<Background> {
        let (provider, path) = (self.clone(), path.to_owned());
        let write = move || {
            let next = path.with_extension("next");
            fs::write(&next, provider.issue(lifetime)?)?;
            Ok(fs::rename(&next, &path)?)
        };
        write()?;
        Ok(Background::repeat(move || {
            thread::sleep(Duration::from_millis(1_500));
            write()
        }))
    }

    /// Checks that a log shows no token that was ever issued, nor the client's secret.
    ///
    /// # Panics
    /// It does.
    pub fn assert_hidden(&self, log: &str) {
        for token in lock(&self.0.issued).iter() {
            // A part is as telling as the whole, and the head is in each.
            for part in token.split('.').skip(1) {
                assert!(!log.contains(part), "the log shows a token:\n{log}");
            }
        }
        let escaped = CLIENT_SECRET.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
        for secret in [CLIENT_SECRET, &escaped, &STANDARD.encode(CLIENT_SECRET)] {
            assert!(!log.contains(secret), "the log shows the client's secret:\n{log}");
        }
    }

    fn answer(&self, mut stream: TcpStream) -> Result<()> {
        let request = read(&mut stream)?;
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let (mode, lifetime) = *lock(&self.0.behaviour);
        let granted = |key| -> Result<(u16, Value)> {
            let token = self.sign(key, lifetime)?;
            let lasts = lifetime.as_secs();
            let kind = "Bearer";
            Ok((200, json!({"access_token": token, "token_type": kind, "expires_in": lasts})))
        };
        let known = is_known(&request);
        let (status, body) = match mode {
            Mode::Down => return Ok(()),
            Mode::Serves if known => granted(&self.0.key)?,
            Mode::Misleads if known => granted(&self.0.other_key)?,
            _ => (401, json!({"error": "invalid_client", "error_description": "who is that?"})),
        };
        let body = body.to_string();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n");
        Ok(write!(stream, "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")?)
    }
}

/// Tells whether the request has the right client's name and secret (RFC 6749, section 2.3.1).
fn is_known(request: &str) -> bool {
    let header = |line: &&str| line.to_lowercase().starts_with("authorization: basic ");
    let Some(line) = request.lines().find(header) else { return false };
    let decoded = STANDARD.decode(line[21..].trim()).unwrap_or_default();
    let escaped = CLIENT_SECRET.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    decoded == format!("{CLIENT}:{escaped}").into_bytes()
        && request.ends_with("grant_type=client_credentials&scope=kafka")
}

fn read(stream: &mut TcpStream) -> Result<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer)?;
        request.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            (length > 0).then_some(()).context("it ended early")?;
            continue;
        };
        let head = head.to_lowercase();
        let wanted = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let wanted: usize = wanted.and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= wanted || length == 0 {
            return Ok(text.into_owned());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
