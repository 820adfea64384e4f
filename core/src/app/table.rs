//! The table of an app: what the builder says, what is checked at the start, and what each loop
//! gets.

use super::App;
use super::running::Running;
use crate::engine::Tables;
use crate::kafka::settings::{changelog_properties, instance_name};
use crate::kafka::topics::{TopicFacts, TopicTrouble, create_compacted, facts, partition_count};
use crate::kafka::{EndsClient, KafkaChangelog, Waker};
use crate::transaction::TableDesk;
use anyhow::Context as _;
use nubium_config::Config;
use nubium_host::{Exit, Failure, Or as _, Outcome};
use nubium_registry::TopicEncoder;
use nubium_table_store::{
    Applier, Framing, Keeper, KeeperHandle, KeeperSettings, Spelling, Table, TableReader, Terms,
};
use nubium_topic::{Topic, changelog_of};
use std::sync::Arc;
use std::time::Duration;

/// How long the log's end is waited for while a transaction is held up by the question.
const END: Duration = Duration::from_secs(2);

impl App {
    /// Keeps a table: one entry a key, read and written in the function by the key of the message
    /// at hand. Such an app consumes one topic. See docs/table.md.
    pub fn table(self) -> Self {
        self.table_with(Table::default())
    }

    /// Keeps a table in a way of its own.
    pub fn table_with(mut self, table: Table) -> Self {
        self.table = Some(table);
        self
    }

    /// Follows another app's changelog, to look entries up in that app's table. Nothing is handled
    /// before it was read to its end once. Can be said several times.
    pub fn lookup(mut self, changelog: impl Into<String>) -> Self {
        self.lookups.push(changelog.into());
        self
    }

    /// Gives a reader of the app's table, for look-ups from other threads while it runs.
    #[must_use]
    pub fn table_reader(&self) -> TableReader {
        self.tables.clone()
    }
}

/// What is known of an app's tables once the start has been checked.
pub(super) struct Started {
    pub(super) reader: TableReader,
    changelog: Option<(Topic, Framing)>,
    settings: KeeperSettings,
    ttl: Option<Duration>,
    ends: EndsClient,
}

/// What one loop gets.
pub(super) struct LoopTable {
    pub(super) tables: Tables,
    pub(super) applier: Option<Applier>,
    pub(super) desk: Option<TableDesk>,
}

impl Running {
    /// Checks input and changelog, and prepares the changelog's schemas. `None`: the app has no
    /// table and looks none up, or it was stopped meanwhile.
    pub(super) fn start_tables(
        &self,
        cluster: &nubium_config::Cluster,
    ) -> Outcome<Option<Started>> {
        if self.table.is_none() && self.lookups.is_empty() {
            return Ok(None);
        }
        let properties = changelog_properties(&self.config, cluster, 0, "read_uncommitted");
        let ends = EndsClient::new(properties.expose()).context("Kafka client").or_refused()?;
        let mut settings = KeeperSettings {
            key_id: 0,
            changelog: None,
            topic_ids: Vec::new(),
            delete_retention: None,
            lookups: Vec::new(),
            standby_replicas: 0,
            own_ids: (0..self.config.app.threads).map(|n| instance_name(&self.config, n)).collect(),
        };
        for topic in &self.lookups {
            let found = self
                .ask(topic, || self.runtime.block_on(facts(&ends, properties.expose(), topic)))?;
            if found.partitions == 0 {
                return Err(Failure::from(anyhow::anyhow!(
                    "the changelog {topic} to look up is missing"
                )));
            }
            let topic = Topic::named(topic);
            settings.lookups.push((topic, found.partitions));
            settings.topic_ids.push((topic, found.id));
        }
        let (mut changelog, mut partitions) = (None, 0);
        if let Some(table) = &self.table {
            let name = changelog_of(&self.config.app.name);
            let found = self.check_changelog(&ends, properties.expose(), &name)?;
            let Some(encoder) = self.changelog_encoder(&name)? else { return Ok(None) };
            let marker = self.config.table.delete_marker;
            let framing = Framing { key: encoder.key_id(), value: encoder.value_id(), marker };
            let topic = Topic::named(&name);
            partitions = found.partitions;
            changelog = Some((topic, framing));
            settings.changelog = Some(topic);
            settings.key_id = framing.key.0;
            settings.topic_ids.push((topic, found.id));
            settings.delete_retention = found.delete_retention;
            let replicas = table.standby_replicas.unwrap_or(self.config.table.standby_replicas);
            settings.standby_replicas = replicas as usize;
        }
        let ttl = self.table.as_ref().and_then(|table| table.ttl.or(self.config.table.ttl));
        let terms = Terms {
            app: self.config.app.name.clone(),
            instance: self.config.app.hostname.clone(),
            changelog: changelog_of(&self.config.app.name),
            partitions,
            root: self.config.table.path.clone(),
            ttl,
        };
        let reader = self.tables.clone();
        reader.0.set_terms(terms, &self.metrics);
        reader.0.note_spelling(Spelling::Avro(settings.key_id));
        Ok(Some(Started { reader, changelog, settings, ttl, ends }))
    }

