//! Errors of librdkafka's transactional calls.

use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;
use std::ffi::CStr;
use std::fmt;

/// Holds one `rd_kafka_error_t`: code, text and the three flags that say what the caller must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawError {
    /// The error code.
    pub code: RDKafkaErrorCode,
    /// librdkafka's own words.
    pub text: String,
    /// The producer instance is dead.
    pub fatal: bool,
    /// The same call may be repeated.
    pub retriable: bool,
    /// The transaction must be aborted.
    pub requires_abort: bool,
}

impl RawError {
    /// Makes an error from what a call answered, or `Ok` where it answered none. Takes ownership of
    /// it.
    ///
    /// # Safety
    /// `error` is null or an `rd_kafka_error_t` that nobody else destroys.
    pub(super) unsafe fn check(error: *mut sys::rd_kafka_error_t) -> Result<(), RawError> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: not null, and ours by the contract above; its text is copied before it is
        // destroyed.
        let made = unsafe {
            let made = RawError {
                code: sys::rd_kafka_error_code(error).into(),
                text: CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into(),
                fatal: sys::rd_kafka_error_is_fatal(error) != 0,
                retriable: sys::rd_kafka_error_is_retriable(error) != 0,
                requires_abort: sys::rd_kafka_error_txn_requires_abort(error) != 0,
            };
            sys::rd_kafka_error_destroy(error);
            made
        };
        Err(made)
    }
}

impl fmt::Display for RawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.text, self.code)
    }
}

impl std::error::Error for RawError {}
