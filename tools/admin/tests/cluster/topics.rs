//! Topics and their configuration.

use std::collections::BTreeMap;

use anyhow::Result;
use nubium_admin::{Admin, AdminError, ConfigChange, ConfigOrigin, ConfigScope, Mode, NewTopic};
use nubium_test_kit::topics::unique;

use crate::{admin, at, topic};

#[tokio::test]
async fn a_topic_is_made_changed_and_deleted() -> Result<()> {
    let admin = admin().await?;
    let name = unique("admin-life");
    let configs = BTreeMap::from([("retention.ms".to_owned(), "60000".to_owned())]);
    let new = NewTopic { name: name.clone(), partitions: Some(2), replication: Some(1), configs };
    let checked = admin.create_topics(std::slice::from_ref(&new), Mode::Validate).await?;
    assert_eq!(checked, [(name.clone(), Ok(()))]);
    assert!(admin.describe_topics(&[&name]).await?.is_empty(), "validating makes nothing");
    let made = admin.create_topics(std::slice::from_ref(&new), Mode::Apply).await?;
    assert_eq!(made, [(name.clone(), Ok(()))]);
    admin.wait_for_leaders(&[(&name, 2)], nubium_test_kit::scenario::DEADLINE).await?;
    let found = &admin.describe_topics(&[&name]).await?[&name];
    assert_eq!((found.partitions.len(), found.replication(), found.internal), (2, 1, false));
    assert!(admin.topics().await?.contains_key(&name));

    let own = admin.topic_configs(&[&name], ConfigScope::Own).await?;
    assert_eq!(own[&name].keys().collect::<Vec<_>>(), ["retention.ms"]);
    let all = &admin.topic_configs(&[&name], ConfigScope::All).await?[&name];
    assert_eq!(all["cleanup.policy"].origin, ConfigOrigin::Default);
    let changes = vec![
        ConfigChange::Set("cleanup.policy".into(), "compact".into()),
        ConfigChange::Unset("retention.ms".into()),
    ];
    let changed = admin.alter_topic_configs(&[(name.clone(), changes)], Mode::Apply).await?;
    assert_eq!(changed, [(name.clone(), Ok(()))]);
    let grown = admin.create_partitions(&[(name.clone(), 5)], Mode::Apply).await?;
    assert_eq!(grown, [(name.clone(), Ok(()))]);
    admin.wait_for_leaders(&[(&name, 5)], nubium_test_kit::scenario::DEADLINE).await?;
    let own = &admin.topic_configs(&[&name], ConfigScope::Own).await?[&name];
    let shown: Vec<_> = own.iter().map(|(k, v)| (k.as_str(), v.value.as_deref())).collect();
    assert_eq!(shown, [("cleanup.policy", Some("compact"))]);

    assert_eq!(admin.delete_topics(&[&name]).await?, [(name.clone(), Ok(()))]);
    // A broker hears of it a moment after the controller.
    let gone = async {
        while !admin.describe_topics(&[&name]).await?.is_empty() {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(nubium_test_kit::scenario::DEADLINE, gone).await?
}

#[tokio::test]
async fn each_refusal_names_its_topic_and_the_brokers_reason() -> Result<()> {
    let admin = admin().await?;
    let there = topic(&admin, "admin-there", 1).await?;
    let new = |name: &str| NewTopic { name: name.into(), ..NewTopic::default() };
    let (large, wrong) = (unique("admin-large"), unique("admin-wrong"));
    let topics = [
        new(&there),
        NewTopic { replication: Some(3), ..new(&large) },
        NewTopic {
            configs: BTreeMap::from([("retention.ms".into(), "soon".into())]),
            ..new(&wrong)
        },
    ];
    let outcomes = admin.create_topics(&topics, Mode::Apply).await?;
    let outcomes: BTreeMap<_, _> = outcomes.into_iter().collect();
    let why = |name: &str| outcomes[name].as_ref().unwrap_err().to_string();
    assert!(why(&there).starts_with("TOPIC_ALREADY_EXISTS"), "{}", why(&there));
    assert!(why(&large).starts_with("INVALID_REPLICATION_FACTOR"), "{}", why(&large));
    assert!(why(&wrong).contains("retention.ms"), "{}", why(&wrong));
    let lower = admin.create_partitions(&[(there, 1)], Mode::Apply).await?;
    assert!(lower[0].1.as_ref().unwrap_err().to_string().starts_with("INVALID_PARTITIONS"));
    Ok(())
}

#[tokio::test]
async fn many_topics_are_described_in_few_requests() -> Result<()> {
    let admin = admin().await?;
    let new: Vec<_> = (0..200)
        .map(|_| NewTopic {
            name: unique("admin-many"),
            partitions: Some(1),
            ..NewTopic::default()
        })
        .collect();
    let outcomes = admin.create_topics(&new, Mode::Apply).await?;
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()), "{outcomes:?}");
    let names: Vec<&str> = new.iter().map(|topic| topic.name.as_str()).collect();
    let before = admin.requests();
    assert_eq!(admin.describe_topics(&names).await?.len(), 200);
    assert_eq!(admin.topic_configs(&names, ConfigScope::Own).await?.len(), 200);
    assert_eq!(admin.requests() - before, 2);
    admin.delete_topics(&names).await?;
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_named() -> Result<()> {
    let [port] = nubium_test_kit::ports::free()?;
    let url = format!("127.0.0.1:{port}");
    let error = Admin::connect(&at(&url), "nobody").await.unwrap_err();
    assert!(matches!(error, AdminError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&url), "{error}");
    Ok(())
}
