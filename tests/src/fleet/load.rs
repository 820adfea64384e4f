//! Posts forms at a steady rate, each again with its key until it is answered 200.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::http;

const PATIENCE: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(200);
/// So many posts may wait for their answers; more would be another load.
const SENDERS: u32 = 32;

/// What was posted so far.
#[derive(Debug, Default)]
struct Posted {
    next: AtomicU32,
    accepted: Mutex<BTreeSet<String>>,
    repeated: AtomicU32,
    over: AtomicBool,
}

/// A load of forms.
#[derive(Debug)]
pub struct Load {
    posted: Arc<Posted>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts it: so many forms a second to `/forms` of the receiver, with its API key.
    pub fn start(receiver: SocketAddr, api_key: &str, rate: u32) -> Self {
        let posted = Arc::new(Posted::default());
        let start = Instant::now();
        let sender = |_| {
            let (posted, api_key) = (Arc::clone(&posted), api_key.to_owned());
            thread::spawn(move || {
                while !posted.over.load(Ordering::Acquire) {
                    let number = posted.next.fetch_add(1, Ordering::Relaxed);
                    let due = start + Duration::from_secs(1) * number / rate;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    posted.post(receiver, &api_key, number);
                }
            })
        };
        let senders = (0..SENDERS).map(sender).collect();
        Self { posted, senders }
    }

    /// Stops it once every form that was begun is answered; gives the accepted keys.
    pub fn stop(self) -> BTreeSet<String> {
        self.posted.over.store(true, Ordering::Release);
        self.senders.into_iter().for_each(|sender| drop(sender.join()));
        self.posted.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a form had to be posted again.
    pub fn repeated(&self) -> u32 {
        self.posted.repeated.load(Ordering::Relaxed)
    }
}

/// Posts a form that the funnel's program refuses; tells whether it was accepted.
pub fn post_bad(receiver: SocketAddr, api_key: &str, key: &str) -> bool {
    let body = format!(r#"{{"email": "{key}", "country": "no"}}"#);
    let headers = format!("x-api-key: {api_key}\r\nidempotency-key: {key}\r\n");
    let answer = http::post(receiver, "/forms", &headers, &body, PATIENCE);
    answer.is_ok_and(|answer| answer.status == 200)
}

impl Posted {
    fn post(&self, receiver: SocketAddr, api_key: &str, number: u32) {
        let key = format!("form-{number:06}@example.org");
        let body = format!(r#"{{"email": "{key}", "name": "Form {number}", "country": "no"}}"#);
        let headers = format!("x-api-key: {api_key}\r\nidempotency-key: form-{number}\r\n");
        loop {
            match http::post(receiver, "/forms", &headers, &body, PATIENCE) {
                Ok(answer) if answer.status == 200 => break,
                // Refused, or cut off: the same key again.
                _ => drop(self.repeated.fetch_add(1, Ordering::Relaxed)),
            }
            thread::sleep(AGAIN);
        }
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }
}
