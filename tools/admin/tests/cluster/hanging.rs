//! A transaction that no coordinator knows of: found, told apart from one that is only open, and
//! ended.
//!
//! A client that obeys the protocol cannot leave one behind, so this one speaks it by hand, to a
//! broker that does not check (as all did before Kafka 3.6).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
    RequestHeader, ResponseHeader, TopicName, TransactionalId,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use nubium_admin::{Admin, At};
use nubium_test_kit::broker::{Broker, Options};
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::services::installed;
use nubium_test_kit::wait::{Look, eventually};
use nubium_topic::TopicPartition;

use crate::{aside, at, topic};

const UNCHECKED: &str = "transaction.partition.verification.enable=false";
const ID: &str = "left-behind";

/// Sends one request on a connection of its own.
fn ask<R: Encodable + HeaderVersion, A: Decodable + HeaderVersion>(
    broker: &str,
    key: ApiKey,
    version: i16,
    request: &R,
) -> Result<A> {
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    let header =
        RequestHeader::default().with_request_api_key(key as i16).with_request_api_version(version);
    header.encode(&mut frame, R::header_version(version)).map_err(|error| anyhow!("{error}"))?;
    request.encode(&mut frame, version).map_err(|error| anyhow!("{error}"))?;
    let length = i32::try_from(frame.len() - 4)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    let mut stream = TcpStream::connect(broker)?;
    stream.write_all(&frame)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
    stream.read_exact(&mut answer)?;
    let mut answer = Bytes::from(answer);
    ResponseHeader::decode(&mut answer, A::header_version(version))
        .map_err(|error| anyhow!("{error}"))?;
    A::decode(&mut answer, version).map_err(|error| anyhow!("{error}"))
}

/// Writes a transactional record without telling the coordinator; gives the producer's id.
fn leave_behind(broker: &str, topic: &str) -> Result<i64> {
    let id = || TransactionalId(ID.into());
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(id()))
        .with_transaction_timeout_ms(60_000);
    // The coordinator's topic may still be in the making.
    let made = eventually("a coordinator", DEADLINE, || {
        match ask::<_, InitProducerIdResponse>(broker, ApiKey::InitProducerId, 4, &request) {
            Ok(made) if matches!(made.error_code, 14..=16) => {
                Look::NotYet(format!("error {}", made.error_code))
            }
            made => Look::Ready(made),
        }
    })??;
    ensure!(made.error_code == 0, "error {}", made.error_code);
    let record = Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: made.producer_id.0,
        producer_epoch: made.producer_epoch,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: 0,
        timestamp: 1_000,
        key: None,
        value: Some(Bytes::from_static(b"x")),
        headers: IndexMap::new(),
    };
    let mut records = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut records, [&record], &options).map_err(|e| anyhow!("{e}"))?;
    let partition = PartitionProduceData::default().with_records(Some(records.freeze()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(topic.to_owned().into()))
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_transactional_id(Some(id()))
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    let wrote: ProduceResponse = ask(broker, ApiKey::Produce, 9, &request)?;
    let code = wrote.responses[0].partition_responses[0].error_code;
    ensure!(code == 0, "the broker refuses the record: error {code}");
    Ok(made.producer_id.0)
}

#[tokio::test]
async fn a_hanging_transaction_is_found_and_ended() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let options = Options { heap_mb: 512, properties: UNCHECKED.into(), ..Options::default() };
    let broker = aside(|| Broker::start(&installed()?, dir.path(), &options))?;
    let admin = Admin::connect(&at(&broker.bootstrap()), "hanging").await?;
    let name = topic(&admin, "admin-hanging", 1).await?;
    // Makes the coordinator's topic.
    let _ = admin.describe_transaction(ID).await;
    let producer = aside(|| leave_behind(&broker.bootstrap(), &name))?;
    let at = TopicPartition::new(&name, 0);
    let stable = async || -> Result<_> { Ok(admin.offsets(&[at], At::LastStable).await?[&at]) };
    assert_eq!(stable().await?, Some(0), "readers are stuck");
    let hour = Duration::from_secs(3_600);
    let found = admin.hanging_transactions(&[at], hour, i64::MAX).await?;
    let [hanging] = &found[..] else { panic!("{found:?}") };
    assert_eq!((hanging.partition, hanging.producer.producer), (at, producer));
    assert_eq!(hanging.id.as_deref(), Some(ID), "the coordinator knows the id, as idle");
    // Its record is from 1970; a younger one is left alone.
    assert_eq!(admin.hanging_transactions(&[at], hour, 2_000).await?, []);
    admin.abort_transaction(at, &hanging.producer).await?;
    assert_eq!(stable().await?, Some(2), "the record and the marker");
    assert_eq!(admin.hanging_transactions(&[at], hour, i64::MAX).await?, []);
    Ok(())
}
