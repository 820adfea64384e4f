//! Schemas: which are missing in the registry, and what it says about them.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use nubium_registry::{Compatibility, Registry, RegistryError};

use crate::ending::Error;
use crate::manifest::SchemaText;
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
    let asked = wanted.iter().map(|(subject, (app, schema))| find(registry, subject, app, schema));
    let found: Vec<Found> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    for found in found {
        match found {
            Found::Registered => {}
            Found::Missing(step) => plan.schemas.push(*step),
            Found::Refused(why) => plan.conflicts.push(why),
        }
    }
    Ok(())
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
    let step = |first| {
        Found::Missing(Box::new(SchemaStep {
            subject: subject.to_owned(),
            schema: schema.text.clone(),
            kind: schema.kind.clone(),
            references: schema.references.clone(),
            app: app.to_owned(),
            file: schema.file.clone(),
            first,
        }))
    };
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