    /// Asks the brokers until they answer or the app is to stop.
    fn ask<T>(&self, topic: &str, question: impl Fn() -> Result<T, TopicTrouble>) -> Outcome<T> {
        let mut attempt = 0;
        loop {
            match question() {
                Ok(answer) => return Ok(answer),
                Err(error) if attempt < 20 && !self.stop.requested() => {
                    attempt += 1;
                    let error = format!("{:#}", anyhow::Error::new(error));
                    tracing::warn!(topic, error, "The topic cannot be looked at, trying again.");
                    std::thread::sleep(Duration::from_millis(500));
                }
                Err(error) => {
                    let what = format!("{topic} cannot be looked at");
                    return Err(anyhow::Error::new(error).context(what).into());
                }
            }
        }
    }

    fn check_changelog(
        &self,
        ends: &EndsClient,
        properties: &std::collections::BTreeMap<String, String>,
        name: &str,
    ) -> Outcome<TopicFacts> {
        let [input] = self.consume.as_slice() else {
            let topics = self.consume.join(", ");
            let error = anyhow::anyhow!(
                "a table app consumes one topic, for its entries live beside the partitions of \
                 that topic; it is given {topics}"
            );
            return Err(Failure { exit: Exit::BadSettings, error });
        };
        let of_input = self.ask(input, || partition_count(ends, input))?;
        let look = || self.runtime.block_on(facts(ends, properties, name));
        let mut found = self.ask(name, look)?;
        if found.partitions == 0 && of_input > 0 && self.config.table.create_changelog {
            self.ask(name, || self.runtime.block_on(create_compacted(properties, name, of_input)))?;
            tracing::info!(topic = name, partitions = of_input, "Made the changelog.");
            found = self.ask(name, || match look() {
                Ok(found) if found.partitions == 0 => Err(TopicTrouble::NotYet),
                found => found,
            })?;
        }
        match judge(input, of_input, name, &found) {
            Ok(warning) => {
                warning.into_iter().for_each(|warning| tracing::warn!("{warning}"));
                Ok(found)
            }
            Err(error) => Err(Failure::refused(error)),
        }
    }

    fn changelog_encoder(&self, name: &str) -> Outcome<Option<TopicEncoder>> {
        let schema = nubium_registry::STRING_SCHEMA;
        self.prepare_output(name, schema)
    }
}

