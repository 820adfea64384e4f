//! Consumer groups: who is in them, what they have committed, and setting it anew.

use std::collections::BTreeMap;

use bytes::{Buf as _, Bytes};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response as consumer;
use kafka_protocol::messages::describe_groups_response as classic;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DeleteGroupsRequest,
    DescribeGroupsRequest, GroupId, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::Decodable as _;
use nubium_topic::TopicPartition;

use crate::acl::Operations;
use crate::admin::Admin;
use crate::error::{AdminError, Refusal, check};
use crate::partitions::{by_topic, topic_name};
use crate::wire::To;

/// Names a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub id: String,
    /// `consumer` for consumers, `connect` and others for the rest.
    pub protocol: String,
    /// `Stable`, `Empty`, ...; empty before Kafka 2.6.
    pub state: String,
    /// `classic`, `consumer` (KIP-848) or `share`; empty before Kafka 3.8.
    pub kind: String,
}

/// Shows a group as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub id: String,
    /// `Stable`, `PreparingRebalance`, `Empty`, `Dead`, ...
    pub state: String,
    /// How partitions are spread over the members.
    pub assignor: String,
    /// Who is in it.
    pub members: Vec<GroupMember>,
    /// What the user who asks may do with it.
    pub operations: Operations,
}

/// Shows one member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The id that the broker gave it.
    pub id: String,
    /// Its own name, with static membership.
    pub instance: Option<String>,
    /// What its client calls itself.
    pub client: String,
    /// Where it connects from.
    pub host: String,
    /// The partitions that are its.
    pub partitions: Vec<TopicPartition>,
}

/// What a group has committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The offset that it goes on from.
    pub offset: i64,
    /// What the client wrote beside it.
    pub metadata: String,
}

impl GroupDescription {
    /// Tells whether nobody is in it, so that its offsets may be set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && matches!(&*self.state, "Empty" | "Dead")
    }
}

impl Admin {
    /// Lists the groups of all brokers, by id.
    ///
    /// # Errors
    /// A broker is lost, or refuses.
    pub async fn groups(&self) -> Result<Vec<GroupListing>, AdminError> {
        let what = "list the groups";
        let mut groups = Vec::new();
        for answer in self.network.ask_all(what, &ListGroupsRequest::default()).await? {
            check(what, answer.error_code, None)?;
            groups.extend(answer.groups.into_iter().map(|group| GroupListing {
                id: group.group_id.0.to_string(),
                protocol: group.protocol_type.to_string(),
                state: group.group_state.to_string(),
                kind: group.group_type.to_string(),
            }));
        }
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(groups)
    }

    /// Describes a group of either protocol; none if it is not there.
    ///
    /// # Errors
    /// The broker is lost, or refuses.
    pub async fn describe_group(&self, id: &str) -> Result<Option<GroupDescription>, AdminError> {
        let what = format!("describe group {id}");
        match self.describe_consumer_group(&what, id).await {
            Ok(Some(group)) => return Ok(Some(group)),
            // A broker that is too old, or a group of the other protocol.
            Ok(None) | Err(AdminError::Unsupported { .. }) => {}
            Err(error) => return Err(error),
        }
        let request = DescribeGroupsRequest::default()
            .with_groups(vec![GroupId(id.to_owned().into())])
            .with_include_authorized_operations(true);
        let answer = self.network.ask(&what, To::Group(id.into()), &request).await?;
        let Some(group) = answer.groups.into_iter().next() else { return Ok(None) };
        match Refusal::of(group.error_code, group.error_message.clone()) {
            Some(no) if no.is_missing() => Ok(None),
            Some(no) => Err(AdminError::refused(what, no)),
            None if &*group.group_state == "Dead" => Ok(None),
            None => Ok(Some(described_classic(group))),
        }
    }

