//! A queue of our own that the partitions of a consumer are forwarded to.

use super::message::NativeMessage;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka_sys as sys;
use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

struct Handle(NonNull<sys::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues are locked inside; every call on them may come from any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: our reference, dropped once.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) };
    }
}

/// Receives the messages of the partitions forwarded to it, many at a call.
///
/// The consumer's own queue must not be read this way: librdkafka would answer rebalances found
/// there by itself. It must be dropped, with every message from it, before the consumer.
pub struct MessageQueue {
    handle: Arc<Handle>,
    slots: Vec<*mut sys::rd_kafka_message_t>,
}

// SAFETY: the slots are null between calls; librdkafka's queues may be used from any thread.
unsafe impl Send for MessageQueue {}

/// Ends a wait in [`MessageQueue::receive`] early, from any thread; a wake with nobody waiting ends
/// the next wait.
#[derive(Clone)]
pub struct QueueWaker(Arc<Handle>);

impl QueueWaker {
    /// Wakes the waiting thread.
    pub fn wake(&self) {
        // SAFETY: the queue lives as long as this reference.
        unsafe { sys::rd_kafka_queue_yield(self.0.0.as_ptr()) };
    }
}

impl MessageQueue {
    /// Makes a queue for a consumer; one call to [`Self::receive`] yields at most `at_once`
    /// messages.
    #[must_use]
    pub fn new<C: ConsumerContext>(consumer: &BaseConsumer<C>, at_once: usize) -> Self {
        // SAFETY: the client is live; librdkafka aborts where memory is out, so the queue is not
        // null.
        let handle = unsafe {
            NonNull::new_unchecked(sys::rd_kafka_queue_new(consumer.client().native_ptr()))
        };
        Self { handle: Arc::new(Handle(handle)), slots: vec![ptr::null_mut(); at_once.max(1)] }
    }

    /// Reads the consumer's own queue, where the messages of all partitions come that are assigned by
    /// hand. For a consumer that never subscribes: there are no rebalances to be found there. Nothing
    /// has to be forwarded then, which an assignment that is replaced would undo at some later
    /// moment.
    #[must_use]
    pub fn of_unsubscribed<C: ConsumerContext>(
        consumer: &BaseConsumer<C>,
        at_once: usize,
    ) -> Option<Self> {
        // SAFETY: the client is live; the queue is a reference of our own, null for a producer.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        let handle = Arc::new(Handle(NonNull::new(queue)?));
        Some(Self { handle, slots: vec![ptr::null_mut(); at_once.max(1)] })
    }

    /// Makes the handle that ends a wait.
    #[must_use]
    pub fn waker(&self) -> QueueWaker {
        QueueWaker(Arc::clone(&self.handle))
    }

    /// Forwards a partition's messages here (`on`), or stops that. Must precede every assign of the
    /// partition: an un-assign clears the forwarding, and a partition not forwarded again stays
    /// silent (librdkafka #1335).
    pub fn forward<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        topic: &str,
        partition: i32,
        on: bool,
    ) {
        let Ok(name) = CString::new(topic) else { return };
        // SAFETY: the client is live, the name NUL-terminated; the reference we get is destroyed
        // again.
        unsafe {
            let from = sys::rd_kafka_queue_get_partition(
                consumer.client().native_ptr(),
                name.as_ptr(),
                partition,
            );
            if !from.is_null() {
                let to = if on { self.handle.0.as_ptr() } else { ptr::null_mut() };
                sys::rd_kafka_queue_forward(from, to);
                sys::rd_kafka_queue_destroy(from);
            }
        }
    }

    /// Waits up to `wait` for a message, then takes all that lie there, up to the limit, without
    /// waiting more.
    ///
    /// Two calls, since `rd_kafka_consume_batch_queue` waits until the array is full or the time is
    /// over.
    pub fn receive(&mut self, wait: Duration, mut each: impl FnMut(NativeMessage)) -> usize {
        let first = if wait.is_zero() { 0 } else { self.consume(wait, 1, &mut each) };
        if !wait.is_zero() && first == 0 {
            return 0;
        }
        first + self.consume(Duration::ZERO, self.slots.len(), &mut each)
    }

    fn consume(
        &mut self,
        wait: Duration,
        most: usize,
        each: &mut impl FnMut(NativeMessage),
    ) -> usize {
        // SAFETY: the array has at least `most` slots; librdkafka fills as many as it answers.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.handle.0.as_ptr(),
                super::millis(wait),
                self.slots.as_mut_ptr(),
                most,
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        for slot in &mut self.slots[..count] {
            if let Some(message) = NonNull::new(std::mem::replace(slot, ptr::null_mut())) {
                // SAFETY: just consumed, ours to destroy.
                each(unsafe { NativeMessage::from_raw(message) });
            }
        }
        count
    }
}