/// Decides whether a changelog fits its input. `Ok` may hold a warning.
fn judge(
    input: &str,
    of_input: i32,
    changelog: &str,
    found: &TopicFacts,
) -> Result<Option<String>, String> {
    if of_input == 0 {
        return Err(format!("the input topic {input} is missing"));
    }
    if found.partitions == 0 {
        return Err(format!(
            "the changelog {changelog} is missing: create it with {of_input} partitions and \
             cleanup.policy=compact (nubium-provision does), or set NU_TABLE_CREATE_CHANGELOG=true"
        ));
    }
    if found.partitions != of_input {
        return Err(format!(
            "{input} has {of_input} partitions and its changelog {changelog} has {}: they must be \
             equal, for the entries of a partition's messages are in the same partition of the \
             changelog",
            found.partitions
        ));
    }
    match found.cleanup_policy.as_deref() {
        Some(policy) if !policy.contains("compact") => Err(format!(
            "the changelog {changelog} has cleanup.policy={policy}: entries that are not updated \
             would vanish from it with time. Set cleanup.policy=compact"
        )),
        Some(policy) if policy.contains("delete") => Ok(Some(format!(
            "the changelog {changelog} has cleanup.policy={policy}: entries older than its \
             retention are lost with the local store. Use compact alone, and NU_TABLE_TTL_SECONDS \
             for entries that are to expire"
        ))),
        _ => Ok(None),
    }
}

impl Started {
    /// Makes what a loop needs; only the first one keeps copies of other tables.
    pub(super) fn for_loop(
        &self,
        config: &Config,
        cluster: &nubium_config::Cluster,
        input: &str,
        number: u32,
        waker: Waker,
    ) -> Outcome<LoopTable> {
        let properties = changelog_properties(config, cluster, number, "read_committed");
        let group = &config.app.name;
        let source = KafkaChangelog::new(properties.expose(), self.ends.clone(), group, input)
            .context("changelog reader")
            .or_refused()?;
        let mut settings = self.settings.clone();
        if number > 0 {
            settings.lookups.clear();
            settings.standby_replicas = 0;
        }
        let shared = Arc::clone(&self.reader.0);
        let parts = Keeper::new(source, Arc::clone(&shared), settings, waker);
        let keeper = KeeperHandle::start(&format!("nubium-table-{number}"), parts);
        let keeper = keeper.context("table thread").or_host()?;
        let (topic, framing) = self.changelog.unzip();
        let lookups = !self.settings.lookups.is_empty();
        let tables = Tables::new(Arc::clone(&shared), keeper, topic, lookups);
        let ends = self.ends.clone();
        let applier = topic.zip(framing).map(|(topic, framing)| {
            let ends = Box::new(move |of: &[_]| ends.ends(of, END).ok());
            Applier::new(Arc::clone(&shared), topic, framing.key.0, ends)
        });
        let desk = topic.zip(framing).map(|(changelog, framing)| TableDesk {
            shared: Arc::clone(&shared),
            changelog,
            framing,
            ttl: self.ttl,
            app: config.app.name.clone(),
        });
        Ok(LoopTable { tables, applier, desk })
    }

    /// What the loops look other tables up in.
    pub(super) fn lookups(&self) -> Option<Arc<nubium_table_store::Shared>> {
        (!self.settings.lookups.is_empty()).then(|| Arc::clone(&self.reader.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(partitions: i32, policy: Option<&str>) -> TopicFacts {
        let cleanup_policy = policy.map(str::to_owned);
        TopicFacts { partitions, cleanup_policy, ..TopicFacts::default() }
    }

    #[test]
    fn a_changelog_that_does_not_fit_is_refused_with_what_to_do() {
        for (of_input, found, says) in [
            (0, found(4, None), &["in is missing"][..]),
            (4, found(0, None), &["log is missing", "4 partitions"]),
            (4, found(3, Some("compact")), &["in has 4 partitions", "log has 3"]),
            (4, found(4, Some("delete")), &["cleanup.policy=delete", "compact"]),
        ] {
            let error = judge("in", of_input, "log", &found).unwrap_err();
            assert!(says.iter().all(|text| error.contains(text)), "{error}");
        }
    }

    #[test]
    fn a_changelog_that_fits_may_carry_a_warning() {
        assert_eq!(judge("in", 4, "log", &found(4, Some("compact"))), Ok(None));
        assert_eq!(judge("in", 4, "log", &found(4, None)), Ok(None), "not allowed to ask");
        let warning = judge("in", 4, "log", &found(4, Some("compact,delete"))).unwrap();
        assert!(warning.unwrap().contains("retention"));
    }
}
