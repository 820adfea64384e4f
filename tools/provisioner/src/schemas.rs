//! Schemas: which are missing in the registry, and what it says about them.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use nubium_registry::{Compatibility, Registry, RegistryError};

use crate::ending::Error;
use crate::manifest::SchemaText;
use crate::order;
use crate::plan::{LevelStep, Plan, SchemaStep};

/// How many subjects are asked about at the same time.
const AT_ONCE: usize = 8;

/// What the registry has of a subject's schema.
enum Found {
    Registered,
    Missing(Box<SchemaStep>),
    Refused(String),
}

/// Adds the schemas that are missing to a plan; one that the registry would not take is a conflict.
///
/// # Errors
/// The registry does not answer, or refuses to be asked.
pub async fn plan(
    registry: &Registry,
    wanted: &BTreeMap<String, (String, SchemaText)>,
    plan: &mut Plan,
) -> Result<(), Error> {
    let waves = match order::waves(wanted) {
        Ok(waves) => waves,
        Err(circle) => {
            plan.conflicts.push(circle);
            return Ok(());
        }
    };
    for wave in waves {
        let steps = &plan.schemas;
        let of = |subject| wanted.get_key_value(subject);
        let asked = wave.into_iter().filter_map(of).map(|(subject, (app, schema))| async move {
            match waits(steps, schema) {
                false => find(registry, subject, app, schema).await,
                true => after(registry, steps, subject, app, schema).await,
            }
        });
        let found: Vec<Found> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        for found in found {
            match found {
                Found::Registered => {}
                Found::Missing(step) => plan.schemas.push(*step),
                Found::Refused(why) => plan.conflicts.push(why),
            }
        }
    }
    Ok(())
}

/// Tells whether a schema refers to one that is to be registered: no registry can be asked about it
/// before that.
fn waits(steps: &[SchemaStep], schema: &SchemaText) -> bool {
    let planned = |subject: &str| steps.iter().any(|step| step.subject == subject);
    schema.references.iter().any(|reference| planned(&reference.subject))
}

/// Plans a schema behind those that it refers to.
async fn after(
    registry: &Registry,
    steps: &[SchemaStep],
    subject: &str,
    app: &str,
    schema: &SchemaText,
) -> Result<Found, Error> {
    for reference in &schema.references {
        let first = steps.iter().any(|step| step.first && step.subject == reference.subject);
        if first && reference.version != 1 {
            return Ok(Found::Refused(format!(
                "the schema of subject {subject} ({}, app {app}) refers to version {} of subject \
                 {}, which is new and will have version 1",
                schema.file, reference.version, reference.subject
            )));
        }
    }
    let first = !registry.has_subject(subject).await?;
    Ok(Found::Missing(Box::new(step(subject, app, schema, first))))
}

fn step(subject: &str, app: &str, schema: &SchemaText, first: bool) -> SchemaStep {
    SchemaStep {
        subject: subject.to_owned(),
        schema: schema.text.clone(),
        kind: schema.kind.clone(),
        references: schema.references.clone(),
        app: app.to_owned(),
        file: schema.file.clone(),
        first,
    }
}

/// Adds the compatibility levels that are not as they shall be.
///
/// # Errors
/// The registry does not answer, or refuses to be asked.
pub async fn plan_levels(
    registry: &Registry,
    wanted: &BTreeMap<String, String>,
    plan: &mut Plan,
) -> Result<(), Error> {
    for (subject, level) in wanted {
        let before = registry.level(subject).await?;
        if before.as_ref() != Some(level) {
            let (subject, level) = (subject.clone(), level.clone());
            plan.levels.push(LevelStep { subject, before, level });
        }
    }
    Ok(())
}

async fn find(
    registry: &Registry,
    subject: &str,
    app: &str,
    schema: &SchemaText,
) -> Result<Found, Error> {
    let step = |first| Found::Missing(Box::new(step(subject, app, schema, first)));
    match registry.lookup_as(subject, schema.body()).await {
        Ok(_) => return Ok(Found::Registered),
        Err(RegistryError::NotRegistered { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    // Without the subject some registries say that a schema fits, others that there is none.
    if !registry.has_subject(subject).await? {
        return Ok(step(true));
    }
    Ok(match registry.compatible_as(subject, schema.body()).await? {
        Compatibility::First => step(true),
        Compatibility::Compatible => step(false),
        Compatibility::Incompatible(reasons) => {
            let reasons = match reasons.is_empty() {
                true => "the registry gives no reason".into(),
                false => reasons.join("; "),
            };
            Found::Refused(format!(
                "the schema of subject {subject} ({}, app {app}) breaks the subject's \
                 compatibility rule: {reasons}",
                schema.file
            ))
        }
    })
}
