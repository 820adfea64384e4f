//! Whether the settings around the app route messages as its manifest says. Pure.

use std::collections::BTreeMap;

use crate::manifest::Manifest;

/// Compares the settings of this app's own deployment, if these are such, and gives what was found
/// by the setting's name.
pub(super) fn routing(
    app: &Manifest,
    given: &BTreeMap<String, String>,
) -> Vec<(&'static str, Result<String, String>)> {
    let name = given.get("NU_APP_NAME").map_or("", |name| name.trim());
    if name != app.app && !app.groups().iter().any(|group| group == name) {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Some(chain) = &app.chain {
        let wrong = chain.compare(given);
        for (setting, _) in chain.settings() {
            let why = wrong.iter().find(|(name, _)| *name == setting).map(|(_, why)| why.clone());
            found.push((setting, why.map_or(Ok("as the chain of the manifest".into()), Err)));
        }
    }
    let lists = [
        ("NU_PRODUCE_SUCCESS_TOPICS", "output", &app.output),
        ("NU_PRODUCE_RETRY_TOPICS", "retry", &app.retry),
        ("NU_PRODUCE_FAILURE_TOPICS", "failure", &app.failure),
    ];
    for (setting, key, known) in lists {
        let is_told = found.iter().any(|(name, result)| *name == setting && result.is_err());
        let listed = given.get(setting).map_or("", String::as_str).split(',').map(str::trim);
        let nobodys: Vec<&str> = listed
            .filter(|topic| !topic.is_empty() && !known.iter().any(|one| one == topic))
            .collect();
        if !is_told && !nobodys.is_empty() {
            let why = format!(
                "{}: by its manifest the app never produces there; add it to `{key}`, or take it \
                 out of the setting",
                nobodys.join(", ")
            );
            found.push((setting, Err(why)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Manifest {
        let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        crate::manifest::parse("a.yaml", text, &none).expect("a manifest")
    }

    fn given(settings: &[(&str, &str)]) -> BTreeMap<String, String> {
        settings.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn topics_that_nobody_produces_to_are_named() {
        let app = manifest("{app: a, kind: app, input: in, output: out, failure: bad}");
        let found = routing(
            &app,
            &given(&[
                ("NU_APP_NAME", "a"),
                ("NU_PRODUCE_SUCCESS_TOPICS", "out, other"),
                ("NU_PRODUCE_FAILURE_TOPICS", "bad"),
                ("NU_PRODUCE_RETRY_TOPICS", "later"),
            ]),
        );
        let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["NU_PRODUCE_SUCCESS_TOPICS", "NU_PRODUCE_RETRY_TOPICS"]);
        assert!(found[0].1.as_ref().is_err_and(|why| why.starts_with("other: ")), "{found:?}");
        let other = given(&[("NU_APP_NAME", "b"), ("NU_PRODUCE_SUCCESS_TOPICS", "x")]);
        assert_eq!(routing(&app, &other), []);
    }

    #[test]
    fn a_deployments_settings_are_held_to_the_chain() {
        let app = manifest(
            "{app: a, kind: app, retries: {stem: s, delays_minutes: [0.5, 30], deployments: each}}",
        );
        let mut settings = given(&[
            ("NU_APP_NAME", "a_Retry2"),
            ("NU_PRODUCE_RETRY_TOPICS", "s_Retry1, s_Retry2"),
            ("NU_RETRY_DELAYS_MINUTES", "0.50,30.0"),
            ("NU_PRODUCE_FAILURE_TOPICS", "s_Failure"),
        ]);
        assert!(routing(&app, &settings).iter().all(|(_, found)| found.is_ok()));
        settings.insert("NU_RETRY_DELAYS_MINUTES".into(), "30,5".into());
        settings.remove("NU_PRODUCE_FAILURE_TOPICS");
        let found = routing(&app, &settings);
        let wrong: Vec<_> = found.iter().filter(|(_, found)| found.is_err()).collect();
        assert_eq!(wrong.len(), 2, "{found:?}");
        assert!(format!("{wrong:?}").contains("30,5; the chain of the manifest is 0.5,30"));
    }
}
