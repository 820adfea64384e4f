//! `batch-uploader config`: what is in force.

use nubium_service::terminal;

use crate::settings::{Auth, Proof, Settings};
use crate::start::{self, Start};

/// Prints the uploader's own settings.
pub fn show(start: &Start) {
    let mut table = terminal::table(&["Setting", "Value"]);
    table.add_row(["topics", start::topics(start).join(", ").as_str()]);
    for (name, value) in own(&start.settings, start::tries(start)) {
        table.add_row([name, value.as_str()]);
    }
    terminal::show(table);
}

fn own(settings: &Settings, tries: u32) -> Vec<(&'static str, String)> {
    let Settings { request, batch, limits, retry, .. } = settings;
    let words = |debug: String| debug.to_lowercase();
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}"));
    let tries = if tries == u32::MAX { "for ever".to_owned() } else { tries.to_string() };
    let rate = limits.requests_per_second;
    let url = match &request.address {
        Some(_) => format!("{}… {}", request.url, request.endpoint),
        None => request.url.to_string(),
    };
    let method = request.method.to_string();
    vec![
        ("request.url", url),
        ("request.method", request.methods.as_ref().map_or(method, |it| format!("{it:?}"))),
        ("request.headers", headers.collect::<Vec<_>>().join(", ")),
        ("request.name", request.name.clone()),
        ("request.endpoint", request.endpoint.clone()),
        ("request.body", words(format!("{:?}", request.body))),
        ("request.item", words(format!("{:?}", request.item))),
        ("request.gzip", request.gzip.to_string()),
        ("request.timeout_seconds", request.timeout.as_secs_f64().to_string()),
        ("request.idempotency_header", request.idempotency_header.clone().unwrap_or_default()),
        ("auth", credentials(&settings.auth)),
        ("batch", format!("{} messages, {} bytes, {:?}", batch.count, batch.bytes, batch.time)),
        ("limits.concurrency", limits.concurrency.to_string()),
        ("limits.requests_per_second", rate.map_or("none".into(), |rate| rate.to_string())),
        ("retry.tries", tries),
        ("retry.backoff", format!("{:?} to {:?}", retry.backoff, retry.backoff_max)),
        ("answer", settings.answer.as_ref().map_or("status alone".into(), |a| format!("{a:?}"))),
    ]
}

fn credentials(auth: &Auth) -> String {
    match auth {
        Auth::None => "none".into(),
        Auth::Basic { username, password_file } => {
            format!("basic, {username}, {}", password_file.display())
        }
        Auth::Bearer { token_file } => format!("bearer, {}", token_file.display()),
        Auth::OAuth2(oauth) => format!(
            "oauth2, {}, {} of {}",
            oauth.token_url,
            oauth.client_id,
            match &oauth.proof {
                Proof::Secret { file, .. } | Proof::Key { file, .. } => file.display(),
            }
        ),
    }
}
