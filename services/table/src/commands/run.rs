//! `table run`: the app, and the server of look-ups beside it.

use std::process::ExitCode;
use std::sync::Arc;

use nubium_core::metrics::Metrics;
use nubium_core::{App, Transaction};
use nubium_host::{Exit, Or as _, Outcome};
use nubium_mapping::mapping::Mapping;
use nubium_service::start::Start;
use nubium_service::{schemas, terminal};

use crate::lookups::LookupServer;
use crate::settings::Settings;
use crate::table::Table;

/// Runs the table until it is told to stop; answers the process's exit code.
///
/// # Errors
/// It cannot start.
pub fn run(start: &Start<Settings>) -> Outcome<ExitCode> {
    let (app, table, lookups) = assemble(start)?;
    let exit = app.run(async move |transaction: &Transaction<'_>| table.handle(transaction));
    // Answered until the very end, so that clients see the entries while it drains.
    let broken = lookups.as_ref().is_some_and(LookupServer::is_broken);
    drop(lookups);
    Ok(if broken { Exit::HostFailed.into() } else { exit })
}

type Assembled = (App, Table, Option<LookupServer>);

/// Compiles the program, with the registry's schema for an input that names no file, puts the app
/// together and opens the port of look-ups.
fn assemble(start: &Start<Settings>) -> Outcome<Assembled> {
    let schemas = schemas::fetch(&start.config, &start.settings.inputs).or_refused()?;
    let mapping = start.settings.compile(&schemas).map_err(schemas::wrong)?;
    mapping.warnings().for_each(terminal::tell);
    let metrics = Metrics::new(&start.config.app.name, &start.config.app.hostname);
    app(start, Arc::new(mapping), &metrics).or_host()
}

/// Puts the app together: topics, schemas, function and look-ups.
fn app(
    start: &Start<Settings>,
    mapping: Arc<Mapping>,
    metrics: &Metrics,
) -> anyhow::Result<Assembled> {
    let Start { config, settings, .. } = start;
    let mut app = App::new(config.clone()).consume([settings.topic()]).metrics(metrics.clone());
    for output in &settings.outputs {
        app = app.produce(&output.topic, &output.schema.json);
    }
    let app = app.table();
    let lookups = settings.lookups.as_ref().map(|lookups| {
        let (name, host) = (&config.app.name, &config.app.hostname);
        let reader = Arc::new(app.table_reader());
        LookupServer::start(lookups, name, host, reader, app.stop_handle())
    });
    Ok((app, Table::new(mapping, metrics)?, lookups.transpose()?))
}
