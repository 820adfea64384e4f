//! Asks each cluster whether it would take what is planned: it checks, and changes nothing.

use std::collections::BTreeMap;

use nubium_admin::{Admin, AdminError, ConfigChange, Mode, NewTopic, Outcomes, ResponseError};

use crate::ending::Error;
use crate::plan::{Action, ClusterPlan, Plan};
use crate::terminal::count;

/// Topics in one request.
const BATCH: usize = 50;

/// Adds what a cluster would refuse to the conflicts of a plan. What this user may not do is a
/// warning: who applies the plan may have other rights.
///
/// # Errors
/// A cluster is lost.
pub async fn run(admins: &BTreeMap<String, Admin>, plan: &mut Plan) -> Result<(), Error> {
    let (mut conflicts, mut warnings) = (Vec::new(), Vec::new());
    for (cluster, part) in &plan.clusters {
        let Some(admin) = admins.get(cluster) else { continue };
        let refused = ask(admin, part).await.map_err(Error::cluster(cluster))?;
        let mut hidden = 0;
        for (what, topic, outcome) in refused {
            let Err(no) = outcome else { continue };
            match no {
                // Made by somebody meanwhile: applying looks at it again.
                no if no.is(ResponseError::TopicAlreadyExists) => {}
                no if no.is_unauthorized() => hidden += 1,
                no => conflicts.push(format!("topic {topic} on {cluster} cannot {what}: {no}")),
            }
        }
        if hidden > 0 {
            warnings.push(format!(
                "cluster {cluster} was not asked whether it would take {}: this user may not make \
                 or change them",
                count(hidden, "topic")
            ));
        }
    }
    // What a plan finds out by itself needs no second sentence.
    let told =
        |topic: &String| plan.conflicts.iter().any(|known| known.starts_with(&prefix(topic)));
    conflicts.retain(|conflict| !told(conflict));
    plan.conflicts.extend(conflicts);
    plan.warnings.extend(warnings);
    Ok(())
}

/// The beginning of a conflict up to what cannot be done.
fn prefix(conflict: &str) -> String {
    conflict.split_inclusive(" cannot ").next().unwrap_or_default().to_owned()
}

type Asked = Vec<(&'static str, String, nubium_admin::Outcome)>;

async fn ask(admin: &Admin, part: &ClusterPlan) -> Result<Asked, AdminError> {
    let mut asked = Vec::new();
    let mut note = |what: &'static str, outcomes: Outcomes| {
        asked.extend(outcomes.into_iter().map(|(topic, outcome)| (what, topic, outcome)));
    };
    let created: Vec<NewTopic> = part.created().map(|(_, topic)| topic).collect();
    for batch in created.chunks(BATCH) {
        note("be created", admin.create_topics(batch, Mode::Validate).await?);
    }
    let (mut grown, mut changed) = (Vec::new(), Vec::new());
    for (name, topic) in &part.topics {
        let Action::Change { partitions, config } = &topic.action else { continue };
        grown.extend(partitions.map(|count| (name.clone(), count)));
        let set = |(key, value): (&String, &String)| ConfigChange::Set(key.clone(), value.clone());
        if !config.is_empty() {
            changed.push((name.clone(), config.iter().map(set).collect()));
        }
    }
    for batch in grown.chunks(BATCH) {
        note("be given more partitions", admin.create_partitions(batch, Mode::Validate).await?);
    }
    for batch in changed.chunks(BATCH) {
        note("be configured so", admin.alter_topic_configs(batch, Mode::Validate).await?);
    }
    Ok(asked)
}
