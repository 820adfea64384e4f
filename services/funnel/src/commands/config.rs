//! `funnel config`: the settings in force.

use nubium_service::start::Start;
use nubium_service::terminal;

use crate::settings::Settings;

/// Prints the funnel's own settings.
pub fn show(start: &Start<Settings>) {
    let mut table = terminal::table(&["Topic", "Direction", "Schema", "Program"]);
    for input in &start.settings.inputs {
        let schema = input.schema.as_ref().map_or("latest of the registry", |file| &file.name);
        table.add_row([input.topic.as_str(), "in", schema, input.source.name.as_str()]);
    }
    for (index, output) in start.settings.outputs.iter().enumerate() {
        let out = match start.settings.default_output == Some(index) {
            true => "out (default)",
            false => "out",
        };
        table.add_row([output.topic.as_str(), out, output.schema.name.as_str(), ""]);
    }
    terminal::show(table);
}
