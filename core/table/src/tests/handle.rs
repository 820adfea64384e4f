//! A keeper's thread, and its end.

use crate::*;
use nubium_topic::{Offsets, TopicPartition};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Breaks when it is asked anything.
struct Broken;

impl ChangelogSource for Broken {
    fn bounds(&mut self, _: &[TopicPartition], _: Duration) -> Result<Vec<Bounds>, SourceTrouble> {
        panic!("as it was told")
    }

    fn assign(&mut self, _: &Offsets) -> Result<(), SourceTrouble> {
        panic!("as it was told")
    }

    fn read(&mut self, _: Duration, _: &mut dyn FnMut(Found<'_>)) -> usize {
        panic!("as it was told")
    }

    fn members(&mut self, _: Duration) -> Result<Vec<Member>, SourceTrouble> {
        panic!("as it was told")
    }
}

fn start(standby_replicas: usize) -> KeeperHandle {
    let settings = KeeperSettings {
        key_id: 7,
        changelog: Some(nubium_topic::Topic::named("app__changelog")),
        topic_ids: Vec::new(),
        delete_retention: None,
        lookups: Vec::new(),
        standby_replicas,
        own_ids: vec!["one".into()],
    };
    let parts = Keeper::new(Broken, Arc::new(Shared::default()), settings, Arc::new(|| {}));
    KeeperHandle::start("keeper", parts).unwrap()
}

#[test]
fn a_keeper_that_panicked_is_seen_by_a_loop_that_waits_for_nothing() {
    let idle = start(0);
    assert!(idle.is_alive());
    // It asks who is in the group, which no loop waits for.
    let mut broken = start(1);
    let since = Instant::now();
    while broken.is_alive() {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(broken.news().unwrap_err().contains("panic"));
    assert!(idle.is_alive());
}
