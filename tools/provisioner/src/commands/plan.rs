//! `nubium-provision plan`: what would change?

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cli::PlanOptions;
use crate::desired;
use crate::ending::{Ending, Error};
use crate::observed;
use crate::plan::{self, Plan, Prune};
use crate::schemas;
use crate::start::Start;
use crate::terminal;
use crate::trial;

/// Plans, shows the plan and keeps it where that is asked for; ends with 2 if there are changes.
pub(super) async fn run(manifests: &[String], options: &PlanOptions) -> Result<Ending, Error> {
    let start = Start::load(manifests)?;
    start.must_say_something()?;
    let plan = make(&start, options).await?;
    match options.json {
        true => terminal::show(as_json(&plan)),
        false => terminal::show(plan::show(&plan)),
    }
    if !plan.conflicts.is_empty() {
        return Ok(Ending::Failed);
    }
    if let Some(path) = &options.out {
        plan::save(path, &plan)?;
        terminal::tell(format!(
            "Kept as {0}; apply it with: nubium-provision apply {0}",
            path.display()
        ));
    }
    Ok(if plan.changes() > 0 { Ending::Changes } else { Ending::Ok })
}

async fn make(start: &Start, options: &PlanOptions) -> Result<Plan, Error> {
    let names = desired::names(&start.topology, &start.manifests);
    let with_rights = start.manifests.iter().any(|manifest| manifest.principal.is_some());
    let admins = start.connect(&options.cluster).await?;
    let (mut found, none) = (BTreeMap::new(), BTreeSet::new());
    for (name, admin) in &admins {
        let wanted = names.get(name).unwrap_or(&none);
        found.insert(name.clone(), observed::observe(name, admin, wanted, with_rights).await?);
    }
    let desired = desired::desired(&start.topology, &start.manifests, &found);
    let prune = if options.prune { Prune::Yes } else { Prune::No };
    let mut plan = plan::plan(&desired, &found, &names, prune);
    trial::run(&admins, &mut plan).await?;
    if !desired.levels.is_empty() {
        schemas::plan_levels(&start.registry()?, &desired.levels, &mut plan).await?;
    }
    if !desired.schemas.is_empty() {
        schemas::plan(&start.registry()?, &desired.schemas, &mut plan).await?;
    }
    Ok(plan)
}

fn as_json(plan: &Plan) -> String {
    #[derive(Serialize)]
    struct Shown<'p> {
        changes: usize,
        #[serde(flatten)]
        plan: &'p Plan,
    }
    let shown = Shown { changes: plan.changes(), plan };
    serde_json::to_string_pretty(&shown).unwrap_or_default()
}
