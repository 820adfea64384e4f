//! `batch-uploader check`: would `batch-uploader run` work? Sends no message and changes nothing.

use std::collections::BTreeSet;

use anyhow::Context as _;
use nubium_service::check::{Checks, Finding};

use crate::auth::Authorizer;
use crate::client;
use crate::settings::Settings;
use crate::start::{self, Start};

/// Adds the uploader's own findings.
pub fn add(start: &Start, checks: &mut Checks<'_>) {
    let Start { config, settings, .. } = start;
    checks.registry();
    checks.runtime().block_on(api(settings)).into_iter().for_each(|finding| checks.add(finding));
    let mut topics: BTreeSet<_> = start::topics(start).into_iter().collect();
    topics.extend(config.routes.retry.iter().map(String::as_str));
    topics.extend(settings.produce.as_ref().map(|produce| produce.topic.as_str()));
    topics.extend(config.routes.failure.iter().map(String::as_str));
    checks.topics(&topics);
}

/// Whether credentials can be had, and whether anything answers at the URL: what it answers to
/// OPTIONS says nothing about the requests to come.
async fn api(settings: &Settings) -> Vec<Finding> {
    let made = client::new(settings);
    let client = match made {
        Ok(client) => client,
        Err(error) => return vec![Finding::of("API", Err(error))],
    };
    let auth = Authorizer::new(settings.auth.clone(), client.clone());
    let credentials = auth.header().await.map(|header| match header {
        Some(_) => "at hand".to_owned(),
        None => "none".to_owned(),
    });
    let url = &settings.request.url;
    let answered = client.request(reqwest::Method::OPTIONS, url.clone()).send().await;
    let answered = answered
        .map(|response| format!("{url} answers ({} to OPTIONS)", response.status().as_u16()))
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("{url} does not answer"));
    vec![Finding::of("credentials", credentials), Finding::of("API", answered)]
}
