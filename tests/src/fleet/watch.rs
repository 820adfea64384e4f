//! Watches what comes out of each service: which message, on which partition, when.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;

/// The topics of the pipeline, in order.
pub const TOPICS: [&str; 4] = ["forms", "contacts", "contact_changes", FAILURES];
/// Where messages go that failed.
pub const FAILURES: &str = "contacts_failure";
/// What the API has taken, as if it were a topic.
pub const API: &str = "API";

/// One message that came out.
#[derive(Debug, Clone)]
struct Seen {
    lane: i32,
    at: Instant,
}

/// Everything that came out so far.
#[derive(Debug, Default)]
pub struct Log {
    seen: BTreeMap<&'static str, Vec<Seen>>,
    /// How often each key came, by topic.
    counts: BTreeMap<&'static str, HashMap<String, u32>>,
    /// The partition that a key's message had before the API took it.
    lanes: HashMap<String, i32>,
}

/// Reads all topics of the pipeline until it is dropped.
#[derive(Debug)]
pub struct Watch {
    log: Arc<Mutex<Log>>,
    over: Arc<AtomicBool>,
}

impl Watch {
    /// Begins at the beginning of all topics.
    ///
    /// # Errors
    /// There is no consumer to be had.
    pub fn start(bootstrap: &str) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "watch")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("topic.metadata.refresh.interval.ms", "1000")
            .set("fetch.wait.max.ms", "50")
            // A broker that is killed is part of the story.
            .set("log_level", "0")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
            .create()?;
        consumer.subscribe(&TOPICS)?;
        let (log, over) = (Arc::new(Mutex::new(Log::default())), Arc::new(AtomicBool::new(false)));
        thread::spawn({
            let (log, over) = (Arc::clone(&log), Arc::clone(&over));
            move || {
                while !over.load(Ordering::Acquire) {
                    // An error passes, or shows in what is counted at the end.
                    let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
                        continue;
                    };
                    let topic = TOPICS.into_iter().find(|topic| *topic == message.topic());
                    if let (Some(topic), Some(key)) = (topic, key(message.key())) {
                        lock(&log).add(topic, message.partition(), key);
                    }
                }
            }
        });
        Ok(Self { log, over })
    }

    /// Notes that the API has taken a message, at most once for each.
    pub fn taken(&self) -> impl Fn(&str) + Send + 'static {
        let log = Arc::clone(&self.log);
        move |key: &str| {
            let mut log = lock(&log);
            let lane = log.lanes.get(key).copied().unwrap_or(-1);
            log.add(API, lane, key.to_owned());
        }
    }

    /// How many different keys came out somewhere.
    pub fn count(&self, topic: &str) -> usize {
        lock(&self.log).counts.get(topic).map_or(0, HashMap::len)
    }

    /// The keys that came out somewhere.
    pub fn keys(&self, topic: &str) -> BTreeSet<String> {
        let log = lock(&self.log);
        log.counts.get(topic).into_iter().flat_map(|counts| counts.keys().cloned()).collect()
    }

    /// The keys that came out more than once.
    pub fn doubled(&self, topic: &str) -> Vec<String> {
        let log = lock(&self.log);
        let counts = log.counts.get(topic).into_iter().flatten();
        counts.filter(|(_, count)| **count > 1).map(|(key, _)| key.clone()).collect()
    }

    /// The longest time in which one partition gave nothing, touching the time between the two.
    pub fn pause(&self, topic: &str, from: Instant, to: Instant) -> Duration {
        let log = lock(&self.log);
        let mut lanes: BTreeMap<i32, Vec<Instant>> = BTreeMap::new();
        for seen in log.seen.get(topic).into_iter().flatten() {
            lanes.entry(seen.lane).or_default().push(seen.at);
        }
        lanes.values().map(|times| longest(times, from, to)).max().unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

impl Log {
    fn add(&mut self, topic: &'static str, lane: i32, key: String) {
        self.seen.entry(topic).or_default().push(Seen { lane, at: Instant::now() });
        if topic == "contact_changes" {
            self.lanes.insert(key.clone(), lane);
        }
        *self.counts.entry(topic).or_default().entry(key).or_default() += 1;
    }
}

/// The longest gap between two of these times that overlaps the span.
fn longest(times: &[Instant], from: Instant, to: Instant) -> Duration {
    let gaps = times.windows(2).filter(|pair| pair[1] > from && pair[0] < to);
    gaps.map(|pair| pair[1].duration_since(pair[0])).max().unwrap_or_default()
}

/// Reads a key in the registry's frame: five bytes, the text's length in one, the text.
fn key(framed: Option<&[u8]>) -> Option<String> {
    String::from_utf8(framed?.get(6..)?.to_vec()).ok()
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_one_that_touches_the_span() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let times = [at(0), at(9), at(10), at(14), at(15), at(29)];
        assert_eq!(longest(&times, at(10), at(15)), Duration::from_secs(4));
        assert_eq!(longest(&times, at(10), at(16)), Duration::from_secs(14));
    }
}
