use nubium_local::{Answer, Api, Registry as Local};
use tokio::runtime::Handle;

use super::{Compatibility, Registry};
use crate::RegistryConfig;

const V1: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
const V2: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
    {"name":"b","type":"string","default":"none"}]}"#;
const BAD: &str = r#"{"type":"record","name":"R","fields":[{"name":"c","type":"int"}]}"#;

#[tokio::test]
async fn the_verdict_is_the_registrys_and_nothing_is_registered() {
    let local = Local::start().unwrap();
    let config = RegistryConfig::new(&format!("http://{}", local.address()));
    let registry = Registry::new(config, Handle::current()).unwrap();
    assert!(!registry.has_subject("t-value").await.unwrap());
    local.register("t-value", V1).unwrap();
    for (schema, fits) in [(V1, true), (V2, true), (BAD, false)] {
        let verdict = registry.compatible("t-value", schema).await.unwrap();
        assert_eq!(verdict == Compatibility::Compatible, fits, "{schema}: {verdict:?}");
        assert_eq!(matches!(verdict, Compatibility::Incompatible(_)), !fits, "{verdict:?}");
    }
    // Without a subject some registries say that it fits, others that there is none.
    let verdict = registry.compatible("new-value", BAD).await.unwrap();
    assert!(!matches!(verdict, Compatibility::Incompatible(_)), "{verdict:?}");
    assert!(registry.has_subject("t-value").await.unwrap());
    assert!(!registry.has_subject("new-value").await.unwrap());
    assert!(registry.compatible("t-value", "{").await.is_err());
}

const A: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
const A_B: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
    {"name":"b","type":"string","default":"x"}]}"#;
const A_B_BARE: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
    {"name":"b","type":"string"}]}"#;

#[tokio::test]
async fn every_level_is_asked_about_as_registering_is() {
    let local = Local::start().unwrap();
    let registry = Registry::new(RegistryConfig::new(&local.url()), Handle::current()).unwrap();
    let client = reqwest::Client::new();
    for level in nubium_formats::topic::LEVELS {
        for history in [[A, A_B], [A_B_BARE, A_B], [A_B, A], [A, BAD]] {
            for schema in [A, A_B, A_B_BARE, BAD] {
                let subject = format!("{level}-{}-value", local.requests().len());
                for earlier in history {
                    local.register(&subject, earlier).unwrap();
                }
                let put = client.put(format!("{}/config/{subject}", local.url()));
                let body = format!(r#"{{"compatibility":"{level}"}}"#);
                assert!(put.body(body).send().await.unwrap().status().is_success());
                let verdict = registry.compatible(&subject, schema).await.unwrap();
                let taken = registry.register(&subject, schema).await;
                // What is registered already is registered again, whatever its level.
                let known = history.contains(&schema);
                let same = (verdict == Compatibility::Compatible) == taken.is_ok();
                assert!(same || known, "{level} {history:?} {schema}: {verdict:?} {taken:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_registry_that_compares_with_one_version_alone_is_asked_about_each() {
    for (status, level, asked) in [
        (404, "BACKWARD_TRANSITIVE", vec!["versions", "versions/1", "versions/3"]),
        (405, "FULL_TRANSITIVE", vec!["versions", "versions/1", "versions/3"]),
        (404, "BACKWARD", vec!["versions/latest"]),
    ] {
        let api = Api::start(move |request, _| {
            let path = request.path.split('?').next().unwrap_or_default();
            match path {
                "/compatibility/subjects/s/versions" => Answer::status(status),
                "/subjects/s/versions" => Answer::body(200, "[1,3]"),
                "/config/s" => Answer::status(404),
                "/config" => Answer::body(200, format!(r#"{{"compatibilityLevel":"{level}"}}"#)),
                _ => Answer::body(200, r#"{"is_compatible":true}"#),
            }
        })
        .unwrap();
        let config = RegistryConfig::new(&api.url(""));
        let registry = Registry::new(config, Handle::current()).unwrap();
        let verdict = registry.compatible("s", A).await.unwrap();
        assert_eq!(verdict, Compatibility::Compatible);
        let requests = api.requests();
        let paths = requests.iter().filter_map(|request| {
            let path = request.path.strip_prefix("/compatibility/subjects/s/")?;
            path.split('?').next()
        });
        assert_eq!(paths.collect::<Vec<_>>(), asked, "{status} {level}");
    }
}
