//! Tokens for clients (SASL/OAUTHBEARER). rdkafka's way, a callback on polling, leaves out clients
//! that are never polled, knows no extensions, and is late where an app function works for long.

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

/// A client that tokens can be handed to, from any thread; nothing happens when it is gone.
pub struct TokenTarget(Mutex<Option<NonNull<sys::rd_kafka_t>>>);

// SAFETY: librdkafka's token calls lock inside and may come from any thread; the pointer is only
// used under the lock, and taken away under it before the client goes.
unsafe impl Send for TokenTarget {}
// SAFETY: as above.
unsafe impl Sync for TokenTarget {}

impl TokenTarget {
    /// Hands over a token that ends at `until`, in milliseconds since the epoch.
    ///
    /// # Errors
    /// librdkafka refuses it, in its words.
    pub fn set(
        &self,
        token: &str,
        until: i64,
        principal: &str,
        extensions: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let text = |text: &str| CString::new(text).map_err(|_| "it holds a NUL".to_owned());
        let (token, principal) = (text(token)?, text(principal)?);
        let pairs = extensions.iter().flat_map(|(name, value)| [name, value]);
        let pairs = pairs.map(|part| text(part)).collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<*const c_char> = pairs.iter().map(|part| part.as_ptr()).collect();
        let mut error = [0 as c_char; 512];
        let client = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(client) = *client else { return Ok(()) };
        // SAFETY: the client is live while the lock is held; all texts outlive the call, which
        // copies them; the error is written within its size.
        let code = unsafe {
            sys::rd_kafka_oauthbearer_set_token(
                client.as_ptr(),
                token.as_ptr(),
                until,
                principal.as_ptr(),
                if pointers.is_empty() { ptr::null_mut() } else { pointers.as_mut_ptr() },
                pointers.len(),
                error.as_mut_ptr(),
                error.len(),
            )
        };
        match code {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            // SAFETY: librdkafka ends what it writes with a NUL; it was zero before.
            _ => Err(unsafe { CStr::from_ptr(error.as_ptr()) }.to_string_lossy().into_owned()),
        }
    }

    /// Tells the client why there is no token: it becomes an error event.
    pub fn fail(&self, why: &str) {
        let Ok(why) = CString::new(why) else { return };
        let client = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = *client {
            // SAFETY: the client is live while the lock is held; the text is copied.
            unsafe { sys::rd_kafka_oauthbearer_set_token_failure(client.as_ptr(), why.as_ptr()) };
        }
    }
}

/// Takes the pointer away before the client goes.
struct Lease(Arc<TokenTarget>);

impl Drop for Lease {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A client that may be handed tokens for as long as it lives.
pub struct Keyed<T> {
    // Before the client, which must outlive it.
    lease: Option<Lease>,
    client: T,
}

impl<T> Keyed<T> {
    /// Wraps a client that needs no tokens.
    pub fn without(client: T) -> Self {
        Self { lease: None, client }
    }

    /// Wraps a client; `of` finds librdkafka's in it.
    pub fn new<C: ClientContext>(
        client: T,
        of: impl for<'a> FnOnce(&'a T) -> &'a Client<C>,
    ) -> Self {
        let handle = NonNull::new(of(&client).native_ptr());
        Self { lease: Some(Lease(Arc::new(TokenTarget(Mutex::new(handle))))), client }
    }

    /// Where its tokens are handed to, if it needs any.
    pub fn target(&self) -> Option<Arc<TokenTarget>> {
        self.lease.as_ref().map(|lease| Arc::clone(&lease.0))
    }
}

impl<T> Deref for Keyed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.client
    }
}
