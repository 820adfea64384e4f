//! Basic auth against bcrypt hashes.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// bcrypt is slow on purpose; this many at a time leave the CPU to those who are known.
const AT_A_TIME: usize = 1;
/// Verified logins that are remembered. There are as many as users, unless passwords change.
const REMEMBERED: usize = 1000;
/// Verifies logins and remembers those that were right.
pub(super) struct Verifier {
    right: Mutex<HashSet<[u8; 32]>>,
    turns: Semaphore,
}

impl Verifier {
    pub(super) fn new() -> Self {
        Self { right: Mutex::default(), turns: Semaphore::new(AT_A_TIME) }
    }

    /// Checks the header `Authorization`.
    pub(super) async fn check(
        &self,
        users: &BTreeMap<String, String>,
        headers: &HeaderMap,
    ) -> Result<(), StatusCode> {
        let (user, password) = credentials(headers).ok_or(StatusCode::UNAUTHORIZED)?;
        let known = users.get(&user);
        // An unknown user is compared with somebody's hash, so that it takes as long.
        let hash = known.or(users.values().next()).cloned().unwrap_or_default();
        let print = fingerprint(&user, &password, &hash);
        if known.is_some() && self.remembered().contains(&print) {
            return Ok(());
        }
        let _turn = self.turns.acquire().await.map_err(|_| StatusCode::UNAUTHORIZED)?;
        let verified = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash)).await;
        let right = known.is_some() && matches!(verified, Ok(Ok(true)));
        if !right {
            return Err(StatusCode::UNAUTHORIZED);
        }
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(print);
        Ok(())
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A changed hash makes another fingerprint, so an old password is not remembered as right.
fn fingerprint(user: &str, password: &str, hash: &str) -> [u8; 32] {
    let mut sum = Sha256::new();
    for part in [user, password, hash] {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    sum.finalize().into()
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