    async fn describe_consumer_group(
        &self,
        what: &str,
        id: &str,
    ) -> Result<Option<GroupDescription>, AdminError> {
        let request = ConsumerGroupDescribeRequest::default()
            .with_group_ids(vec![GroupId(id.to_owned().into())])
            .with_include_authorized_operations(true);
        let answer = self.network.ask(what, To::Group(id.into()), &request).await?;
        let Some(group) = answer.groups.into_iter().next() else { return Ok(None) };
        match Refusal::of(group.error_code, group.error_message.clone()) {
            Some(no) if no.is_missing() || no.is(ResponseError::UnsupportedVersion) => Ok(None),
            Some(no) => Err(AdminError::refused(what, no)),
            None => Ok(Some(described_consumer(group))),
        }
    }

    /// Reads what a group has committed: for these partitions, or for all that it ever did.
    /// A partition without a commit is left out.
    ///
    /// # Errors
    /// The broker is lost, or refuses.
    pub async fn committed(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, Committed>, AdminError> {
        let what = format!("read the offsets of group {group}");
        let topics = partitions.map(|partitions| {
            let topics = by_topic(partitions.iter().map(|at| (*at, ())));
            let topics = topics.into_iter().map(|(name, partitions)| {
                OffsetFetchRequestTopic::default()
                    .with_name(topic_name(name))
                    .with_partition_indexes(partitions.into_iter().map(|(n, ())| n).collect())
            });
            topics.collect()
        });
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(group.to_owned().into()))
            .with_topics(topics)
            .with_groups(Vec::new());
        let answer = self.network.ask(&what, To::Group(group.into()), &request).await?;
        check(&what, answer.error_code, None)?;
        let mut committed = BTreeMap::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                let at = TopicPartition::new(topic.name.0.as_str(), partition.partition_index);
                check(format!("{what} for {at}"), partition.error_code, None)?;
                if partition.committed_offset >= 0 {
                    let metadata = partition.metadata.map(|text| text.to_string());
                    let metadata = metadata.unwrap_or_default();
                    let offset = partition.committed_offset;
                    committed.insert(at, Committed { offset, metadata });
                }
            }
        }
        Ok(committed)
    }

    /// Takes static members out of a classic group by their own names, as if they had left: their
    /// partitions go to others at once. One that is not in it is no error.
    ///
    /// # Errors
    /// The broker is lost, or refuses.
    pub async fn remove_members(&self, id: &str, names: &[String]) -> Result<(), AdminError> {
        let what = format!("take members out of group {id}");
        let member = |name: &String| {
            MemberIdentity::default().with_group_instance_id(Some(name.clone().into()))
        };
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(id.to_owned().into()))
            .with_members(names.iter().map(member).collect());
        let answer = self.network.ask(&what, To::Group(id.into()), &request).await?;
        check(&what, answer.error_code, None)?;
        for member in answer.members {
            let gone = ResponseError::UnknownMemberId.code();
            if member.error_code != gone {
                check(&what, member.error_code, None)?;
            }
        }
        Ok(())
    }

    /// Sets what a group has committed. The group must have no members: a running one would go on
    /// from where it is, and commit over it.
    ///
    /// # Errors
    /// The group is active (NON_EMPTY_GROUP), or the broker is lost or refuses a partition.
    pub async fn set_committed(
        &self,
        group: &str,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), AdminError> {
        let what = format!("set the offsets of group {group}");
        self.must_be_empty(&what, group).await?;
        let topics = by_topic(offsets.iter().copied()).into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(number, offset)| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(number)
                    .with_committed_offset(offset)
                    .with_committed_metadata(Some(Default::default()))
            });
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions.collect())
        });
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(group.to_owned().into()))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics.collect());
        let answer = self.network.ask(&what, To::Group(group.into()), &request).await?;
        for topic in answer.topics {
            for partition in topic.partitions {
                let at = TopicPartition::new(topic.name.0.as_str(), partition.partition_index);
                check(format!("{what} for {at}"), partition.error_code, None)?;
            }
        }
        Ok(())
    }

    /// Makes a group forget what it has committed for these partitions.
    ///
    /// # Errors
    /// As [`Admin::set_committed`].
    pub async fn forget_committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<(), AdminError> {
        let what = format!("delete offsets of group {group}");
        let topics = by_topic(partitions.iter().map(|at| (*at, ())));
        let topics = topics.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(number, ())| {
                OffsetDeleteRequestPartition::default().with_partition_index(number)
            });
            OffsetDeleteRequestTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions.collect())
        });
        let request = OffsetDeleteRequest::default()
            .with_group_id(GroupId(group.to_owned().into()))
            .with_topics(topics.collect());
        let answer = self.network.ask(&what, To::Group(group.into()), &request).await?;
        check(&what, answer.error_code, None)?;
        for topic in answer.topics {
            for partition in topic.partitions {
                let at = TopicPartition::new(topic.name.0.as_str(), partition.partition_index);
                check(format!("{what} for {at}"), partition.error_code, None)?;
            }
        }
        Ok(())
    }

    /// Deletes a group with all that it has committed.
    ///
    /// # Errors
    /// The group is active or not there, or the broker is lost.
    pub async fn delete_group(&self, group: &str) -> Result<(), AdminError> {
        let what = format!("delete group {group}");
        let names = vec![GroupId(group.to_owned().into())];
        let request = DeleteGroupsRequest::default().with_groups_names(names);
        let answer = self.network.ask(&what, To::Group(group.into()), &request).await?;
        answer.results.into_iter().try_for_each(|group| check(&what, group.error_code, None))
    }

    async fn must_be_empty(&self, what: &str, group: &str) -> Result<(), AdminError> {
        match self.describe_group(group).await? {
            Some(found) if !found.is_empty() => {
                let (state, count) = (&found.state, found.members.len());
                let message = Some(format!("the group is {state} with {count} members"));
                let code = ResponseError::NonEmptyGroup.code();
                Err(AdminError::refused(what, Refusal { code, message }))
            }
            _ => Ok(()),
        }
    }
}

