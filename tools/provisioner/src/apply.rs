//! Does what a plan says, and nothing else.
//!
//! Before anything is done every topic of the plan is looked at again. Each attribute may be as the
//! plan found it or already as it wants it, so that a plan can be applied twice, by two at once, or
//! again after its application was killed; anything else is drift, and then nothing is done.

mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nubium_admin::{Admin, ConfigChange, Mode, NewTopic, Outcome, Outcomes, Refusal};
use nubium_registry::{Registry, RegistryError, SchemaBody};

use self::steps::{Kind, Step};
use crate::ending::Error;
use crate::observed::{self, State};
use crate::plan::{Action, Plan, Standing, standing};
use crate::terminal::Progress;

/// Topics in one request: few enough for progress and for a controller's limits.
const BATCH: usize = 50;
/// How long a cluster may take to elect leaders for new partitions.
const ELECTION: Duration = Duration::from_secs(60);
/// How often, and how many times, something that another made is looked for.
const LOOK: (u32, Duration) = (25, Duration::from_millis(200));

/// Says what became of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was done now.
    pub done: Vec<String>,
    /// What had been done before, or by another at the same time.
    pub already: Vec<String>,
    /// Why it stopped, if it did.
    pub failed: Vec<String>,
    /// What was not done because of that.
    pub left: Vec<String>,
}

/// Reaches all that a plan is about.
#[derive(Debug)]
pub struct Applier<'a> {
    plan: &'a Plan,
    admins: &'a BTreeMap<String, Admin>,
    registry: Option<&'a Registry>,
    delete: &'a BTreeSet<String>,
}

impl<'a> Applier<'a> {
    /// Prepares to apply a plan; of its deletions, only those in `delete` are done.
    #[must_use]
    pub fn new(
        plan: &'a Plan,
        admins: &'a BTreeMap<String, Admin>,
        registry: Option<&'a Registry>,
        delete: &'a BTreeSet<String>,
    ) -> Self {
        Self { plan, admins, registry, delete }
    }

    /// Applies the plan.
    ///
    /// # Errors
    /// It is for another cluster, or a cluster has drifted, and nothing was done; or a cluster
    /// cannot be asked. What a broker refuses is in the report.
    pub async fn run(&self) -> Result<Report, Error> {
        let now = self.look().await?;
        let mut report = Report::default();
        let mut todo = steps::steps(self.plan, &now, self.delete, &mut report.already);
        todo.reverse();
        let progress = Progress::new(todo.len());
        while let Some(first) = todo.pop() {
            let mut batch = vec![first];
            while batch.len() < BATCH && todo.last().is_some_and(|next| next.goes_with(&batch[0])) {
                batch.extend(todo.pop());
            }
            let (count, what) = (batch.len(), batch[0].noun());
            if let Err(error) = self.batch(batch, &mut report).await {
                report.failed.push(error.to_string());
            }
            if !report.failed.is_empty() {
                report.left.extend(todo.iter().rev().map(|step| step.text.clone()));
                break;
            }
            progress.advance(count, what);
        }
        progress.finish();
        Ok(report)
    }

    fn admin(&self, cluster: &str) -> Result<&Admin, Error> {
        self.admins.get(cluster).ok_or_else(|| {
            Error::Failed(format!(
                "the plan is about cluster {cluster}, which the settings do not name"
            ))
        })
    }

