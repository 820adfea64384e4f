//! `http-receiver config`: the settings in force.

use nubium_service::start::Start;
use nubium_service::terminal;

use crate::settings::{Credential, CredentialKind, Route, Settings};

/// Prints the receiver's own settings.
pub fn show(start: &Start<Settings>) {
    let mut table = terminal::table(&["Path", "Topics", "Item", "Key", "Program", "Callers"]);
    for route in &start.settings.routes {
        table.add_row(row(&start.settings, route));
    }
    terminal::show(table);
    let mut table = terminal::table(&["Receiver", "Value"]);
    for (name, value) in own(&start.settings) {
        table.add_row([name, value.as_str()]);
    }
    terminal::show(table);
}

fn row(settings: &Settings, route: &Route) -> [String; 6] {
    let topics: Vec<_> = route.outputs.iter().map(|output| output.topic.as_str()).collect();
    let item = match (&route.body, &route.program) {
        (Some(body), _) => body.name.clone(),
        (None, Some(_)) => "any".into(),
        (None, None) => route.outputs.first().map_or("", |output| &output.schema.name).to_owned(),
    };
    let callers: Vec<_> =
        route.auth.iter().map(|index| settings.credentials[*index].name.as_str()).collect();
    [
        route.path.clone(),
        topics.join(", "),
        item,
        route.key.clone().unwrap_or_else(|| "none".into()),
        route.program.as_ref().map_or_else(String::new, |source| source.name.clone()),
        if callers.is_empty() { "anybody".into() } else { callers.join(", ") },
    ]
}

fn own(settings: &Settings) -> Vec<(&'static str, String)> {
    let limits = &settings.limits;
    let mut rows = vec![
        ("listen", settings.listen.to_string()),
        ("page", settings.page.to_string()),
        ("body", format!("{} KiB", limits.body_bytes / 1024)),
        ("bodies in flight", format!("{} MiB", limits.in_flight_bytes / 1024 / 1024)),
        ("items of a request", limits.items.to_string()),
        ("connections", limits.connections.to_string()),
        ("headers within", format!("{:?}", limits.header_read)),
        ("body within", format!("{:?}", limits.body_read)),
        ("delivery within", format!("{:?}", limits.delivery)),
        ("drain delay", format!("{:?}", limits.drain_delay)),
    ];
    if let Some(by) = &settings.last_updated_by {
        rows.push(("last_updated_by", by.clone()));
    }
    if let Some(cors) = &settings.cors {
        rows.push(("CORS origins", cors.origins.join(", ")));
    }
    rows.extend(settings.credentials.iter().map(|caller| ("caller", shown(caller))));
    rows
}

fn shown(credential: &Credential) -> String {
    let (how, header, keys) = match &credential.kind {
        CredentialKind::ApiKey { header, keys } => ("API key", header, keys.len()),
        CredentialKind::Hmac(hmac) => ("HMAC", &hmac.header, hmac.keys.len()),
    };
    format!("{}: {how} in {header}, {keys} valid", credential.name)
}
