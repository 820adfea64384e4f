//! `nubium-provision check`: may the app start? Asks as the app, with its own user.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nubium_admin::{AclOperation, Admin, AdminError, GroupDescription, TopicDescription};
use nubium_config::{Instance, Topology};
use nubium_registry::{Registry, RegistryError};
use serde::Serialize;

use crate::cli::CheckOptions;
use crate::desired::cluster_of;
use crate::ending::{Ending, Error};
use crate::manifest::Manifest;
use crate::start::Start;
use crate::{subjects, terminal};

mod rejoin;
mod routing;
use rejoin::rejoin;
use routing::routing;

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_secs(2);

/// Says what one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    app: String,
    what: String,
    passed: bool,
    found: String,
}

/// Checks and prints a table; ends with 1 if anything is missing.
pub(super) async fn run(manifests: &[String], options: &CheckOptions) -> Result<Ending, Error> {
    let start = Start::load(manifests)?;
    let apps = chosen(&start, &options.app)?;
    let deadline = Instant::now() + Duration::from_secs(options.wait);
    loop {
        let findings = check(&start, &apps).await;
        let fits = findings.as_ref().is_ok_and(|found| found.iter().all(|one| one.passed));
        if fits && options.rejoin {
            rejoin(&start, &apps).await?;
        }
        if fits || Instant::now() >= deadline || findings.as_ref().is_err_and(stays) {
            return report(&findings?, options.json);
        }
        let missing = match &findings {
            Ok(found) => {
                let failed = found.iter().filter(|one| !one.passed);
                failed.map(|one| one.what.as_str()).collect::<Vec<_>>().join(", ")
            }
            Err(error) => error.to_string(),
        };
        terminal::tell(format!("Not yet: {missing}. Looking again in {} s.", PAUSE.as_secs()));
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells whether looking again gives the same error, or counts as another wrong password.
fn stays(error: &Error) -> bool {
    error.ending() != Ending::Refused
        || matches!(error, Error::Cluster { error: AdminError::NotLetIn { .. }, .. })
}

/// The manifests of the apps that are named, or all.
fn chosen<'s>(start: &'s Start, names: &[String]) -> Result<Vec<&'s Manifest>, Error> {
    let known = || start.manifests.iter().map(|manifest| manifest.app.as_str());
    if start.manifests.is_empty() {
        let why = "check needs the app's manifest: --manifests, or NU_PROVISION_MANIFESTS";
        return Err(Error::Failed(why.into()));
    }
    if let Some(name) = names.iter().find(|name| !known().any(|app| app == name.as_str())) {
        let apps: Vec<&str> = known().collect();
        return Err(Error::Failed(format!(
            "no manifest is for app {name}; there are some for {}",
            apps.join(", ")
        )));
    }
    let wanted = |manifest: &&Manifest| names.is_empty() || names.contains(&manifest.app);
    Ok(start.manifests.iter().filter(wanted).collect())
}

async fn check(start: &Start, apps: &[&Manifest]) -> Result<Vec<Finding>, Error> {
    let mut placed = BTreeMap::new();
    for app in apps {
        let cluster = cluster_of(&start.topology, app).map_err(Error::Failed)?;
        placed.entry(cluster.to_owned()).or_insert_with(Vec::new).push(*app);
    }
    let clusters: Vec<String> = placed.keys().cloned().collect();
    let admins = start.connect(&clusters).await?;
    // The settings are of one instance of one app.
    let instance = start.topology.instance.as_ref().filter(|_| apps.len() == 1);
    let mut findings = Vec::new();
    for (cluster, apps) in &placed {
        let Some(admin) = admins.get(cluster) else { continue };
        for app in apps {
            let mut one = Check { app, findings: &mut findings };
            for (setting, result) in routing(app, &std::env::vars().collect()) {
                one.note(setting, result);
            }
            one.topics(admin).await.map_err(Error::cluster(cluster))?;
            one.groups(admin, instance).await.map_err(Error::cluster(cluster))?;
            one.transactional_ids(admin, instance).await.map_err(Error::cluster(cluster))?;
        }
    }
    let needed = apps.iter().any(|app| !app.subjects().is_empty());
    if needed {
        let auto = start.topology.registry.as_ref().is_some_and(|settings| settings.auto_register);
        let registry = start.registry()?;
        for app in apps {
            let mut one = Check { app, findings: &mut findings };
            one.schemas(&start.topology, &registry, auto).await?;
        }
    }
    Ok(findings)
}

/// The checks of one app.
struct Check<'c> {
    app: &'c Manifest,
    findings: &'c mut Vec<Finding>,
}

