//! The consumer group of the broker in memory: who has which partition, and who gets it next.

use super::broker::{Broker, Member};
use crate::kafka::Event;
use nubium_topic::{Offsets, TopicPartition};

impl Broker {
    /// A process starts: a new member of the group. It gets the partitions that nobody has.
    pub(super) fn start(&mut self, me: usize, topics: &[String]) {
        self.subscribed = topics.to_vec();
        while self.members.len() <= me {
            self.members.push(Member::default());
        }
        self.leave(me);
        let epoch = self.members[me].epoch;
        self.members[me] = Member { epoch, alive: true, ..Member::default() };
        let owners = &self.owners;
        let free: Vec<_> =
            self.inputs().into_iter().filter(|at| !owners.contains_key(at)).collect();
        free.iter().for_each(|at| _ = self.owners.insert(*at, (me, None)));
        self.members[me].events.push_back(Event::Assigned(free));
    }

    /// A process is gone: its transaction is aborted and what it had goes to who is left.
    pub(super) fn leave(&mut self, me: usize) {
        let member = &mut self.members[me];
        member.alive = false;
        member.transaction = None;
        let had = |(at, (owner, to)): (&TopicPartition, &(usize, Option<usize>))| {
            (*owner == me).then_some((*at, *to))
        };
        let had: Vec<_> = self.owners.iter().filter_map(had).collect();
        for (at, to) in had {
            self.hand_on(at, to);
        }
    }

    /// Assigns a partition that its owner has given up.
    pub(super) fn hand_on(&mut self, at: TopicPartition, to: Option<usize>) {
        let alive = |member: &usize| self.members[*member].alive;
        let to = to.filter(alive).or_else(|| (0..self.members.len()).find(alive));
        let Some(to) = to else {
            self.owners.remove(&at);
            return;
        };
        self.owners.insert(at, (to, None));
        self.members[to].events.push_back(Event::Assigned(vec![at]));
    }

    pub(super) fn inputs(&self) -> Vec<TopicPartition> {
        let ours = |at: &&TopicPartition| self.subscribed.iter().any(|t| t == at.topic.name());
        self.logs.keys().filter(ours).copied().collect()
    }

    /// The partitions of a member that nobody asks back yet.
    pub(super) fn held_by(&self, me: usize) -> Vec<TopicPartition> {
        let held = self.owners.iter().filter(|(_, owner)| **owner == (me, None));
        held.map(|(at, _)| *at).collect()
    }

    /// Asks partitions back: they go to the next member, or to the same one again.
    pub(super) fn take_back(&mut self, me: usize, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        for at in &partitions {
            self.owners.insert(*at, (me, Some(self.next_member(me))));
        }
        self.members[me].events.push_back(Event::Revoked(partitions));
    }

    /// Takes partitions away without asking.
    pub(super) fn lose(&mut self, me: usize, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        let to = self.next_member(me);
        self.members[me].stale = true;
        self.members[me].events.push_back(Event::Lost(partitions.clone()));
        partitions.into_iter().for_each(|at| self.hand_on(at, Some(to)));
    }

    pub(super) fn next_member(&self, me: usize) -> usize {
        let members = self.members.len();
        (1..=members).map(|n| (me + n) % members).find(|to| self.members[*to].alive).unwrap_or(me)
    }

    pub(super) fn accepted(&mut self, me: usize, event: &Event, starts: &Offsets) {
        match event {
            Event::Assigned(_) => {
                let positions = &mut self.members[me].positions;
                starts.iter().for_each(|(at, start)| _ = positions.insert(at, start));
            }
            Event::Revoked(partitions) => {
                self.members[me].forget(partitions);
                self.members[me].positions.retain(|at, _| !partitions.contains(at));
                for at in partitions {
                    if let Some((owner, to)) = self.owners.get(at).copied()
                        && owner == me
                    {
                        self.hand_on(*at, to);
                    }
                }
            }
            Event::Lost(partitions) => {
                self.members[me].stale = false;
                self.members[me].forget(partitions);
                self.members[me].positions.retain(|at, _| !partitions.contains(at));
            }
            _ => {}
        }
    }
}

impl Member {
    /// Forgets what was told of partitions that are moved or given up.
    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        self.halted.retain(|at| !partitions.contains(at));
        let about = |event: &Event| match event {
            Event::Partition { at, .. } => partitions.contains(at),
            _ => false,
        };
        self.events.retain(|event| !about(event));
    }
}
