//! The Secrets that a team makes by hand: values that must never be seen again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use rand::distr::{Alphanumeric, SampleString as _};

/// The users at the brokers, as the fleet's settings name them.
pub const USERS: [&str; 6] =
    ["http-receiver", "funnel", "table", "batch-uploader", "provision", "dude"];

/// Secrets by name, each a map of keys to texts.
#[derive(Debug, Clone)]
pub struct Secrets {
    maps: BTreeMap<String, BTreeMap<String, String>>,
    canaries: Vec<String>,
}

impl Secrets {
    /// Makes passwords for every user, and the Secret of what is trusted.
    pub fn new(trust: &[(&str, String)]) -> Self {
        let mut secrets = Self { maps: BTreeMap::new(), canaries: Vec::new() };
        for user in USERS {
            for key in ["kafka-password", "registry-password"] {
                secrets.make(&format!("{user}-secrets"), key);
            }
        }
        secrets.make("batch-uploader-secrets", "api-token");
        secrets.make("http-receiver-secrets", "forms.keys");
        let trust = trust.iter().map(|(key, text)| ((*key).to_owned(), text.clone()));
        secrets.maps.insert("nubium-trust".into(), trust.collect());
        secrets
    }

    fn make(&mut self, secret: &str, key: &str) {
        let value = format!("canary-{}", Alphanumeric.sample_string(&mut rand::rng(), 24));
        self.canaries.push(value.clone());
        self.maps.entry(secret.into()).or_default().insert(key.into(), value);
    }

    /// Gives a Secret; none if nobody has made it.
    pub fn get(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.maps.get(name)
    }

    /// Gives one value.
    ///
    /// # Panics
    /// There is none: the names are this crate's own.
    pub fn value(&self, secret: &str, key: &str) -> &str {
        &self.maps[secret][key]
    }

    /// Gives the password of a user at the brokers.
    pub fn password(&self, user: &str) -> &str {
        self.value(&format!("{user}-secrets"), "kafka-password")
    }

    /// Finds the files below a directory that show a secret.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn seen_in(&self, directory: &Path) -> Result<Vec<String>> {
        let mut seen = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
            if self.canaries.iter().any(|canary| text.contains(canary)) {
                seen.push(path.display().to_string());
            }
        }
        Ok(seen)
    }
}
