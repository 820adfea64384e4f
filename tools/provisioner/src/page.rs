//! The page of topics, schemas and who reads and writes them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use nubium_config::{Topic, Topology};

use crate::manifest::Manifest;

/// Who has to do with a topic.
#[derive(Default)]
struct Users<'m> {
    writers: BTreeSet<&'m str>,
    readers: BTreeSet<&'m str>,
    schemas: BTreeSet<String>,
}

/// Writes the page: a graph (Mermaid, which GitHub, GitLab and many wikis draw), then tables.
#[must_use]
pub fn page(topology: &Topology, manifests: &[Manifest]) -> String {
    let topics = users(topology, manifests);
    let mut page = String::from(
        "# Topics\n\nWritten by `nubium-provision docs` from the map of topics and the apps' \
         manifests.\n\n",
    );
    graph(&mut page, &topics, manifests);
    page.push_str(
        "\n## Topics\n\n| topic | cluster | partitions | copies | configuration | written by | \
         read by | schemas |\n| --- | --- | ---: | ---: | --- | --- | --- | --- |\n",
    );
    for (name, users) in &topics {
        let mapped = topology.topics.get(name);
        let cells = [
            format!("`{name}`"),
            mapped.map_or_else(String::new, |topic| topic.cluster.clone()),
            derived(mapped.and_then(|topic| topic.num_partitions), name, manifests),
            derived(mapped.and_then(|topic| topic.replication_factor), name, manifests),
            mapped.map_or_else(String::new, config),
            list(users.writers.iter().copied()),
            list(users.readers.iter().copied()),
            list(users.schemas.iter().map(String::as_str)),
        ];
        row(&mut page, &cells);
    }
    if !manifests.is_empty() {
        page.push_str("\n## Apps\n\n| app | kind | reads | writes | user |\n");
        page.push_str("| --- | --- | --- | --- | --- |\n");
        for manifest in manifests {
            let (reads, writes) = (manifest.reads(), manifest.writes());
            let cells = [
                manifest.app.clone(),
                manifest.kind.name().to_owned(),
                list(reads.iter().map(String::as_str)),
                list(writes.iter().map(String::as_str)),
                manifest.principal.clone().unwrap_or_default(),
            ];
            row(&mut page, &cells);
        }
    }
    page
}

fn users<'m>(topology: &Topology, manifests: &'m [Manifest]) -> BTreeMap<String, Users<'m>> {
    let mut topics: BTreeMap<String, Users<'m>> = BTreeMap::new();
    for name in topology.topics.keys() {
        topics.entry(name.clone()).or_default();
    }
    for manifest in manifests {
        for name in manifest.reads() {
            topics.entry(name).or_default().readers.insert(&manifest.app);
        }
        for name in manifest.writes() {
            topics.entry(name).or_default().writers.insert(&manifest.app);
        }
        for (subject, schema) in manifest.subjects() {
            let topic = subject.strip_suffix("-value").or(subject.strip_suffix("-key"));
            if let Some(users) = topic.and_then(|topic| topics.get_mut(topic)) {
                users.schemas.insert(format!("{subject} ({})", schema.file));
            }
        }
    }
    topics
}

fn graph(page: &mut String, topics: &BTreeMap<String, Users<'_>>, manifests: &[Manifest]) {
    page.push_str("```mermaid\nflowchart LR\n");
    let numbers: BTreeMap<&str, usize> =
        topics.keys().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
    for (name, number) in &numbers {
        let _ = writeln!(page, "  t{number}[(\"{name}\")]");
    }
    for (number, manifest) in manifests.iter().enumerate() {
        // A name is free text; a quote would end the label.
        let app = manifest.app.replace('"', "'");
        let _ = writeln!(page, "  a{number}[\"{app}<br/>{}\"]", manifest.kind.name());
        for topic in manifest.reads().iter().filter_map(|name| numbers.get(name.as_str())) {
            let _ = writeln!(page, "  t{topic} --> a{number}");
        }
        for topic in manifest.writes().iter().filter_map(|name| numbers.get(name.as_str())) {
            let _ = writeln!(page, "  a{number} --> t{topic}");
        }
    }
    page.push_str("```\n");
}

/// A number of the map, or where it comes from.
fn derived<N: ToString>(number: Option<N>, name: &str, manifests: &[Manifest]) -> String {
    if let Some(number) = number {
        return number.to_string();
    }
    let made = |manifest: &&Manifest| {
        manifest.changelog().as_deref() == Some(name)
            || manifest.retry.iter().chain(&manifest.failure).any(|topic| topic == name)
    };
    match manifests.iter().find(made) {
        Some(manifest) => format!("as {}", manifest.input.join(", ")),
        None => String::new(),
    }
}

fn config(topic: &Topic) -> String {
    let values: Vec<_> = topic.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
    values.join(", ")
}

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

fn row(page: &mut String, cells: &[String]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::manifest::parse;
    use nubium_config::Topology;

    #[test]
    fn the_page_draws_who_reads_and_writes() {
        let vars = [
            ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", r#"{"main": {"url": "broker:9092"}}"#),
            (
                "NU_TOPIC_CONFIGS_JSON",
                r#"{"in": {"cluster": "main", "configs": {"num_partitions": 3,
                    "config": {"retention.ms": 60000}}}, "alone": {"cluster": "main"}}"#,
            ),
        ];
        let vars = vars.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let topology = Topology::from_vars(vars, nubium_config::Clusters::Needed).unwrap();
        let manifest = "{app: t, kind: table, input: in, output: out}";
        let manifest = parse("t.yaml", manifest, &|_| unreachable!("no schema")).unwrap();
        let page = page(&topology, &[manifest]);
        for line in [
            "| `in` | main | 3 |  | retention.ms=60000 |  | t |  |",
            "| `alone` | main |  |  |  |  |  |  |",
            "| `t__changelog` |  | as in | as in |  | t | t | t__changelog-key (built in), \
             t__changelog-value (built in) |",
            "| t | table | in, t__changelog | out, t__changelog |  |",
            "  a0[\"t<br/>table\"]",
            "  t1 --> a0",
            "  a0 --> t2",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
