//! `funnel run`: the app.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use nubium_core::metrics::Metrics;
use nubium_core::{App, Transaction};
use nubium_host::Exit;

use crate::cli::ConfigFile;
use crate::funnel::Funnel;
use crate::start::{self, Start};
use crate::terminal;
use nubium_mapping::mapping::Mapping;

/// Runs the funnel until it is told to stop; answers the process's exit code.
pub fn run(file: &ConfigFile) -> ExitCode {
    let start = match Start::load(&file.config) {
        Ok(start) => start,
        Err(problems) => {
            terminal::tell(problems);
            return Exit::BadSettings.into();
        }
    };
    start.warnings.iter().for_each(|warning| terminal::tell(format!("warning: {warning}")));
    let mapping = match compile(&start) {
        Ok(mapping) => Arc::new(mapping),
        Err((exit, text)) => {
            terminal::tell(text);
            return exit.into();
        }
    };
    mapping.warnings().for_each(terminal::tell);
    let metrics = Metrics::new(&start.config.app.name, &start.config.app.hostname);
    match app(&start, mapping, &metrics) {
        Ok((app, funnel)) => {
            app.run(async move |transaction: &Transaction<'_>| funnel.handle(transaction))
        }
        Err(error) => {
            terminal::tell(format!("{error:#}"));
            Exit::HostFailed.into()
        }
    }
}

/// Puts the app together: topics, schemas and function.
///
/// # Errors
/// When the metrics have another metric of the funnel's name.
pub fn app(
    start: &Start,
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

/// Compiles the programs, with the registry's schemas for inputs that name no file.
fn compile(start: &Start) -> Result<Mapping, (Exit, String)> {
    let schemas = registry_schemas(start).map_err(|e| (Exit::KafkaRefused, format!("{e:#}")))?;
    start.settings.compile(&schemas).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        (Exit::BadSettings, problems.join("\n\n"))
    })
}

fn registry_schemas(
    start: &Start,
) -> anyhow::Result<Vec<Option<Arc<nubium_mapping::avro::Schema>>>> {
    let inputs = &start.settings.inputs;
    if inputs.iter().all(|input| input.schema.is_some()) {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("async runtime")?;
    let codec = start::codec(&start.config, &runtime, |_| {})?;
    runtime.block_on(start::input_schemas(&codec, inputs))
}
