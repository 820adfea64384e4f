//! `table config`: the settings in force.

use nubium_service::start::Start;
use nubium_service::terminal;

use crate::settings::{Peers, Settings};

/// Prints the table's own settings.
pub fn show(start: &Start<Settings>) {
    let settings = &start.settings;
    let mut table = terminal::table(&["Topic", "Direction", "Schema", "Program"]);
    for input in &settings.inputs {
        let schema = input.schema.as_ref().map_or("latest of the registry", |file| &file.name);
        table.add_row([input.topic.as_str(), "in", schema, input.source.name.as_str()]);
    }
    for (index, output) in settings.outputs.iter().enumerate() {
        let out = match settings.default_output == Some(index) || settings.outputs.len() == 1 {
            true => "out (default)",
            false => "out",
        };
        table.add_row([output.topic.as_str(), out, output.schema.name.as_str(), ""]);
    }
    let changelog = nubium_core::topic::changelog_of(&start.config.app.name);
    let entry = settings.entry.as_ref().map_or("any JSON", |file| &file.name);
    table.add_row([changelog.as_str(), "changelog", entry, ""]);
    terminal::show(table);
    if let Some(lookups) = &settings.lookups {
        let mut table = terminal::table(&["Look-ups", "Value"]);
        let peers = match &lookups.peers {
            Peers::None => "none".to_owned(),
            Peers::Name(url) => format!("every address of {url}"),
            Peers::List(urls) => {
                let urls: Vec<_> = urls.iter().map(ToString::to_string).collect();
                urls.join(", ")
            }
        };
        let advertised = lookups.advertised.as_ref().map(ToString::to_string);
        table.add_row(["listen", &lookups.listen.to_string()]);
        table.add_row(["peers", &peers]);
        table.add_row(["advertised_url", advertised.as_deref().unwrap_or("the peers' address")]);
        table.add_row(["open to", lookups.access.describe()]);
        terminal::show(table);
    }
}
