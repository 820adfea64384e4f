//! The story: everything is deployed, hurt under load, and counted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::cluster::Cluster;
use super::load::{Load, post_bad};
use super::manifests::Manifests;
use super::proof::Proof;
use super::table::Table;
use super::watch::{API, Watch};
use super::world::{Prometheus, World};
use nubium_test_kit::install::run;
use nubium_test_kit::wait::{Look, eventually};

/// The services of the pipeline with what each gives out.
const PIPELINE: [(&str, &str); 4] = [
    ("http-receiver", "forms"),
    ("funnel", "contacts"),
    ("table", "contact_changes"),
    ("batch-uploader", API),
];
const CACHE: &str = "metrics-cache";
/// For what was hurt to give something out again.
const SETTLE: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(90);
/// What the funnel's program refuses.
const BAD: [&str; 3] = ["bad-1", "bad-2", "bad-3"];

/// How much of the story is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The root of the repository.
    pub repository: PathBuf,
    /// Where the binaries are.
    pub binaries: PathBuf,
    /// Where everything is kept while it runs.
    pub work: PathBuf,
    /// How often each thing is done.
    pub rounds: u32,
    /// Forms a second.
    pub rate: u32,
    /// How long a new pod must be ready before the next one is replaced, at most.
    pub min_ready: Duration,
}

/// What is at hand while the story is told.
pub struct Stage {
    /// What is outside.
    pub world: World,
    /// What was deployed.
    pub cluster: Arc<Cluster>,
    /// What comes out.
    pub watch: Watch,
    /// Scrapes one cache.
    pub prometheus: Prometheus,
    /// What was measured.
    pub table: Table,
    options: Options,
    manifests: Manifests,
    deploy: PathBuf,
}

/// Tells the whole story and gives what it proves.
///
/// # Errors
/// Something does not start or does not come back, so that nothing can be counted.
pub fn tell(options: &Options, say: &dyn Fn(&str)) -> Result<Proof> {
    let began = Instant::now();
    let say = |what: &str| say(&format!("{:>4} s  {what}", began.elapsed().as_secs()));
    let mut stage = Stage::set(options, &say)?;
    let receiver = stage.cluster.service("http-receiver")?;
    let api_key = stage.world.host.secrets.value("http-receiver-secrets", "forms.keys").to_owned();
    let load = Load::start(receiver, &api_key, options.rate);
    stage.rest()?;
    let scraped = Instant::now();
    for _ in 0..options.rounds {
        say("each service killed in turn");
        stage.kills()?;
        say("a broker killed and brought back");
        stage.broker()?;
    }
    say("partitions raised: provisioned, then every set rolled");
    stage.raise()?;
    say("applied once more, with nothing changed");
    stage.roll("provision")?;
    say("the replicas of the metrics cache replaced");
    stage.roll(CACHE)?;
    let bad: BTreeSet<_> = BAD
        .into_iter()
        .filter(|key| post_bad(receiver, &api_key, key))
        .map(str::to_owned)
        .collect();
    let scraped = scraped.elapsed();
    let repeated = load.repeated();
    let accepted = load.stop();
    say(&format!("{} forms accepted, {repeated} posts repeated", accepted.len()));
    stage.drain(&accepted)?;
    let mut proof = Proof::default();
    proof.take(&stage, &accepted, &bad, scraped);
    say("stopped");
    proof.note("every pod ends with 0 on TERM", stage.cluster.stop());
    proof.no_secret(&stage.world.host);
    proof.table = stage.table.show();
    Ok(proof)
}

impl Stage {
    fn set(options: &Options, say: &dyn Fn(&str)) -> Result<Self> {
        let deploy = options.work.join("deploy");
        fs::create_dir_all(&options.work)?;
        run(Command::new("cp").arg("-r").arg(options.repository.join("deploy")).arg(&deploy))?;
        let manifests = Manifests::render(&deploy.join("fleet/example"))?;
        say("rendered; brokers, registry and API start");
        let (world, names) = World::start(&options.binaries, &manifests.namespace, &options.work)?;
        say("deployed: every pod at once");
        let cluster = Cluster::start(&world.host, names, manifests.clone())?;
        cluster.ready("provision")?;
        say("provisioned");
        let watch = Watch::start(&world.brokers.bootstrap())?;
        let token = world.host.secrets.value("batch-uploader-secrets", "api-token").to_owned();
        world.api.tell(&token, watch.taken());
        cluster.sets().iter().try_for_each(|set| cluster.ready(set))?;
        say("every pod is ready");
        let shipped = deploy.join("monitoring/prometheus.yaml");
        let (dir, logs) = (options.work.join("prometheus"), &world.host.logs);
        let prometheus = Prometheus::start(&shipped, cluster.service(CACHE)?, &dir, logs)?;
        Ok(Self {
            world,
            cluster,
            watch,
            prometheus,
            table: Table::default(),
            options: options.clone(),
            manifests,
            deploy,
        })
    }

