//! Topics that are not ours to change: Kafka's own, and copies of another cluster's.

/// Tells whether a topic belongs to Kafka or to a service beside it: its name starts with `__`,
/// or it is where a registry or Connect keeps what it knows.
///
/// A table's `{app}__changelog` is none of them: the underscores are not at the start.
#[must_use]
pub fn is_internal(topic: &str) -> bool {
    topic.starts_with("__") || topic == "_schemas"
}

/// Tells whether a topic is a copy of another cluster's, or MirrorMaker's own.
#[must_use]
pub fn is_mirror<'c>(topic: &str, clusters: impl Iterator<Item = &'c str>) -> bool {
    mirror(topic, clusters).is_some()
}

/// Says what a topic is that MirrorMaker 2 makes, by its name: the name of a cluster and a dot
/// before the topic's own, or one of those that MirrorMaker and Strimzi keep for themselves.
#[must_use]
pub fn mirror<'c>(topic: &str, mut clusters: impl Iterator<Item = &'c str>) -> Option<String> {
    let is_kept = |kept: &&str| {
        let rest = topic.strip_prefix("mm2-").and_then(|rest| rest.strip_prefix(*kept));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let own = topic == "heartbeats"
        || ["configs", "offsets", "offset-syncs", "status"].iter().any(is_kept)
        || topic.starts_with("mirrormaker2-cluster-")
        || topic.ends_with(".checkpoints.internal");
    let is_of =
        |cluster: &&str| topic.strip_prefix(cluster).is_some_and(|rest| rest.starts_with('.'));
    match clusters.find(is_of) {
        _ if own => Some("one of MirrorMaker's own".into()),
        Some(cluster) => Some(format!("by its name a mirror of cluster {cluster}'s")),
        None if topic.starts_with("mirror.") => Some("by its name a mirror".into()),
        None => None,
    }
}

/// Tells whether Kafka takes two names for one: its metrics have underscores for dots.
#[must_use]
pub fn collides(one: &str, other: &str) -> bool {
    one != other && one.replace('.', "_") == other.replace('.', "_")
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
            ("east.heartbeats", true),
            ("heartbeats-sensors", false),
            ("heartbeats.of.sensors", false),
            ("mm2-offset-syncs.east.internal", true),
            ("mm2-status", true),
            ("mm2-status-page", false),
            ("mm2-migration", false),
            ("mirrormaker2-cluster-offsets", true),
            ("mirrormaker2-tests", false),
        ] {
            assert_eq!(is_mirror(topic, ["east", "west"].into_iter()), mirror, "{topic}");
        }
    }

    #[test]
    fn dots_and_underscores_are_one_to_kafka() {
        assert!(collides("a.b_c", "a_b.c") && collides("z_last", "z.last"));
        assert!(!collides("a.b", "a.b") && !collides("a-b", "a_b") && !collides("a", "b"));
    }
}