impl Check<'_> {
    fn note(&mut self, what: impl Into<String>, found: Result<String, String>) {
        let passed = found.is_ok();
        let found = found.unwrap_or_else(|why| why);
        self.findings.push(Finding { app: self.app.app.clone(), what: what.into(), passed, found });
    }

    /// That every topic is there, that the user may use it, and that a table's changelog fits.
    async fn topics(&mut self, admin: &Admin) -> Result<(), AdminError> {
        let (reads, writes) = (self.app.reads(), self.app.writes());
        let all: Vec<&str> = reads.union(&writes).map(String::as_str).collect();
        let mut found = BTreeMap::new();
        for name in all {
            // One at a time, for one that may not be seen fails the whole request.
            match admin.describe_topics(&[name]).await {
                Ok(topics) => found.extend(topics),
                Err(error) => match error.refusal() {
                    Some(no) => {
                        self.note(format!("topic {name}"), Err(no.to_string()));
                        continue;
                    }
                    None => return Err(error),
                },
            }
            let mut needs = Vec::new();
            needs.extend(reads.contains(name).then_some(AclOperation::Read));
            needs.extend(writes.contains(name).then_some(AclOperation::Write));
            self.note(format!("topic {name}"), usable(found.get(name), &needs));
        }
        if let (Some(changelog), [input]) = (self.app.changelog(), &self.app.input[..])
            && let (Some(log), Some(input)) = (found.get(&changelog), found.get(input))
        {
            let (has, wants) = (log.partitions.len(), input.partitions.len());
            let fits = match has == wants {
                true => Ok(format!("{has} as its input")),
                false => Err(format!("{has}, but its input {} has {wants}", input.name)),
            };
            self.note(format!("partitions of {changelog}"), fits);
        }
        Ok(())
    }

    /// That the groups may be read.
    async fn groups(
        &mut self,
        admin: &Admin,
        instance: Option<&Instance>,
    ) -> Result<(), AdminError> {
        for group in self.app.groups() {
            let found = match admin.describe_group(&group).await {
                Ok(Some(group)) => match group.operations.allows(AclOperation::Read) {
                    Some(false) => Err("the user may not Read it".into()),
                    _ => Ok(describe(&group, instance)),
                },
                Ok(None) => Ok("not there yet".into()),
                Err(error) => Err(refused(error)?),
            };
            self.note(format!("group {group}"), found);
        }
        Ok(())
    }

    /// That the transactional ids may be used: those of this instance, or what all start with.
    async fn transactional_ids(
        &mut self,
        admin: &Admin,
        instance: Option<&Instance>,
    ) -> Result<(), AdminError> {
        if !self.app.kind.is_transactional() {
            return Ok(());
        }
        let prefix = &self.app.transactional_ids;
        let ids = instance.map_or_else(|| vec![prefix.clone()], Instance::transactional_ids);
        for id in ids {
            let planned = match id.starts_with(prefix) {
                true => String::new(),
                false => format!(
                    "; the manifest plans the right for ids that start with {prefix}: set its \
                     transactional_ids to what NU_HOSTNAME of all pods starts with"
                ),
            };
            let found = match admin.may_use_transactional_id(&id).await {
                Ok(Ok(())) => Ok(format!("may be used{planned}")),
                Ok(Err(no)) => Err(format!("{no}{planned}")),
                Err(AdminError::Unsupported { .. }) => Ok("the broker is too old to tell".into()),
                Err(error) => return Err(error),
            };
            self.note(format!("transactional id {id}"), found);
        }
        Ok(())
    }

    async fn schemas(
        &mut self,
        topology: &Topology,
        registry: &Registry,
        auto: bool,
    ) -> Result<(), Error> {
        let subjects = match subjects::of(topology, self.app) {
            Ok(subjects) => subjects,
            Err(problems) => {
                self.note("schemas", Err(problems.join("; ")));
                return Ok(());
            }
        };
        for (subject, schema) in subjects {
            let found = match registry.lookup_as(&subject, schema.body()).await {
                Ok(id) => Ok(format!("registered as {id}")),
                Err(RegistryError::NotRegistered { .. }) if auto => {
                    Ok("not registered; the app registers it".into())
                }
                Err(error @ RegistryError::NotRegistered { .. }) => Err(error.to_string()),
                Err(error) => return Err(error.into()),
            };
            self.note(format!("schema {subject}"), found);
        }
        Ok(())
    }
}

/// Says how a group is, and whether this instance is in it already.
fn describe(group: &GroupDescription, instance: Option<&Instance>) -> String {
    let ours = instance.map_or_else(Vec::new, Instance::members);
    let member = |name: &String| {
        group.members.iter().find(|member| member.instance.as_deref() == Some(&**name))
    };
    let there = ours.iter().find_map(|name| Some((name, member(name)?)));
    let there = there.map_or_else(String::new, |(name, member)| {
        format!("; {name} is one, from {}: this instance takes its place", member.host)
    });
    format!("{}, {}{there}", group.state, terminal::count(group.members.len(), "member"))
}

/// What a broker refuses is a finding; anything else ends the check.
fn refused(error: AdminError) -> Result<String, AdminError> {
    match error.refusal() {
        Some(refusal) => Ok(refusal.to_string()),
        None => Err(error),
    }
}

fn usable(topic: Option<&TopicDescription>, needs: &[AclOperation]) -> Result<String, String> {
    let topic = topic.ok_or("it is not there (or this user may not see it)")?;
    if !topic.is_led() {
        return Err("a partition has no leader".into());
    }
    for need in needs {
        if topic.operations.allows(*need) == Some(false) {
            return Err(format!("the user may not {need} it"));
        }
    }
    Ok(terminal::count(topic.partitions.len(), "partition"))
}

fn report(findings: &[Finding], json: bool) -> Result<Ending, Error> {
    if json {
        terminal::show(serde_json::to_string_pretty(findings).unwrap_or_default());
    } else {
        let mut table = terminal::table(&["App", "Check", "", "Found"]);
        for finding in findings {
            let verdict = if finding.passed { "ok" } else { "FAILED" };
            table.add_row([&*finding.app, &*finding.what, verdict, &*finding.found]);
        }
        terminal::show(table);
    }
    let passed = findings.iter().all(|finding| finding.passed);
    Ok(if passed { Ending::Ok } else { Ending::Failed })
}
