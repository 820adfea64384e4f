//! The plan as people read it.

use std::fmt::Write as _;

use comfy_table::{Cell, Color};

use super::{Action, ClusterPlan, Plan, TopicPlan};
use crate::terminal::{count, table};

/// Writes a plan as tables; what stays as it is is only counted.
#[must_use]
pub fn show(plan: &Plan) -> String {
    let mut text = String::new();
    for (name, cluster) in &plan.clusters {
        let _ = writeln!(text, "Cluster {name} ({}): {}", cluster.id, summary(cluster));
        let mut rows = table(&["", "Topic", "What", "Why"]);
        for (topic, plan) in &cluster.topics {
            for (what, color, sign) in changes(plan) {
                let sign = Cell::new(sign).fg(color);
                let why = plan.origin.to_string();
                rows.add_row([sign, Cell::new(topic), Cell::new(what), Cell::new(why)]);
            }
        }
        if !rows.is_empty() {
            let _ = writeln!(text, "{rows}");
        }
        if !cluster.rights.is_empty() {
            let mut rows = table(&["", "Right"]);
            for acl in &cluster.rights {
                rows.add_row([Cell::new("+").fg(Color::Green), Cell::new(acl)]);
            }
            let _ = writeln!(text, "{rows}");
        }
    }
    if !plan.levels.is_empty() {
        let mut rows = table(&["", "Subject", "Compatibility"]);
        for step in &plan.levels {
            let was = step.before.as_deref().unwrap_or("the registry's");
            let what = format!("{was} → {}", step.level);
            let sign = Cell::new("~").fg(Color::Yellow);
            rows.add_row([sign, Cell::new(&step.subject), Cell::new(what)]);
        }
        let _ = writeln!(text, "Compatibility levels:\n{rows}");
    }
    if !plan.schemas.is_empty() {
        let mut rows = table(&["", "Subject", "Schema", "Verdict of the registry", "App"]);
        for step in &plan.schemas {
            let verdict = if step.first { "new subject" } else { "compatible" };
            let sign = Cell::new("+").fg(Color::Green);
            let cells = [&step.subject, &step.file, verdict, &step.app].map(Cell::new);
            rows.add_row(std::iter::once(sign).chain(cells));
        }
        let _ = writeln!(text, "Schemas:\n{rows}");
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    for conflict in &plan.conflicts {
        let _ = writeln!(text, "CANNOT BE DONE: {conflict}");
    }
    let _ = write!(text, "{}", verdict(plan));
    text
}

fn verdict(plan: &Plan) -> String {
    match (plan.conflicts.len(), plan.changes()) {
        (0, 0) => "Nothing to do: everything is as it shall be.".into(),
        (0, changes) => format!("{} to make.", count(changes, "change")),
        (conflicts, _) => format!(
            "{} in the way: nothing of this plan can be applied until the map, the manifests or \
             the cluster are put right.",
            count(conflicts, "conflict")
        ),
    }
}

fn summary(cluster: &ClusterPlan) -> String {
    let number = |wanted: fn(&Action) -> bool| {
        cluster.topics.values().filter(|topic| wanted(&topic.action)).count()
    };
    let parts = [
        (number(|action| matches!(action, Action::Create { .. })), "to create"),
        (number(|action| matches!(action, Action::Change { .. })), "to change"),
        (number(|action| matches!(action, Action::Delete)), "to delete"),
        (number(|action| matches!(action, Action::Keep)), "as they shall be"),
        (cluster.rights.len(), "rights to add"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    let parts: Vec<_> = parts.map(|(number, what)| format!("{number} {what}")).collect();
    if parts.is_empty() { "no topics".into() } else { parts.join(", ") }
}

/// The rows of one topic: what, and how it is marked.
fn changes(topic: &TopicPlan) -> Vec<(String, Color, &'static str)> {
    let before = topic.before.as_ref();
    match &topic.action {
        Action::Keep => Vec::new(),
        Action::Create { partitions, replication, config } => {
            let partitions =
                partitions.map_or("default partitions".into(), |n| count(n as usize, "partition"));
            let copies = replication.map_or("default copies".into(), |n| match n {
                1 => "1 copy".to_owned(),
                n => format!("{n} copies"),
            });
            let config = config.iter().map(|(key, value)| format!("{key}={value}"));
            let what: Vec<_> =
                [format!("create: {partitions}"), copies].into_iter().chain(config).collect();
            vec![(what.join(", "), Color::Green, "+")]
        }
        Action::Change { partitions, config } => {
            let mut rows = Vec::new();
            if let Some(count) = partitions {
                let was = before.map_or(0, |state| state.partitions);
                rows.push((format!("partitions: {was} → {count}"), Color::Yellow, "~"));
            }
            for (key, value) in config {
                let was = before.and_then(|state| state.config.get(key));
                let was = was.map_or("not set", String::as_str);
                rows.push((format!("{key}: {was} → {value}"), Color::Yellow, "~"));
            }
            rows
        }
        Action::Delete => {
            let was = before.map_or(0, |state| state.partitions);
            let what = format!("delete, with all that is in its {was} partitions");
            vec![(what, Color::Red, "-")]
        }
    }
}
