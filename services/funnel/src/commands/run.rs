//! `funnel run`: the app.

use std::process::ExitCode;
use std::sync::Arc;

use nubium_core::metrics::Metrics;
use nubium_core::{App, Transaction};
use nubium_host::{Or as _, Outcome};
use nubium_mapping::mapping::Mapping;
use nubium_service::start::Start;
use nubium_service::{schemas, terminal};

use crate::funnel::Funnel;
use crate::settings::Settings;

/// Runs the funnel until it is told to stop; answers the process's exit code.
///
/// # Errors
/// It cannot start.
pub fn run(start: &Start<Settings>) -> Outcome<ExitCode> {
    let (app, funnel) = assemble(start)?;
    Ok(app.run(async move |transaction: &Transaction<'_>| funnel.handle(transaction)))
}

/// Compiles the programs, with the registry's schemas for inputs that name no file, and puts the
/// app together.
fn assemble(start: &Start<Settings>) -> Outcome<(App, Funnel)> {
    let schemas = schemas::fetch(&start.config, &start.settings.inputs).or_refused()?;
    let mapping = start.settings.compile(&schemas).map_err(schemas::wrong)?;
    mapping.warnings().for_each(terminal::tell);
    let metrics = Metrics::new(&start.config.app.name, &start.config.app.hostname);
    app(start, Arc::new(mapping), &metrics).or_host()
}

/// Puts the app together: topics, schemas and function.
///
/// # Errors
/// When the metrics have another metric of the funnel's name.
pub fn app(
    start: &Start<Settings>,
    mapping: Arc<Mapping>,
    metrics: &Metrics,
) -> anyhow::Result<(App, Funnel)> {
    let inputs = start.settings.inputs.iter().map(|input| input.topic.as_str());
    let mut app = App::new(start.config.clone()).consume(inputs).metrics(metrics.clone());
    for output in &start.settings.outputs {
        app = app.produce(&output.topic, &output.schema.json);
    }
    Ok((app, Funnel::new(mapping, metrics)?))
}
