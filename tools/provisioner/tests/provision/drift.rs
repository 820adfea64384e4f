//! A plan is for the clusters as it found them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use nubium_admin::{Admin, ConfigChange, ConfigScope, Mode, NewTopic};
use nubium_config::{Cluster, SecurityProtocol, Tls};
use nubium_provisioner::plan;
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::services::shared;
use nubium_test_kit::wait::{Look, eventually};
use tokio::runtime::Runtime;

use crate::place::Place;

const TOPICS: &str = "\
STEM-a: {cluster: main, configs: {num_partitions: 2, config: {retention.ms: 1000, segment.ms: 900}}}
STEM-b: {cluster: main}
";
const CHANGED: &str = "\
STEM-a: {cluster: main, configs: {num_partitions: 4, config: {retention.ms: 2000}}}
STEM-b: {cluster: main}
STEM-new: {cluster: main, configs: {num_partitions: 3}}
";

/// Another who works on the same cluster.
struct Other {
    runtime: Runtime,
    admin: Admin,
}

impl Other {
    fn new() -> Result<Self> {
        let runtime = Runtime::new()?;
        let cluster = Cluster {
            url: shared().bootstrap.clone(),
            protocol: SecurityProtocol::Plaintext,
            sasl: None,
            tls: Tls::default(),
            protected: false,
        };
        let admin = runtime.block_on(Admin::connect(&cluster, "other"))?;
        Ok(Self { runtime, admin })
    }

    fn grow(&self, topic: &str, partitions: u32) -> Result<()> {
        let counts = [(topic.to_owned(), partitions)];
        let grown = self.admin.create_partitions(&counts, Mode::Apply);
        self.runtime.block_on(grown)?[0].1.clone()?;
        let led = [(topic, partitions)];
        Ok(self.runtime.block_on(self.admin.wait_for_leaders(&led, DEADLINE))?)
    }

    fn change(&self, topic: &str, change: ConfigChange) -> Result<()> {
        let changes = [(topic.to_owned(), vec![change.clone()])];
        let changed = self.admin.alter_topic_configs(&changes, Mode::Apply);
        self.runtime.block_on(changed)?[0].1.clone()?;
        // The controller has it; the brokers hear of it a moment later.
        eventually("the change to be seen", DEADLINE, || {
            let seen = self.runtime.block_on(self.admin.topic_configs(&[topic], ConfigScope::Own));
            let own = match seen {
                Ok(mut seen) => seen.remove(topic).unwrap_or_default(),
                Err(error) => return Look::NotYet(error.to_string()),
            };
            let is_seen = match &change {
                ConfigChange::Set(key, value) => {
                    own.get(key).is_some_and(|entry| entry.value.as_ref() == Some(value))
                }
                ConfigChange::Unset(key) => !own.contains_key(key),
            };
            if is_seen { Look::Ready(()) } else { Look::NotYet(format!("{own:?}")) }
        })
    }

    fn create(&self, topic: &str, partitions: u32) -> Result<()> {
        let new = NewTopic {
            name: topic.to_owned(),
            partitions: Some(partitions),
            replication: None,
            configs: BTreeMap::new(),
        };
        self.runtime.block_on(self.admin.create_topics(&[new], Mode::Apply))?[0].1.clone()?;
        let led = [(topic, partitions)];
        Ok(self.runtime.block_on(self.admin.wait_for_leaders(&led, DEADLINE))?)
    }

    fn delete(&self, topic: &str) -> Result<()> {
        self.runtime.block_on(self.admin.delete_topics(&[topic]))?[0].1.clone()?;
        eventually("the topic to be gone", DEADLINE, || match self.exists(topic) {
            Ok(false) => Look::Ready(()),
            seen => Look::NotYet(format!("{seen:?}")),
        })
    }

    fn exists(&self, topic: &str) -> Result<bool> {
        let found = self.runtime.block_on(self.admin.describe_topics(&[topic]))?;
        Ok(found.contains_key(topic))
    }
}

#[test]
fn drift_in_any_attribute_is_refused_before_anything_is_done() -> Result<()> {
    let other = Other::new()?;
    let set = |key: &str, value: &str| ConfigChange::Set(key.into(), value.into());
    type Hurt<'h> = &'h dyn Fn(&Place) -> Result<()>;
    let hurts: [(&str, Hurt<'_>); 9] = [
        ("number of partitions", &|place| other.grow(&place.name("a"), 3)),
        ("number of partitions", &|place| other.grow(&place.name("b"), 3)),
        ("retention.ms", &|place| other.change(&place.name("a"), set("retention.ms", "3000"))),
        ("segment.ms", &|place| other.change(&place.name("a"), set("segment.ms", "901"))),
        ("segment.ms", &|place| {
            other.change(&place.name("a"), ConfigChange::Unset("segment.ms".into()))
        }),
        ("flush.ms", &|place| other.change(&place.name("b"), set("flush.ms", "5"))),
        ("it is gone", &|place| other.delete(&place.name("a"))),
        ("created again", &|place| {
            other.delete(&place.name("b"))?;
            other.create(&place.name("b"), 1)
        }),
        ("made by somebody else with partitions 2", &|place| other.create(&place.name("new"), 2)),
    ];
    for (what, hurt) in hurts {
        let place = Place::new("drift")?;
        place.topics(TOPICS)?;
        place.provision()?;
        place.topics(CHANGED)?;
        place.run(&["plan", "--out", "plan.json"])?.ended(2);
        hurt(&place)?;
        let said = place.run(&["apply", "plan.json"])?;
        assert_eq!(said.code, 1, "{what}:\n{}", said.all());
        assert!(said.err.contains(what), "{what}:\n{}", said.err);
        assert!(said.err.contains("nothing was done"), "{}", said.err);
        if !what.contains("somebody else") {
            assert!(!other.exists(&place.name("new"))?, "{what}: it began anyhow");
        }
    }
    Ok(())
}

#[test]
fn what_another_did_as_planned_is_no_drift() -> Result<()> {
    let other = Other::new()?;
    let place = Place::new("half")?;
    place.topics(TOPICS)?;
    place.provision()?;
    place.topics(CHANGED)?;
    place.run(&["plan", "--out", "plan.json"])?.ended(2);
    other.grow(&place.name("a"), 4)?;
    other.create(&place.name("new"), 3)?;
    let done = place.run(&["apply", "plan.json"])?.ended(0);
    assert!(done.contains("1 done, 1 done already"), "{done}");
    place.run(&["plan"])?.ended(0);
    Ok(())
}

#[test]
fn a_plan_for_another_cluster_is_refused() -> Result<()> {
    let place = Place::new("other-cluster")?;
    place.topics(TOPICS)?;
    place.run(&["plan", "--out", "plan.json"])?.ended(2);
    let mut plan = plan::load(&place.path("plan.json"))?;
    plan.clusters.get_mut("main").context("the cluster")?.id = "another".into();
    plan::save(&place.path("plan.json"), &plan)?;
    let said = place.run(&["apply", "plan.json"])?;
    assert_eq!(said.code, 1, "{}", said.all());
    assert!(said.err.contains("it is another one; nothing was done"), "{}", said.err);
    assert!(!Other::new()?.exists(&place.name("a"))?);
    Ok(())
}