fn described_classic(group: classic::DescribedGroup) -> GroupDescription {
    let members = group.members.into_iter().map(|member| GroupMember {
        id: member.member_id.to_string(),
        instance: member.group_instance_id.map(|id| id.to_string()),
        client: member.client_id.to_string(),
        host: member.client_host.trim_start_matches('/').to_owned(),
        partitions: assigned(member.member_assignment),
    });
    GroupDescription {
        id: group.group_id.0.to_string(),
        state: group.group_state.to_string(),
        assignor: group.protocol_data.to_string(),
        members: members.collect(),
        operations: Operations::from_bits(group.authorized_operations),
    }
}

fn described_consumer(group: consumer::DescribedGroup) -> GroupDescription {
    let members = group.members.into_iter().map(|member| {
        let topics = member.assignment.topic_partitions.into_iter();
        let partitions = topics.flat_map(|topic| {
            let name = topic.topic_name;
            let partitions = topic.partitions.into_iter();
            partitions.map(move |number| TopicPartition::new(name.0.as_str(), number))
        });
        GroupMember {
            id: member.member_id.to_string(),
            instance: member.instance_id.map(|id| id.to_string()),
            client: member.client_id.to_string(),
            host: member.client_host.trim_start_matches('/').to_owned(),
            partitions: partitions.collect(),
        }
    });
    GroupDescription {
        id: group.group_id.0.to_string(),
        state: group.group_state.to_string(),
        assignor: group.assignor_name.to_string(),
        members: members.collect(),
        operations: Operations::from_bits(group.authorized_operations),
    }
}

/// Reads a classic member's assignment; one that is not of consumers has no partitions.
fn assigned(mut bytes: Bytes) -> Vec<TopicPartition> {
    if bytes.remaining() < 2 {
        return Vec::new();
    }
    let version = bytes.get_i16();
    let Ok(assignment) = ConsumerProtocolAssignment::decode(&mut bytes, version.clamp(0, 3)) else {
        return Vec::new();
    };
    let topics = assignment.assigned_partitions.into_iter();
    let partitions = topics.flat_map(|topic| {
        let name = topic.topic;
        let partitions = topic.partitions.into_iter();
        partitions.map(move |number| TopicPartition::new(name.0.as_str(), number))
    });
    partitions.collect()
}