    /// The pauses that there are without any trouble.
    fn rest(&mut self) -> Result<()> {
        let begun = |watch: &Watch| watch.count(API) > 0;
        eventually("the first form at the API", DRAIN, || match begun(&self.watch) {
            true => Look::Ready(()),
            false => Look::NotYet(format!("{} forms in", self.watch.count("forms"))),
        })?;
        let from = Instant::now();
        std::thread::sleep(SETTLE * 2);
        for (set, topic) in PIPELINE {
            let pause = self.watch.pause(topic, from, Instant::now());
            self.table.add(&format!("nothing ({set})"), pause);
        }
        Ok(())
    }

    fn kills(&mut self) -> Result<()> {
        for (set, topic) in PIPELINE.into_iter().chain([(CACHE, API)]) {
            let victim = self.cluster.pods(set).first().cloned().context("no pod")?;
            let from = Instant::now();
            let restarts = victim.kill()?;
            victim.until_gone(restarts)?;
            victim.until_ready()?;
            std::thread::sleep(SETTLE);
            let pause = self.watch.pause(topic, from, Instant::now());
            self.table.add(&format!("SIGKILL of {set}"), pause);
        }
        Ok(())
    }

    fn broker(&mut self) -> Result<()> {
        let from = Instant::now();
        self.world.brokers.kill(1)?;
        std::thread::sleep(SETTLE * 3);
        self.world.brokers.start_again(1)?;
        self.world.brokers.until_whole()?;
        std::thread::sleep(SETTLE);
        let pause = self.watch.pause(API, from, Instant::now());
        self.table.add("a broker killed and brought back (API)", pause);
        Ok(())
    }

    /// Changes the map of topics, applies again, and so rolls out every set that has the map.
    fn raise(&mut self) -> Result<()> {
        let map = self.deploy.join("fleet/example/topics.yaml");
        let text = fs::read_to_string(&map)?;
        let (old, new) = (
            "forms:\n  cluster: main\n  configs: *all",
            "forms:\n  cluster: main\n  configs: {<<: *all, num_partitions: 8}",
        );
        ensure!(text.contains(old), "{} has no forms like the others", map.display());
        fs::write(&map, text.replace(old, new))?;
        let before = self.manifests.clone();
        self.manifests = Manifests::render(&self.deploy.join("fleet/example"))?;
        let changed = |set: &str| -> Result<bool> {
            Ok(self.manifests.workload(set)? != before.workload(set)?)
        };
        ensure!(changed("provision")?, "a change of the map does not provision again");
        ensure!(!changed(CACHE)?, "a change of the map restarts the cache");
        self.roll("provision")?;
        for (set, _) in PIPELINE {
            self.roll(set)?;
        }
        Ok(())
    }

    fn roll(&mut self, set: &str) -> Result<()> {
        let topic = PIPELINE.into_iter().find(|(name, _)| *name == set).map_or(API, |(_, t)| t);
        let mut began = Vec::new();
        let (manifests, min_ready) = (self.manifests.clone(), self.options.min_ready);
        self.cluster.roll(set, &manifests, min_ready, |_, at| began.push(at))?;
        std::thread::sleep(SETTLE);
        if set == "provision" {
            return Ok(());
        }
        for (index, from) in began.iter().enumerate() {
            let to = began.get(index + 1).copied().unwrap_or_else(Instant::now);
            let pause = self.watch.pause(topic, *from, to);
            self.table.add(&format!("rolling restart of {set}"), pause);
        }
        Ok(())
    }

    /// Waits until the API has everything that was accepted.
    fn drain(&self, accepted: &BTreeSet<String>) -> Result<()> {
        // What never comes is told by name afterwards.
        let _ = eventually("all forms at the API", DRAIN, || {
            let missing = accepted.difference(&self.watch.keys(API)).count();
            if missing == 0 { Look::Ready(()) } else { Look::NotYet(format!("{missing} missing")) }
        });
        Ok(())
    }

    /// The directory of this run.
    pub fn work(&self) -> &Path {
        &self.options.work
    }
}
