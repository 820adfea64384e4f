//! The ids of topics, which rdkafka's admin client does not tell.

use super::millis;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka_sys as sys;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

/// Asks for the id that the cluster gave to a topic when it was made: a topic that was deleted and
/// made anew has another one. `None`: the cluster does not say, being too old, or in time.
pub fn topic_id<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    limit: Duration,
) -> Option<String> {
    let name = CString::new(topic).ok()?;
    let mut names: [*const c_char; 1] = [name.as_ptr()];
    let rk = consumer.client().native_ptr();
    // SAFETY: the client is live; collection, options, queue and event are made here, used while
    // they live and destroyed once; what is read of the event is copied before that. The names are
    // copied by the collection.
    unsafe {
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1);
        let queue = sys::rd_kafka_queue_new(rk);
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = sys::rd_kafka_AdminOptions_new(rk, kind);
        let mut text = [0; 256];
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis(limit),
            text.as_mut_ptr(),
            text.len(),
        );
        sys::rd_kafka_DescribeTopics(rk, topics, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, millis(limit));
        let id = id_in(event);
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_TopicCollection_destroy(topics);
        id
    }
}

/// Reads the id of the first topic described.
///
/// # Safety
/// `event` is null or a live event.
unsafe fn id_in(event: *mut sys::rd_kafka_event_t) -> Option<String> {
    // SAFETY: every pointer is checked before it is read, and lives as long as the event.
    unsafe {
        if event.is_null() {
            return None;
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if topics.is_null() || count == 0 {
            return None;
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(*topics);
        let text = if id.is_null() { ptr::null() } else { sys::rd_kafka_Uuid_base64str(id) };
        if text.is_null() {
            return None;
        }
        let text = CStr::from_ptr(text).to_str().ok()?;
        // All zero: the broker knows no ids.
        (!text.trim_start_matches('A').is_empty()).then(|| text.to_owned())
    }
}
