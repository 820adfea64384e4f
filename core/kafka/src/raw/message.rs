//! A consumed message in librdkafka's memory.

use super::headers::{self, NativeHeaders};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR as OK;
use std::ffi::CStr;
use std::ptr::{self, NonNull};

/// Owns one `rd_kafka_message_t`. It pins the fetch buffer it lies in, so it should not be kept for
/// long.
#[derive(Debug)]
pub struct NativeMessage(NonNull<sys::rd_kafka_message_t>);

// SAFETY: librdkafka's messages belong to no thread: any one may read or destroy them. Not Sync:
// reading the headers for the first time parses them in place.
unsafe impl Send for NativeMessage {}

impl NativeMessage {
    /// Takes ownership of a message.
    ///
    /// # Safety
    /// `message` came from a consume call and nobody else destroys it; the consumer outlives it.
    pub(super) unsafe fn from_raw(message: NonNull<sys::rd_kafka_message_t>) -> Self {
        Self(message)
    }

    fn get(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: live until drop.
        unsafe { self.0.as_ref() }
    }

    /// Says why this is an error event in a message's place, if it is.
    #[must_use]
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        (self.get().err != OK).then(|| self.get().err.into())
    }

    /// Tells messages of one topic from those of another: equal for the same topic of one consumer.
    #[must_use]
    pub fn topic_handle(&self) -> usize {
        self.get().rkt as usize
    }

    /// Reads the topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        if self.get().rkt.is_null() {
            return "";
        }
        // SAFETY: the topic object lives as long as the consumer; topic names are ASCII.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.get().rkt)) }.to_str().unwrap_or("")
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.get().partition
    }

    /// The offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.get().offset
    }

    /// The key's bytes, `None` where the key is null.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        // SAFETY: the message's own memory.
        unsafe { headers::bytes(self.get().key, self.get().key_len) }
    }

    /// The value's bytes, `None` where the value is null (a tombstone).
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        // SAFETY: the message's own memory.
        unsafe { headers::bytes(self.get().payload, self.get().len) }
    }

    /// The timestamp in milliseconds since the epoch, `None` where the broker gave none.
    #[must_use]
    pub fn timestamp(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: both pointers are live.
        let at = unsafe { sys::rd_kafka_message_timestamp(self.0.as_ptr(), &mut kind) };
        (at >= 0).then_some(at)
    }

    fn list(&self) -> *mut sys::rd_kafka_headers_t {
        let mut list = ptr::null_mut();
        // SAFETY: both pointers are live. The first call parses; the list stays the message's.
        let answer = unsafe { sys::rd_kafka_message_headers(self.0.as_ptr(), &mut list) };
        if answer == OK { list } else { ptr::null_mut() }
    }

    /// Reads the header at `index`.
    #[must_use]
    pub fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        let list = self.list();
        // SAFETY: the list lives as long as the message and changes only through `&mut self`.
        if list.is_null() { None } else { unsafe { headers::at(list, index) } }
    }

    /// Reads the last header of this name.
    #[must_use]
    pub fn last_header(&self, name: &CStr) -> Option<Option<&[u8]>> {
        let list = self.list();
        // SAFETY: as in `header`.
        if list.is_null() { None } else { unsafe { headers::last(list, name) } }
    }

    /// Copies the headers.
    #[must_use]
    pub fn copy_headers(&self) -> Option<NativeHeaders> {
        // SAFETY: null or a live list.
        unsafe { NativeHeaders::copy_of(self.list()) }
    }

    /// Takes the headers out of the message; it has none afterwards.
    pub fn take_headers(&mut self) -> Option<NativeHeaders> {
        let mut list = ptr::null_mut();
        // SAFETY: both pointers are live; on OK the list is ours.
        unsafe {
            if sys::rd_kafka_message_detach_headers(self.0.as_ptr(), &mut list) != OK {
                return None;
            }
            NativeHeaders::from_raw(list)
        }
    }
}

impl NativeMessage {
    /// Replaces the headers.
    pub fn set_headers(&mut self, headers: NativeHeaders) {
        // SAFETY: both are live; the message owns the list from here on, and destroys the one that
        // it had.
        unsafe { sys::rd_kafka_message_set_headers(self.0.as_ptr(), headers.into_raw()) };
    }
}

impl Drop for NativeMessage {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) };
    }
}
