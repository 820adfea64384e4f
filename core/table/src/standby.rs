//! Who follows which partition. Pure.
//!
//! Every instance computes the same from the group's own description, so that nothing has to be
//! agreed: of the members that do not own a partition, those follow it that come first by a hash of
//! partition and name.

use super::reader::murmur2;
use super::source::Member;

/// The partitions that the instance with these client ids follows.
pub(super) fn followed(
    members: &[Member],
    own: &[String],
    partitions: i32,
    replicas: usize,
) -> Vec<i32> {
    let follows = |partition: &i32| {
        let mut others: Vec<&Member> =
            members.iter().filter(|member| !member.partitions.contains(partition)).collect();
        others.sort_by_key(|member| (rank(*partition, &member.client_id), &member.client_id));
        others.iter().take(replicas).any(|member| own.contains(&member.client_id))
    };
    let owned = |partition: &i32| {
        let ours = |member: &&Member| own.contains(&member.client_id);
        members.iter().filter(ours).any(|member| member.partitions.contains(partition))
    };
    (0..partitions).filter(|partition| !owned(partition) && follows(partition)).collect()
}

fn rank(partition: i32, name: &str) -> u32 {
    murmur2(format!("{partition}/{name}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn group(owners: &[usize], members: usize) -> Vec<Member> {
        let owned = |m: usize| (0..).zip(owners).filter(move |(_, o)| **o == m).map(|(p, _)| p);
        let member = |m| Member { client_id: format!("app-{m}"), partitions: owned(m).collect() };
        (0..members).map(member).collect()
    }

    #[test]
    fn with_two_instances_each_follows_what_the_other_owns() {
        let members = group(&[0, 1, 0, 1], 2);
        assert_eq!(followed(&members, &["app-0".into()], 4, 1), [1, 3]);
        assert_eq!(followed(&members, &["app-1".into()], 4, 1), [0, 2]);
        assert_eq!(followed(&members, &["app-0".into()], 4, 0), [0; 0]);
        assert_eq!(followed(&members[..1], &["app-0".into()], 4, 1), [1, 3], "the owner is gone");
    }

    proptest! {
        #[test]
        fn every_partition_has_as_many_followers_as_can_be(
            owners in proptest::collection::vec(0..4_usize, 1..12), members in 1..5_usize,
            replicas in 0..4_usize,
        ) {
            let owners: Vec<_> = owners.iter().map(|owner| owner % members).collect();
            let group = group(&owners, members);
            let count = i32::try_from(owners.len()).unwrap();
            let mut followers = vec![0; owners.len()];
            for member in &group {
                let own = std::slice::from_ref(&member.client_id);
                for partition in followed(&group, own, count, replicas) {
                    prop_assert!(!member.partitions.contains(&partition));
                    followers[partition as usize] += 1;
                }
            }
            prop_assert!(followers.iter().all(|n| *n == replicas.min(members - 1)));
        }
    }
}
