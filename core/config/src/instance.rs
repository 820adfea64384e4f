//! Who an instance of an app is: what its names at the brokers follow from.

/// Names an instance by its own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `NU_HOSTNAME`, or else `HOSTNAME`.
    pub hostname: String,
    /// `NU_APP_THREADS`.
    pub threads: u32,
    /// `NU_CONSUMER_GROUP_INSTANCE_ID`, with `hostname` filled in.
    pub group_instance_id: Option<String>,
}

impl Instance {
    /// Gives the transactional ids of its loops.
    #[must_use]
    pub fn transactional_ids(&self) -> Vec<String> {
        self.of_threads(&self.hostname)
    }

    /// Gives the names of its static members in the group; none without static membership.
    #[must_use]
    pub fn members(&self) -> Vec<String> {
        self.group_instance_id.as_deref().map_or_else(Vec::new, |id| self.of_threads(id))
    }

    fn of_threads(&self, name: &str) -> Vec<String> {
        (0..self.threads.max(1)).map(|thread| numbered(name, thread)).collect()
    }
}

/// Names what is one app thread's own: the name, then `name-1`, ...
#[must_use]
pub fn numbered(name: &str, thread: u32) -> String {
    if thread == 0 { name.to_owned() } else { format!("{name}-{thread}") }
}

/// Fills in what the word `hostname` stands for in `NU_CONSUMER_GROUP_INSTANCE_ID`.
pub(super) fn group_instance_id(given: Option<String>, hostname: &str) -> Option<String> {
    given.map(|id| if id == "hostname" { hostname.to_owned() } else { id })
}