    /// Looks at every topic of the plan; another cluster and drift end it here.
    async fn look(&self) -> Result<BTreeMap<String, BTreeMap<String, State>>, Error> {
        let (mut now, mut drift) = (BTreeMap::new(), Vec::new());
        for (cluster, plan) in &self.plan.clusters {
            let admin = self.admin(cluster)?;
            let id = admin.cluster().await.map_err(Error::cluster(cluster))?.id;
            if id != plan.id {
                return Err(Error::Failed(format!(
                    "the plan was made for the cluster with id {}, and {cluster} has id {id}: it \
                     is another one; nothing was done",
                    plan.id
                )));
            }
            let names: Vec<&str> = plan.topics.keys().map(String::as_str).collect();
            let found = observed::states(admin, &names).await.map_err(Error::cluster(cluster))?;
            for (name, topic) in &plan.topics {
                // A deletion that is not asked for may change as it likes.
                if topic.action == Action::Delete && !self.delete.contains(name) {
                    continue;
                }
                if let Standing::Drifted(why) = standing(topic, found.get(name)) {
                    drift.push(format!("  topic {name} on {cluster}: {why}"));
                }
            }
            now.insert(cluster.clone(), found);
        }
        match drift.is_empty() {
            true => Ok(now),
            false => Err(Error::Failed(format!(
                "the clusters have changed since the plan was made; nothing was done:\n{}\nMake a \
                 new plan.",
                drift.join("\n")
            ))),
        }
    }

    async fn batch(&self, batch: Vec<Step>, report: &mut Report) -> Result<(), Error> {
        if let Kind::Register(_) | Kind::Level(_) = batch[0].kind {
            return self.register(batch, report).await;
        }
        let cluster = batch[0].cluster.clone();
        let admin = self.admin(&cluster)?;
        let asked: Vec<String> = batch.iter().map(|step| step.text.clone()).collect();
        let outcomes = match ask(admin, &batch).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // What became of them is not known; applying again finds out.
                report.left.extend(asked);
                return Err(Error::cluster(&cluster)(error));
            }
        };
        let mut outcomes: BTreeMap<String, _> = outcomes.into_iter().collect();
        self.until_seen(admin, &batch, &outcomes).await;
        let mut made = Vec::new();
        for step in batch {
            match outcomes.remove(step.name()) {
                Some(Ok(())) => {
                    made.extend(step.leaders());
                    report.done.push(step.text);
                }
                Some(Err(refusal)) => match self.by_another(admin, &step, &refusal).await {
                    true => report.already.push(step.text),
                    false => {
                        report.failed.push(format!("{}: {refusal}", step.text));
                    }
                },
                None => report.failed.push(format!("{}: the broker says nothing of it", step.text)),
            }
        }
        let made: Vec<(&str, u32)> = made.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        if !made.is_empty() {
            admin.wait_for_leaders(&made, ELECTION).await.map_err(Error::cluster(&cluster))?;
        }
        Ok(())
    }

    /// Waits until the brokers show the configurations that the controller has taken, so that a plan
    /// made next does not ask for them again. They hold in any case, so no wait is without end.
    async fn until_seen(
        &self,
        admin: &Admin,
        batch: &[Step],
        outcomes: &BTreeMap<String, Outcome>,
    ) {
        let Some(plan) = self.plan.clusters.get(&batch[0].cluster) else { return };
        let taken = |step: &&Step| matches!(outcomes.get(step.name()), Some(Ok(())));
        let steps = batch.iter().filter(|step| matches!(step.kind, Kind::Configure { .. }));
        let steps: Vec<&Step> = steps.filter(taken).collect();
        if steps.is_empty() {
            return;
        }
        let names: Vec<&str> = steps.iter().map(|step| step.name()).collect();
        for _ in 0..LOOK.0 {
            let Ok(now) = observed::states(admin, &names).await else { return };
            let is_seen = |step: &&Step| {
                let topic = plan.topics.get(step.name());
                topic.is_none_or(|topic| step.is_done(topic, now.get(step.name())))
            };
            if steps.iter().all(is_seen) {
                return;
            }
            tokio::time::sleep(LOOK.1).await;
        }
    }

    /// Tells whether what was refused is there anyhow, because another made it meanwhile.
    async fn by_another(&self, admin: &Admin, step: &Step, refusal: &Refusal) -> bool {
        let plan = self.plan.clusters.get(&step.cluster);
        let Some(topic) = plan.and_then(|plan| plan.topics.get(step.name())) else { return false };
        for _ in 0..LOOK.0 {
            match observed::states(admin, &[step.name()]).await {
                Ok(now) if step.is_done(topic, now.get(step.name())) => return true,
                Ok(now) if step.may_appear(refusal, now.get(step.name())) => {}
                _ => return false,
            }
            tokio::time::sleep(LOOK.1).await;
        }
        false
    }

    async fn register(&self, batch: Vec<Step>, report: &mut Report) -> Result<(), Error> {
        for step in batch {
            let Some(registry) = self.registry else {
                let why = "the plan has schemas, and NU_SCHEMA_REGISTRY_URL is not set";
                return Err(Error::Failed(why.into()));
            };
            match report.failed.is_empty() {
                false => report.left.push(step.text),
                true => match put(registry, &step.kind).await {
                    Ok(Some(how)) => report.done.push(format!("{}{how}", step.text)),
                    Ok(None) => report.already.push(step.text),
                    Err(error) => report.failed.push(format!("{}: {error}", step.text)),
                },
            }
        }
        Ok(())
    }
}

