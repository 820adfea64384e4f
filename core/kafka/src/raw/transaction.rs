//! The transactional calls, straight to librdkafka.

use super::error::RawError;
use super::headers::NativeHeaders;
use super::millis;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;
use std::ffi::{CString, c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::Duration;

/// A topic as the producer knows it; saves a look-up by name for every record.
pub struct ProducerTopic(NonNull<sys::rd_kafka_topic_t>);

// SAFETY: topic objects are reference counted and locked inside librdkafka.
unsafe impl Send for ProducerTopic {}

impl Drop for ProducerTopic {
    fn drop(&mut self) {
        // SAFETY: our reference, dropped once.
        unsafe { sys::rd_kafka_topic_destroy(self.0.as_ptr()) };
    }
}

/// A record to send, without its headers.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The partition; a negative one leaves the choice to the partitioner.
    pub partition: i32,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the epoch, or 0 for now.
    pub timestamp: i64,
    /// What its delivery report says of it.
    pub index: usize,
}

/// A record that librdkafka did not take, with the headers it was given.
pub struct Unsent {
    /// Why.
    pub code: RDKafkaErrorCode,
    /// The headers, still ours.
    pub headers: Option<NativeHeaders>,
}

/// Offers the calls on a producer whose delivery reports another thread serves
/// ([`ThreadedProducer`] has one). Each blocks for up to its limit; none may run beside another of
/// the same producer.
pub struct TransactionCalls<C: ProducerContext + 'static>(ThreadedProducer<C>);

impl<C: ProducerContext + 'static> TransactionCalls<C> {
    /// Wraps a producer.
    #[must_use]
    pub fn new(producer: ThreadedProducer<C>) -> Self {
        Self(producer)
    }

    /// The producer itself.
    pub fn producer(&self) -> &ThreadedProducer<C> {
        &self.0
    }

    fn rk(&self) -> *mut sys::rd_kafka_t {
        self.0.client().native_ptr()
    }

    /// Gets a producer id and epoch, fences older producers of the same `transactional.id` and ends
    /// their transaction.
    ///
    /// # Errors
    /// Retriable: call again.
    pub fn init(&self, limit: Duration) -> Result<(), RawError> {
        // SAFETY: the client is live; the error is handed over.
        unsafe { RawError::check(sys::rd_kafka_init_transactions(self.rk(), millis(limit))) }
    }

    /// Begins a transaction. No network.
    ///
    /// # Errors
    /// The producer is fenced or in the wrong state.
    pub fn begin(&self) -> Result<(), RawError> {
        // SAFETY: as in `init`.
        unsafe { RawError::check(sys::rd_kafka_begin_transaction(self.rk())) }
    }

    /// Adds offsets to the transaction, with the group's metadata of this moment (KIP-447): a
    /// cached one is refused after the next rebalance.
    ///
    /// # Errors
    /// Not resumable: after a time-out the transaction must be aborted.
    pub fn send_offsets<D: ConsumerContext>(
        &self,
        offsets: &TopicPartitionList,
        consumer: &BaseConsumer<D>,
        limit: Duration,
    ) -> Result<(), RawError> {
        // SAFETY: both clients are live; the metadata is destroyed after the call that reads it.
        unsafe {
            let group = sys::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
            if group.is_null() {
                return Err(RawError {
                    code: RDKafkaErrorCode::UnknownMemberId,
                    text: "the consumer is not in its group".into(),
                    fatal: false,
                    retriable: false,
                    requires_abort: true,
                });
            }
            let answer = sys::rd_kafka_send_offsets_to_transaction(
                self.rk(),
                offsets.ptr(),
                group,
                millis(limit),
            );
            sys::rd_kafka_consumer_group_metadata_destroy(group);
            RawError::check(answer)
        }
    }

    /// Flushes and commits.
    ///
    /// # Errors
    /// Retriable: call again, and nothing else.
    pub fn commit(&self, limit: Duration) -> Result<(), RawError> {
        // SAFETY: as in `init`.
        unsafe { RawError::check(sys::rd_kafka_commit_transaction(self.rk(), millis(limit))) }
    }

    /// Purges what is queued and aborts.
    ///
    /// # Errors
    /// Retriable: call again, and nothing else.
    pub fn abort(&self, limit: Duration) -> Result<(), RawError> {
        // SAFETY: as in `init`.
        unsafe { RawError::check(sys::rd_kafka_abort_transaction(self.rk(), millis(limit))) }
    }

    /// Makes the handle of a topic.
    ///
    /// # Errors
    /// The name is no topic's name.
    pub fn topic(&self, name: &str) -> Result<ProducerTopic, RDKafkaErrorCode> {
        let name = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: the client is live and the name NUL-terminated; null configuration means the
        // client's defaults.
        let topic = unsafe { sys::rd_kafka_topic_new(self.rk(), name.as_ptr(), ptr::null_mut()) };
        NonNull::new(topic).map(ProducerTopic).ok_or(RDKafkaErrorCode::InvalidTopic)
    }

    /// Sends what is queued and waits until the broker has answered for all of it. What failed was
    /// reported before this returns.
    ///
    /// # Errors
    /// Not all was answered in time.
    pub fn flush(&self, limit: Duration) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: the client is live; the producer's own thread serves the reports.
        match unsafe { sys::rd_kafka_flush(self.rk(), millis(limit)) } {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(code.into()),
        }
    }

    /// Queues a copy of a record. Never blocks.
    ///
    /// # Errors
    /// `QueueFull`: try again in a moment; anything else: this record cannot be sent.
    pub fn send(
        &self,
        topic: &ProducerTopic,
        record: Outgoing<'_>,
        headers: Option<NativeHeaders>,
    ) -> Result<(), Unsent> {
        use sys::rd_kafka_vtype_t as tag;
        let Outgoing { partition, key, value, timestamp, index } = record;
        let (key_at, key_len) = parts(key);
        let (value_at, value_len) = parts(value);
        let list = headers.map_or(ptr::null_mut(), NativeHeaders::into_raw);
        // SAFETY: every argument has the type librdkafka documents for the tag before it, and END
        // closes the list. Key and value are copied (F_COPY). On success librdkafka owns the header
        // list, otherwise it stays ours; a null list means no headers.
        let code = unsafe {
            sys::rd_kafka_producev(
                self.rk(),
                tag::RD_KAFKA_VTYPE_RKT as c_int,
                topic.0.as_ptr(),
                tag::RD_KAFKA_VTYPE_PARTITION as c_int,
                partition,
                tag::RD_KAFKA_VTYPE_MSGFLAGS as c_int,
                sys::RD_KAFKA_MSG_F_COPY,
                tag::RD_KAFKA_VTYPE_VALUE as c_int,
                value_at,
                value_len,
                tag::RD_KAFKA_VTYPE_KEY as c_int,
                key_at,
                key_len,
                tag::RD_KAFKA_VTYPE_TIMESTAMP as c_int,
                timestamp,
                tag::RD_KAFKA_VTYPE_HEADERS as c_int,
                list,
                tag::RD_KAFKA_VTYPE_OPAQUE as c_int,
                index as *mut c_void,
                tag::RD_KAFKA_VTYPE_END as c_int,
            )
        };
        if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(());
        }
        // SAFETY: refused, so the list is still ours.
        Err(Unsent { code: code.into(), headers: unsafe { NativeHeaders::from_raw(list) } })
    }
}

fn parts(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    bytes.map_or((ptr::null_mut(), 0), |b| (b.as_ptr().cast_mut().cast(), b.len()))
}
