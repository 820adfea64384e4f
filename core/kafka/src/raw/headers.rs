//! A header list in librdkafka's memory.

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR as OK;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};

/// Owns a `rd_kafka_headers_t`, so that headers travel from a consumed to a produced message
/// without a copy.
#[derive(Debug)]
pub struct NativeHeaders(NonNull<sys::rd_kafka_headers_t>);

// SAFETY: a header list is plain memory without thread affinity; it is owned here and has no
// interior sharing.
unsafe impl Send for NativeHeaders {}

impl NativeHeaders {
    /// Makes an empty list with room for `capacity` headers.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        // SAFETY: no preconditions; librdkafka aborts the process where memory is out, so the
        // result is not null.
        Self(unsafe { NonNull::new_unchecked(sys::rd_kafka_headers_new(capacity)) })
    }

    /// Takes ownership of a list.
    ///
    /// # Safety
    /// `list` is a header list that nobody else destroys.
    pub(super) unsafe fn from_raw(list: *mut sys::rd_kafka_headers_t) -> Option<Self> {
        NonNull::new(list).map(Self)
    }

    /// Copies the list behind `list`.
    ///
    /// # Safety
    /// `list` is null or a live header list.
    pub(super) unsafe fn copy_of(list: *const sys::rd_kafka_headers_t) -> Option<Self> {
        if list.is_null() {
            return None;
        }
        // SAFETY: live by the contract above; the copy is a list of our own.
        unsafe { Self::from_raw(sys::rd_kafka_headers_copy(list)) }
    }

    /// Copies the list.
    #[must_use]
    pub fn copy(&self) -> Self {
        // SAFETY: our list is live; copy never answers null for a live list.
        unsafe { Self(NonNull::new_unchecked(sys::rd_kafka_headers_copy(self.0.as_ptr()))) }
    }

    /// Appends a header. A `None` value is Kafka's null value, which is not an empty one.
    pub fn push(&mut self, name: &str, value: Option<&[u8]>) {
        let (at, len) = match value {
            Some(bytes) => (bytes.as_ptr().cast::<c_void>(), bytes.len() as isize),
            None => (ptr::null(), 0),
        };
        // SAFETY: name and value are live for the call, which copies both.
        unsafe {
            sys::rd_kafka_header_add(
                self.0.as_ptr(),
                name.as_ptr().cast::<c_char>(),
                name.len() as isize,
                at,
                len,
            );
        }
    }

    /// Removes every header of this name.
    pub fn remove(&mut self, name: &CStr) {
        // SAFETY: both pointers are live for the call.
        unsafe { sys::rd_kafka_header_remove(self.0.as_ptr(), name.as_ptr()) };
    }

    /// Reads the header at `index`, in the order of the message.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        // SAFETY: our list is live as long as the borrow.
        unsafe { at(self.0.as_ptr(), index) }
    }

    /// Reads the last header of this name.
    #[must_use]
    pub fn last(&self, name: &CStr) -> Option<Option<&[u8]>> {
        // SAFETY: our list is live as long as the borrow.
        unsafe { last(self.0.as_ptr(), name) }
    }

    /// Gives the list away to a call that takes ownership.
    pub(super) fn into_raw(self) -> *mut sys::rd_kafka_headers_t {
        let list = self.0.as_ptr();
        std::mem::forget(self);
        list
    }
}

impl Drop for NativeHeaders {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { sys::rd_kafka_headers_destroy(self.0.as_ptr()) };
    }
}

/// Reads the header at `index` of a live list. Names that are not UTF-8 read as the empty name.
///
/// # Safety
/// `list` is live for `'a` and not changed meanwhile.
pub(super) unsafe fn at<'a>(
    list: *const sys::rd_kafka_headers_t,
    index: usize,
) -> Option<(&'a str, Option<&'a [u8]>)> {
    let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    // SAFETY: the out pointers are live; librdkafka fills them only when it answers OK.
    let answer =
        unsafe { sys::rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut size) };
    if answer != OK {
        return None;
    }
    // SAFETY: librdkafka keeps names NUL-terminated inside the list.
    let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default();
    // SAFETY: `value` is null or points at `size` bytes inside the list.
    Some((name, unsafe { bytes(value, size) }))
}

/// Reads the last header of a name in a live list.
///
/// # Safety
/// As for [`at`].
pub(super) unsafe fn last<'a>(
    list: *const sys::rd_kafka_headers_t,
    name: &CStr,
) -> Option<Option<&'a [u8]>> {
    let (mut value, mut size) = (ptr::null(), 0);
    // SAFETY: as in `at`.
    let answer =
        unsafe { sys::rd_kafka_header_get_last(list, name.as_ptr(), &mut value, &mut size) };
    // SAFETY: as in `at`.
    (answer == OK).then(|| unsafe { bytes(value, size) })
}

/// Makes a slice of a pointer and a length; null is `None`.
///
/// # Safety
/// `at` is null or points at `size` bytes live for `'a`.
pub(super) unsafe fn bytes<'a>(at: *const c_void, size: usize) -> Option<&'a [u8]> {
    if at.is_null() {
        return None;
    }
    // SAFETY: by the contract above.
    Some(unsafe { std::slice::from_raw_parts(at.cast::<u8>(), size) })
}
