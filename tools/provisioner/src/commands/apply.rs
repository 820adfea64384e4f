//! `nubium-provision apply`: does what a saved plan says.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _};

use crate::apply::{Applier, Report};
use crate::cli::ApplyOptions;
use crate::ending::{Ending, Error};
use crate::plan::{self, Action, Plan};
use crate::start::Start;
use crate::terminal::{self, count};

/// Applies the plan and tells what was done and what was not.
pub(super) async fn run(options: &ApplyOptions) -> Result<Ending, Error> {
    let plan = plan::load(&options.plan)?;
    let start = Start::load(&[])?;
    let delete = named(&plan, &options.delete)?;
    if !delete.is_empty() && !options.yes {
        confirm(&delete)?;
    }
    let clusters: Vec<String> = plan.clusters.keys().cloned().collect();
    let admins = start.connect(&clusters).await?;
    let asked = !plan.schemas.is_empty() || !plan.levels.is_empty();
    let registry = if asked { Some(start.registry()?) } else { None };
    let report = Applier::new(&plan, &admins, registry.as_ref(), &delete).run().await?;
    tell(&report);
    let kept = deletions(&plan).filter(|name| !delete.contains(*name)).count();
    if kept > 0 {
        terminal::tell(format!(
            "{} of the plan left alone: name them with --delete to delete them",
            count(kept, "deletion")
        ));
    }
    Ok(if report.failed.is_empty() { Ending::Ok } else { Ending::Failed })
}

fn deletions(plan: &Plan) -> impl Iterator<Item = &String> {
    let topics = plan.clusters.values().flat_map(|cluster| &cluster.topics);
    topics.filter(|(_, topic)| topic.action == Action::Delete).map(|(name, _)| name)
}

/// Takes the topics to delete; each must be a deletion of the plan.
fn named(plan: &Plan, names: &[String]) -> Result<BTreeSet<String>, Error> {
    let planned: BTreeSet<&String> = deletions(plan).collect();
    let unplanned: Vec<&str> =
        names.iter().filter(|name| !planned.contains(name)).map(String::as_str).collect();
    match unplanned.is_empty() {
        true => Ok(names.iter().cloned().collect()),
        false => Err(Error::Failed(format!(
            "--delete names {}, which the plan does not delete (it deletes {}); nothing was done",
            unplanned.join(", "),
            match planned.is_empty() {
                true => "nothing: plan with --prune".to_owned(),
                false => planned.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
            }
        ))),
    }
}

fn confirm(delete: &BTreeSet<String>) -> Result<(), Error> {
    let names: Vec<&str> = delete.iter().map(String::as_str).collect();
    let (names, topics) = (names.join(", "), count(delete.len(), "topic"));
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Error::Failed(format!(
            "deleting {topics} ({names}) must be confirmed, and there is nobody to ask: add --yes; \
             nothing was done"
        )));
    }
    terminal::tell(format!("This deletes {topics} with all that is in them: {names}"));
    terminal::tell("Type yes to go on.");
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    match read.is_ok() && answer.trim() == "yes" {
        true => Ok(()),
        false => Err(Error::Failed("not confirmed; nothing was done".into())),
    }
}

fn tell(report: &Report) {
    let Report { done, already, failed, left } = report;
    for (sign, texts) in [("done", done), ("was done already", already)] {
        texts.iter().for_each(|text| terminal::show(format!("{sign}: {text}")));
    }
    failed.iter().for_each(|text| terminal::show(format!("FAILED: {text}")));
    left.iter().for_each(|text| terminal::show(format!("NOT DONE: {text}")));
    let summary = format!(
        "{} done, {} done already, {} failed, {} not done",
        done.len(),
        already.len(),
        failed.len(),
        left.len()
    );
    terminal::show(summary);
    if !failed.is_empty() {
        terminal::tell(
            "Put right what failed, and apply the same plan again: it goes on from here.",
        );
    }
}
