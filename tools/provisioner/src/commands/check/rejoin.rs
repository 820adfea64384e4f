//! Spreads partitions anew that belong to nobody.
//!
//! A static member that comes back gets what it had, and nobody asks whether that is all there is.
//! So when partitions are added and then all instances are replaced one after another, the new ones
//! stay with nobody: those who would have noticed are gone, those who came know no other number.

use std::collections::BTreeSet;

use nubium_admin::GroupDescription;
use nubium_topic::TopicPartition;

use crate::desired::cluster_of;
use crate::ending::Error;
use crate::manifest::Manifest;
use crate::start::Start;
use crate::terminal;

/// Takes this instance's own member out of the app's group, if the group leaves partitions to
/// nobody. The instance must not run: in its init container it does not.
pub(super) async fn rejoin(start: &Start, apps: &[&Manifest]) -> Result<(), Error> {
    let (Some(instance), [app]) = (&start.topology.instance, apps) else { return Ok(()) };
    if instance.members().is_empty() || app.input.is_empty() {
        return Ok(());
    }
    let cluster = cluster_of(&start.topology, app).map_err(Error::Failed)?.to_owned();
    let admins = start.connect(std::slice::from_ref(&cluster)).await?;
    let Some(admin) = admins.get(&cluster) else { return Ok(()) };
    let refused = Error::cluster(&cluster);
    let group = admin.describe_group(&app.app).await.map_err(refused)?;
    let Some(group) = group else { return Ok(()) };
    let ours = ours(&group, &instance.members());
    if ours.is_empty() || group.state != "Stable" {
        return Ok(());
    }
    let names: Vec<&str> = app.input.iter().map(String::as_str).collect();
    let topics = admin.describe_topics(&names).await.map_err(Error::cluster(&cluster))?;
    let all = topics.values().flat_map(|topic| {
        let numbers = 0..i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        numbers.map(|number| TopicPartition::new(&topic.name, number))
    });
    let free = free(&group, all);
    if free.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = free.iter().map(ToString::to_string).collect();
    terminal::tell(format!(
        "Nobody of group {} has {}: {} leaves it and joins again.",
        app.app,
        told.join(", "),
        ours.join(", ")
    ));
    admin.remove_members(&app.app, &ours).await.map_err(Error::cluster(&cluster))
}

/// The names that are members.
fn ours(group: &GroupDescription, names: &[String]) -> Vec<String> {
    let known: BTreeSet<_> = group.members.iter().filter_map(|one| one.instance.as_ref()).collect();
    names.iter().filter(|name| known.contains(name)).cloned().collect()
}

/// The partitions that no member has.
fn free(
    group: &GroupDescription,
    all: impl Iterator<Item = TopicPartition>,
) -> Vec<TopicPartition> {
    let held: BTreeSet<_> = group.members.iter().flat_map(|one| &one.partitions).collect();
    all.filter(|at| !held.contains(at)).collect()
}
