//! A retry chain: one description from which topics, rights and the app's settings follow.

use std::collections::BTreeMap;

/// Describes a chain of topics for messages that are tried again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// What its topics' names start with.
    pub stem: String,
    /// How long a message waits before each retry, in minutes as they are written.
    pub delays: Vec<String>,
    /// The partitions of topics that are made; as the input when not given.
    pub partitions: Option<u32>,
    /// Whether each retry topic has a deployment of its own, with a group of its own.
    pub each: bool,
}

impl Chain {
    /// The topic that a message comes from when the app has no other input.
    #[must_use]
    pub fn first(&self) -> String {
        format!("{}_FirstTry", self.stem)
    }

    /// The retry topics, in order.
    #[must_use]
    pub fn retries(&self) -> Vec<String> {
        (1..=self.delays.len()).map(|number| format!("{}_Retry{number}", self.stem)).collect()
    }

    /// Where a message goes after the last retry.
    #[must_use]
    pub fn failure(&self) -> String {
        format!("{}_Failure", self.stem)
    }

    /// The groups of the deployments that read the retry topics.
    #[must_use]
    pub fn groups(&self, app: &str) -> Vec<String> {
        let count = if self.each { self.delays.len() } else { 0 };
        (1..=count).map(|number| format!("{app}_Retry{number}")).collect()
    }

    /// The settings that every deployment of the app must have.
    #[must_use]
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("NU_PRODUCE_RETRY_TOPICS", self.retries().join(",")),
            ("NU_RETRY_DELAYS_MINUTES", self.delays.join(",")),
            ("NU_PRODUCE_FAILURE_TOPICS", self.failure()),
        ]
    }

    /// Compares the settings around the app with those that it must have: what is wrong, by name.
    #[must_use]
    pub fn compare(&self, given: &BTreeMap<String, String>) -> Vec<(&'static str, String)> {
        let wrong = |(name, wanted): (&'static str, String)| {
            let has = given.get(name).map_or("", String::as_str);
            (spread(has) != spread(&wanted)).then(|| match has.trim() {
                "" => (name, format!("not set; the chain of the manifest is {wanted}")),
                has => (name, format!("{has}; the chain of the manifest is {wanted}")),
            })
        };
        self.settings().into_iter().filter_map(wrong).collect()
    }
}

/// A list as it is meant: without spaces, numbers by their value.
fn spread(list: &str) -> Vec<String> {
    let plain = |part: &str| match part.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => part.to_owned(),
    };
    list.split(',').map(str::trim).filter(|part| !part.is_empty()).map(plain).collect()
}