/// Does a step of the registry's, and tells what came of it; `None`: it was done already.
async fn put(registry: &Registry, step: &Kind) -> Result<Option<String>, RegistryError> {
    match step {
        Kind::Level(step) if registry.level(&step.subject).await?.as_ref() == Some(&step.level) => {
            Ok(None)
        }
        Kind::Level(step) => {
            registry.set_level(&step.subject, &step.level).await?;
            Ok(Some(String::new()))
        }
        Kind::Register(step) => {
            let (schema, kind) = (&*step.schema, &*step.kind);
            let body = SchemaBody { schema, kind, references: &step.references };
            match registry.lookup_as(&step.subject, body).await {
                Ok(_) => Ok(None),
                Err(RegistryError::NotRegistered { .. }) => {
                    let id = registry.register_as(&step.subject, body).await?;
                    Ok(Some(format!(" with id {id}")))
                }
                Err(error) => Err(error),
            }
        }
        // Not the registry's.
        _ => Ok(None),
    }
}

/// Asks a cluster for a batch of the same kind.
async fn ask(admin: &Admin, batch: &[Step]) -> Result<Outcomes, nubium_admin::AdminError> {
    let name = |step: &Step| step.name().to_owned();
    match &batch[0].kind {
        Kind::Create { .. } => {
            let topics: Vec<NewTopic> = batch.iter().filter_map(Step::new_topic).collect();
            admin.create_topics(&topics, Mode::Apply).await
        }
        Kind::Grow { .. } => {
            let counts = batch.iter().filter_map(|step| match step.kind {
                Kind::Grow { partitions, .. } => Some((name(step), partitions)),
                _ => None,
            });
            admin.create_partitions(&counts.collect::<Vec<_>>(), Mode::Apply).await
        }
        Kind::Configure { .. } => {
            let changes = batch.iter().filter_map(|step| match &step.kind {
                Kind::Configure { config, .. } => {
                    let set = |(key, value): (&String, &String)| {
                        ConfigChange::Set(key.clone(), value.clone())
                    };
                    Some((name(step), config.iter().map(set).collect()))
                }
                _ => None,
            });
            admin.alter_topic_configs(&changes.collect::<Vec<_>>(), Mode::Apply).await
        }
        Kind::Grant(_) => {
            let acls = batch.iter().filter_map(|step| match &step.kind {
                Kind::Grant(acl) => Some(acl.clone()),
                _ => None,
            });
            admin.create_acls(&acls.collect::<Vec<_>>()).await
        }
        Kind::Delete => {
            let names: Vec<&str> = batch.iter().map(Step::name).collect();
            admin.delete_topics(&names).await
        }
        // Not a cluster's.
        Kind::Register(_) | Kind::Level(_) => Ok(Vec::new()),
    }
}
