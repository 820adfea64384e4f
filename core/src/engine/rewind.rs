//! Where to start again after a transaction failed. Pure.

use crate::message::Message;
use crate::topic::{Offsets, TopicPartition};

/// Lowers each partition's start to its first message.
pub(crate) fn lower_to<'m>(plan: &mut Offsets, messages: impl IntoIterator<Item = &'m Message>) {
    for message in messages {
        plan.lower(message.topic_partition(), message.offset());
    }
}

/// Plans a rewind: for each partition that is still ours, the first offset of all that was consumed
/// and is not committed, wherever it lies.
pub(crate) fn plan<'m>(
    parts: &[&Offsets],
    inbox: impl IntoIterator<Item = &'m Message>,
    ours: impl Fn(TopicPartition) -> bool,
) -> Offsets {
    let mut plan = Offsets::default();
    for (at, offset) in parts.iter().flat_map(|part| part.iter()) {
        plan.lower(at, offset);
    }
    lower_to(&mut plan, inbox);
    plan.retain(ours);
    plan
}

/// Plans a rewind to what the group has committed: the truth when the fate of a transaction is
/// unknown. A partition with nothing committed starts where its first uncommitted message was.
pub(crate) fn to_committed(plan: &Offsets, committed: &Offsets) -> Offsets {
    plan.iter().map(|(at, first)| (at, committed.get(at).unwrap_or(first))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageBody;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn offsets(list: &[(i32, i64)]) -> Offsets {
        list.iter().map(|(p, o)| (at(*p), *o)).collect()
    }

    #[test]
    fn the_earliest_of_all_places_for_every_partition_still_ours() {
        let (in_flight, outbox) = (offsets(&[(0, 5), (1, 7)]), offsets(&[(0, 9), (2, 3)]));
        let inbox =
            [(2, 8), (3, 1), (3, 2)].map(|(p, o)| Message::owned(at(p), o, MessageBody::default()));
        let plan = plan(&[&in_flight, &outbox], &inbox, |tp| tp.partition != 1);
        assert_eq!(plan, offsets(&[(0, 5), (2, 3), (3, 1)]));
    }

    #[test]
    fn committed_offsets_win_where_there_are_some() {
        let plan = offsets(&[(0, 5), (1, 7)]);
        assert_eq!(to_committed(&plan, &offsets(&[(0, 9)])), offsets(&[(0, 9), (1, 7)]));
    }
}
