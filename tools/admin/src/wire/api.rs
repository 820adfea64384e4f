//! The requests that are sent: each with its answer, its number, and whether it only reads.

use kafka_protocol::messages as m;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

/// A request that a broker is asked.
///
/// kafka-protocol has such a trait too, but only together with the broker's half of every message,
/// which would double what is compiled.
pub(crate) trait Ask: Encodable + HeaderVersion + Sync {
    /// What comes back.
    type Answer: Decodable + HeaderVersion;
    /// Its number in the protocol.
    const KEY: ApiKey;
    /// The newest version to use; some newer ones want topics by id, which we have not.
    const NEWEST: i16;
    /// Whether it may be sent twice without harm.
    const READS: bool;

    /// The error codes in an answer that may tell of the wrong broker.
    fn codes(answer: &Self::Answer) -> Vec<i16>;

    /// The versions that are spoken.
    fn versions() -> (i16, i16) {
        let valid = Self::KEY.valid_versions();
        (valid.min, valid.max.min(Self::NEWEST))
    }
}

macro_rules! api {
    ($($key:ident $newest:literal $kind:ident: $request:ident -> $answer:ident
       $(, |$a:ident| $codes:expr)?;)+) => {$(
        impl Ask for m::$request {
            type Answer = m::$answer;
            const KEY: ApiKey = ApiKey::$key;
            const NEWEST: i16 = $newest;
            const READS: bool = api!(@ $kind);

            fn codes(answer: &Self::Answer) -> Vec<i16> {
                let _ = answer;
                $(let $a = answer; return $codes;)?
                #[allow(unreachable_code, reason = "requests whose answers have no such code")]
                Vec::new()
            }
        }
    )+};
    (@ read) => { true };
    (@ write) => { false };
}

api! {
    ApiVersions 0 read: ApiVersionsRequest -> ApiVersionsResponse;
    SaslHandshake 1 write: SaslHandshakeRequest -> SaslHandshakeResponse;
    SaslAuthenticate 2 write: SaslAuthenticateRequest -> SaslAuthenticateResponse;
    Metadata 12 read: MetadataRequest -> MetadataResponse;
    DescribeCluster 1 read: DescribeClusterRequest -> DescribeClusterResponse;
    FindCoordinator 3 read: FindCoordinatorRequest -> FindCoordinatorResponse;
    CreateTopics 7 write: CreateTopicsRequest -> CreateTopicsResponse,
        |a| a.topics.iter().map(|topic| topic.error_code).collect();
    CreatePartitions 3 write: CreatePartitionsRequest -> CreatePartitionsResponse,
        |a| a.results.iter().map(|topic| topic.error_code).collect();
    DeleteTopics 5 write: DeleteTopicsRequest -> DeleteTopicsResponse,
        |a| a.responses.iter().map(|topic| topic.error_code).collect();
    DeleteRecords 2 write: DeleteRecordsRequest -> DeleteRecordsResponse;
    DescribeConfigs 4 read: DescribeConfigsRequest -> DescribeConfigsResponse;
    IncrementalAlterConfigs 1 write: IncrementalAlterConfigsRequest
        -> IncrementalAlterConfigsResponse,
        |a| a.responses.iter().map(|resource| resource.error_code).collect();
    ListOffsets 8 read: ListOffsetsRequest -> ListOffsetsResponse;
    ListGroups 5 read: ListGroupsRequest -> ListGroupsResponse, |a| vec![a.error_code];
    DescribeGroups 6 read: DescribeGroupsRequest -> DescribeGroupsResponse,
        |a| a.groups.iter().map(|group| group.error_code).collect();
    ConsumerGroupDescribe 1 read: ConsumerGroupDescribeRequest -> ConsumerGroupDescribeResponse,
        |a| a.groups.iter().map(|group| group.error_code).collect();
    LeaveGroup 5 write: LeaveGroupRequest -> LeaveGroupResponse, |a| vec![a.error_code];
    OffsetFetch 7 read: OffsetFetchRequest -> OffsetFetchResponse, |a| vec![a.error_code];
    OffsetCommit 9 write: OffsetCommitRequest -> OffsetCommitResponse,
        |a| a.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code).collect();
    OffsetDelete 0 write: OffsetDeleteRequest -> OffsetDeleteResponse, |a| vec![a.error_code];
    DeleteGroups 2 write: DeleteGroupsRequest -> DeleteGroupsResponse,
        |a| a.results.iter().map(|group| group.error_code).collect();
    ListTransactions 1 read: ListTransactionsRequest -> ListTransactionsResponse,
        |a| vec![a.error_code];
    DescribeTransactions 0 read: DescribeTransactionsRequest -> DescribeTransactionsResponse,
        |a| a.transaction_states.iter().map(|state| state.error_code).collect();
    // Of a producer that nobody is: see `may_use_transactional_id`.
    EndTxn 3 read: EndTxnRequest -> EndTxnResponse, |a| vec![a.error_code];
    DescribeProducers 0 read: DescribeProducersRequest -> DescribeProducersResponse;
    WriteTxnMarkers 1 write: WriteTxnMarkersRequest -> WriteTxnMarkersResponse;
    DescribeAcls 3 read: DescribeAclsRequest -> DescribeAclsResponse;
    CreateAcls 3 write: CreateAclsRequest -> CreateAclsResponse,
        |a| a.results.iter().map(|result| result.error_code).collect();
    DeleteAcls 3 write: DeleteAclsRequest -> DeleteAclsResponse,
        |a| a.filter_results.iter().map(|result| result.error_code).collect();
}
