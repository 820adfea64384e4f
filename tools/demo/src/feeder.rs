//! Produces the reports, as a form service would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nubium_core::codec::{TopicEncoder, wire};
use nubium_core::config::{Cluster, Config};
use nubium_host::Stop;
use nubium_kafka::raw::Keyed;
use nubium_kafka::settings::plain_producer_properties;
use nubium_kafka::token;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use crate::BROKEN;
use crate::data::{self, Report};
use nubium_mapping::avro::Schema;

/// How far the feeder may be ahead of the app: the embedded broker forgets what lies too far back.
const AHEAD_MAX: u64 = 20_000;
/// How long the cluster may take to confirm the last of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// Feeds the reports.
pub(crate) struct Feeder {
    producer: Keyed<ThreadedProducer<DefaultProducerContext>>,
    encoder: TopicEncoder,
    fed: Arc<AtomicU64>,
}

impl Feeder {
    /// Connects; `encoder` is that of the input topic.
    ///
    /// # Errors
    /// When a setting of the client is wrong.
    pub(crate) fn new(config: &Config, cluster: &Cluster, encoder: TopicEncoder) -> Result<Self> {
        let properties = plain_producer_properties(config, cluster, 0);
        let producer: ThreadedProducer<_> =
            properties.to_client_config().create().context("Kafka producer")?;
        let producer = token::keyed(producer, |producer| producer.client(), properties.expose());
        Ok(Self { producer, encoder, fed: Arc::default() })
    }

    /// Gives the counter of what has been fed.
    pub(crate) fn fed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.fed)
    }

    /// Feeds so many reports and a few broken messages among them; `done` is how far the app is.
    ///
    /// # Errors
    /// When the cluster does not take them.
    pub(crate) fn feed(
        mut self,
        schema: &&'static Schema,
        records: u64,
        done: &AtomicU64,
        stop: &Stop,
    ) -> Result<()> {
        let reports = data::reports(schema)?.zip(1..=records);
        for (report, number) in reports {
            while number > done.load(Ordering::Relaxed) + AHEAD_MAX {
                if stop.wait_timeout(Duration::from_millis(5)) {
                    return Ok(());
                }
            }
            if stop.requested() {
                return Ok(());
            }
            let value = self.wire_value(&report);
            self.send(&report.id, &value)?;
            if number <= BROKEN {
                let id = format!("broken-{number:05}");
                self.send(&id, b"not Avro at all")?;
            }
        }
        self.confirm(stop)
    }

    /// Waits until the cluster has all that was sent.
    fn confirm(&self, stop: &Stop) -> Result<()> {
        let begun = Instant::now();
        while self.producer.in_flight_count() > 0 && !stop.requested() {
            if begun.elapsed() > PATIENCE {
                bail!("the cluster did not confirm the last reports within {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn wire_value(&self, report: &Report) -> Vec<u8> {
        let mut value = Vec::with_capacity(report.datum.len() + 5);
        wire::put_header(self.encoder.value_id(), &mut value);
        value.extend_from_slice(&report.datum);
        value
    }

    fn send(&mut self, id: &str, value: &[u8]) -> Result<()> {
        let mut key = Vec::new();
        self.encoder.encode_key(id, &mut key);
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new()
            .insert(header("guid", id))
            .insert(header("last_updated_by", "strike-form"));
        let topic = self.encoder.topic().to_owned();
        let mut record = BaseRecord::to(&topic).key(&key).payload(value).headers(headers);
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(error).context("producing a report"),
            }
        }
        self.fed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
