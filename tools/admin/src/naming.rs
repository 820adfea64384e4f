//! Topics that are not ours to change: Kafka's own, and copies of another cluster's.

/// What MirrorMaker 2 keeps for itself.
const MIRROR_MAKER: [&str; 3] = ["mm2-", "heartbeats", "mirrormaker2-"];

/// Tells whether a topic belongs to Kafka or to a service beside it: its name starts with `__`,
/// or it is where a registry or Connect keeps what it knows.
///
/// A table's `{app}__changelog` is none of them: the underscores are not at the start.
#[must_use]
pub fn is_internal(topic: &str) -> bool {
    topic.starts_with("__") || topic == "_schemas"
}

/// Tells whether a topic is a copy of another cluster's, as MirrorMaker 2 names them: the name of a
/// cluster and a dot before the topic's own, or one of its own topics.
#[must_use]
pub fn is_mirror<'c>(topic: &str, mut clusters: impl Iterator<Item = &'c str>) -> bool {
    let own = MIRROR_MAKER.iter().any(|prefix| topic.starts_with(prefix));
    let is_of =
        |cluster: &str| topic.strip_prefix(cluster).is_some_and(|rest| rest.starts_with('.'));
    own || topic.starts_with("mirror.")
        || topic.ends_with(".checkpoints.internal")
        || clusters.any(is_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changelogs_are_ours_and_double_underscores_are_not() {
        for (topic, internal) in [
            ("__consumer_offsets", true),
            ("__transaction_state", true),
            ("_schemas", true),
            ("contacts__changelog", false),
            ("_mine", false),
        ] {
            assert_eq!(is_internal(topic), internal, "{topic}");
        }
    }

    #[test]
    fn mirrors_carry_the_name_of_a_cluster() {
        for (topic, mirror) in [
            ("east.orders", true),
            ("eastern.orders", false),
            ("east", false),
            ("orders.east", false),
            ("mirror.orders", true),
            ("mm2-offsets.east.internal", true),
            ("east.checkpoints.internal", true),
            ("heartbeats", true),
        ] {
            assert_eq!(is_mirror(topic, ["east", "west"].into_iter()), mirror, "{topic}");
        }
    }
}
