//! An app with its inputs, ready to be hurt and to be judged.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nubium_local::{Answer, Api, Request};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::ledger::{Ledger, OUTPUT_SCHEMA, Plan};
use nubium_test_kit::process::{Process, Signal};
use nubium_test_kit::reader::read_all;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, Scenario};
use nubium_test_kit::table::{changelog_rows, compare, store_rows};
use nubium_test_kit::topics;
use nubium_test_kit::wait::until;
use serde_json::Value;
use tempfile::TempDir;

use crate::cell::Run;
use crate::laws;

/// Partitions of each input topic.
pub(crate) const PARTITIONS: i32 = 2;

/// What the app under test does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Copies, a message at a time.
    Copy,
    /// Copies to two topics at once: what is taken here is given there.
    Transfer,
    /// Copies in batches that grow.
    Batch,
    /// Counts by key in a table, and copies.
    Table,
    /// The funnel, with a mapping.
    Funnel,
    /// The batch-uploader, with an API.
    Upload,
}

impl Work {
    /// Those whose outputs say where they come from.
    pub(crate) const ALL: [Self; 5] =
        [Self::Copy, Self::Transfer, Self::Batch, Self::Table, Self::Funnel];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Transfer => "transfer",
            Self::Batch => "batch",
            Self::Table => "table",
            Self::Funnel => "funnel",
            Self::Upload => "upload",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Copy | Self::Transfer => "ledger-app",
            Self::Batch => "batch-app",
            Self::Table => "table-app",
            Self::Funnel => "funnel-under-test",
            Self::Upload => "uploader-app",
        }
    }
}

/// An app with its inputs.
pub(crate) struct Case {
    pub(crate) work: Work,
    pub(crate) ledger: Ledger,
    pub(crate) scenario: Scenario,
    pub(crate) api: Option<Api>,
    program: &'static str,
    second: Option<String>,
    changelog: Option<String>,
    directory: TempDir,
}

impl Case {
    /// Makes topics of its own, writes inputs, and describes the app.
    pub(crate) fn new(
        (binaries, cluster): (&Path, &Cluster),
        work: Work,
        name: &str,
        seed: u64,
        inputs: u32,
    ) -> Result<Self> {
        let count = if work == Work::Table { 1 } else { 2 };
        let names: Vec<_> = (0..count).map(|n| topics::unique(&format!("{name}-{n}"))).collect();
        let partitions = if work == Work::Table { 2 * PARTITIONS } else { PARTITIONS };
        let named: Vec<_> = names.iter().map(|topic| (topic.as_str(), partitions)).collect();
        topics::create(&cluster.bootstrap, &named)?;
        // A table that is to be compared with its inputs leaves none out.
        let dropped = if work == Work::Table { 0 } else { 10 };
        let plan = Plan { seed, drop_one_in: dropped, ..Plan::default() };
        let mut ledger = Ledger::create(&cluster.bootstrap, &cluster.registry, &named, plan)?;
        ledger.write(inputs)?;
        let inputs: Vec<_> = names.iter().map(String::as_str).collect();
        let mut scenario = Scenario::new(name, cluster, &inputs, 3)?;
        scenario
            .set("NU_OUTBOX_MAX_COUNT", "200")
            // Short, because a broken transaction is to be over soon.
            .set("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "2");
        let program = binaries.join(work.program()).display().to_string();
        let mut case = Self {
            work,
            ledger,
            scenario,
            api: None,
            // A handful of paths in all.
            program: Box::leak(program.into_boxed_str()),
            second: None,
            changelog: None,
            directory: tempfile::tempdir()?,
        };
        case.prepare()?;
        Ok(case)
    }

    fn prepare(&mut self) -> Result<()> {
        let bootstrap = self.scenario.cluster.bootstrap.clone();
        match self.work {
            Work::Copy | Work::Batch => {}
            Work::Transfer => {
                let second = format!("{}-given", self.scenario.group);
                topics::create(&bootstrap, &[(&second, 2)])?;
                let text = self.scenario.setting("NU_TOPIC_CONFIGS_JSON").unwrap_or("{}");
                let mut topics: Value = serde_json::from_str(text)?;
                topics[&second] = serde_json::json!({ "cluster": "test" });
                self.scenario.set("NU_TOPIC_CONFIGS_JSON", topics.to_string());
                self.scenario.set("LEDGER_SECOND_OUTPUT", &second);
                self.second = Some(second);
            }
            Work::Table => {
                let changelog = format!("{}__changelog", self.scenario.group);
                let of = [(changelog.as_str(), 2 * PARTITIONS)];
                topics::create_with(&bootstrap, &of, &[("cleanup.policy", "compact")])?;
                self.changelog = Some(changelog);
                self.scenario.set("NU_TABLE_PATH", self.volume().display().to_string());
            }
            Work::Funnel => self.write_funnel()?,
            Work::Upload => self.write_upload()?,
        }
        Ok(())
    }

    fn write_funnel(&mut self) -> Result<()> {
        let at = self.directory.path();
        let inputs = self.scenario.inputs.iter();
        let inputs: Vec<_> = inputs
            .map(|topic| format!("  - {{topic: {topic}, schema: in.avsc, program: copy.vrl}}\n"))
            .collect();
        let output = &self.scenario.output;
        std::fs::write(at.join("in.avsc"), nubium_test_kit::ledger::INPUT_SCHEMA)?;
        std::fs::write(at.join("out.avsc"), OUTPUT_SCHEMA)?;
        std::fs::write(
            at.join("copy.vrl"),
            "if .fate == \"drop\" { abort }\n\
             . = {\"source_topic\": %topic, \"source_partition\": %partition,\n\
             \"source_offset\": %offset, \"seq\": .seq}\n",
        )?;
        let file = at.join("funnel.yaml");
        let text = format!(
            "inputs:\n{}outputs: [{{topic: {output}, schema: out.avsc}}]\n",
            inputs.concat()
        );
        std::fs::write(&file, text)?;
        self.scenario.set("NU_FUNNEL_CONFIG", file.display().to_string());
        Ok(())
    }

    fn write_upload(&mut self) -> Result<()> {
        let api = Api::start(|_: &Request, _| Answer::status(200))?;
        let file = self.directory.path().join("batch-uploader.yaml");
        let (topics, url) = (self.scenario.inputs.join(", "), api.url("/in"));
        std::fs::write(
            &file,
            format!(
                "topics: [{topics}]\n\
                 request: {{url: '{url}', item: envelope, timeout_seconds: 1, \
                 idempotency_header: Idempotency-Key}}\n\
                 batch: {{count: 50, seconds: 0.05}}\n\
                 retry: {{tries: 0, backoff_seconds: 0.01, backoff_max_seconds: 0.2}}\n"
            ),
        )?;
        let group = &self.scenario.group;
        let [later, failed] = ["later", "failed"].map(|kind| format!("{group}-{kind}"));
        topics::create(&self.scenario.cluster.bootstrap, &[(&later, 1), (&failed, 1)])?;
        self.scenario
            .set("NU_BATCH_UPLOADER_CONFIG", file.display().to_string())
            .set("NU_PRODUCE_RETRY_TOPICS", &later)
            .set("NU_PRODUCE_FAILURE_TOPICS", &failed);
        self.api = Some(api);
        Ok(())
    }

    /// The client id of an instance's connections.
    pub(crate) fn client(&self, host: &str) -> String {
        self.scenario.host(host)
    }

    /// Where the stores of a table lie.
    pub(crate) fn volume(&self) -> PathBuf {
        self.directory.path().join("volume")
    }

    /// The changelog of a table.
    pub(crate) fn changelog(&self) -> Result<&str> {
        self.changelog.as_deref().context("no table")
    }

    /// The directory of a partition's store.
    pub(crate) fn store(&self, partition: i32) -> Result<PathBuf> {
        let name = format!("{}-{partition}", self.changelog()?);
        Ok(self.volume().join(&self.scenario.group).join(name))
    }

    /// The program under test.
    pub(crate) fn program(&self) -> &'static str {
        self.program
    }

    /// Writes more inputs.
    pub(crate) fn more(&mut self, inputs: u32) -> Result<()> {
        self.ledger.write(inputs)
    }

    /// Waits until an instance has taken over all partitions of the table.
    pub(crate) fn all_stores(&self, app: &Process) -> Result<()> {
        until("all stores to be here", DEADLINE, || {
            (0..2 * PARTITIONS).all(|p| self.store(p).is_ok_and(|store| store.exists()))
        })
        .with_context(|| app.log_tail())
    }

    /// Starts an instance.
    pub(crate) fn start(&self, host: &str) -> Result<Process> {
        self.scenario.start(self.program, host)
    }

    /// Starts an instance with other settings.
    pub(crate) fn start_in(&self, scenario: &Scenario, host: &str) -> Result<Process> {
        scenario.start(self.program, host)
    }

    /// Starts an instance that is started again whenever it ends.
    pub(crate) fn keep(&self, host: &str) -> Result<Kept<'static>> {
        Kept::of(Cow::Owned(self.scenario.clone()), self.program, host)
    }

    /// Waits until the group has committed everything, while these instances are kept running.
    pub(crate) fn drained(&self, kept: &mut [&mut Kept<'_>]) -> Result<()> {
        self.scenario.drained(&self.ledger, || kept.iter_mut().try_for_each(|app| app.tend()))
    }

    /// Judges what is there while no app runs: it must agree with the offsets, however far they are.
    pub(crate) fn judge_cut(&self, run: &mut Run) -> Result<()> {
        self.judge(run, "cut", Extent::UpToCommitted)
    }

    /// Lets an instance do the rest, ends it in good order, and judges the whole.
    pub(crate) fn finish(&self, run: &mut Run, mut app: Kept<'_>) -> Result<()> {
        self.drained(&mut [&mut app])?;
        self.end(run, app.process())?;
        self.judge_whole(run)
    }

    /// Ends an instance in good order.
    pub(crate) fn end(&self, run: &mut Run, app: &Process) -> Result<()> {
        app.signal(Signal::TERM)?;
        let status = app.wait(DEADLINE)?;
        let good = status.code() == Some(0);
        run.holds("a stop ends with code 0", good, || format!("{status}\n{}", app.log_tail()));
        Ok(())
    }

    /// Judges the laws of everything while the app goes on; it has nothing to do.
    pub(crate) fn judge_running(&self, run: &mut Run) -> Result<()> {
        self.judge(run, self.work.name(), Extent::Complete)
    }

    /// Judges all laws after everything is done.
    pub(crate) fn judge_whole(&self, run: &mut Run) -> Result<()> {
        self.judge(run, "end", Extent::Complete)?;
        if self.work == Work::Table {
            run.looked("end: changelog and stores are as the inputs say", self.compare_table());
        }
        Ok(())
    }

    fn judge(&self, run: &mut Run, when: &str, extent: Extent) -> Result<()> {
        if self.work == Work::Upload {
            return self.judge_upload(run, when, extent);
        }
        let (evidence, raw) = self.scenario.evidence(self.ledger.partitions())?;
        laws::judge(run, when, self.ledger.rows(), &evidence, extent);
        if let Some(second) = &self.second {
            let given = read_all(&self.scenario.cluster.bootstrap, &[second])?;
            let law = format!("{when}: what is taken is given");
            run.looked(&law, laws::conserved(&raw, &given));
        }
        Ok(())
    }

    fn compare_table(&self) -> Result<()> {
        let changelog = self.changelog()?;
        let rows = changelog_rows(&self.scenario.cluster.bootstrap, changelog)?;
        let group = &self.scenario.group;
        let stores = store_rows(&self.volume(), group, changelog, 2 * PARTITIONS)?;
        compare(&self.ledger, &rows, &stores)
    }

    /// An API gets everything at least once, and always under the same key.
    fn judge_upload(&self, run: &mut Run, when: &str, extent: Extent) -> Result<()> {
        let requests = self.api.as_ref().context("no API")?.requests();
        let mut keys = std::collections::BTreeMap::new();
        let mut other = None;
        for request in &requests {
            let body: Value = serde_json::from_slice(&request.body)?;
            let key = request.header("idempotency-key").unwrap_or_default();
            for item in body.as_array().into_iter().flatten() {
                let id = item["id"].as_str().unwrap_or_default().to_owned();
                let known = keys.entry(id.clone()).or_insert_with(|| key.to_owned());
                if known != key {
                    other = Some(id);
                }
            }
        }
        let law = format!("{when}: a message has one idempotency key");
        run.holds(&law, other.is_none(), || format!("{other:?}"));
        let bootstrap = &self.scenario.cluster.bootstrap;
        let partitions = self.ledger.partitions();
        let committed = nubium_test_kit::wait::eventually("stable offsets", DEADLINE, || {
            let group = &self.scenario.group;
            let found = nubium_test_kit::reader::committed(bootstrap, group, partitions);
            nubium_test_kit::wait::Look::from_result(found)
        })?;
        let mut lost = Vec::new();
        for (at, rows) in self.ledger.rows() {
            let done = committed.get(at).copied().unwrap_or(0);
            let due = |offset| extent == Extent::Complete || offset < done;
            let ids = rows.iter().filter(|row| due(row.offset));
            let ids = ids.map(|row| format!("{}-{}-{}", at.topic, at.number, row.offset));
            lost.extend(ids.filter(|id| !keys.contains_key(id)));
        }
        let law = format!("{when}: what is committed was sent");
        run.holds(&law, lost.is_empty(), || format!("{lost:?}"));
        let side = ["later", "failed"].map(|kind| format!("{}-{kind}", self.scenario.group));
        let side = read_all(bootstrap, &[&side[0], &side[1]])?;
        run.holds(&format!("{when}: nothing went elsewhere"), side.is_empty(), || {
            format!("{} records", side.len())
        });
        Ok(())
    }

    /// Waits until an instance has brought all its stores up to date.
    pub(crate) fn ready(&self, app: &Process) -> Result<()> {
        let stores = usize::try_from(2 * PARTITIONS)?;
        let mut ended = false;
        until("all stores to be up to date", DEADLINE, || {
            ended = !app.is_running();
            ended || app.log().matches("The store is up to date").count() >= stores
        })
        .with_context(|| app.log_tail())?;
        ensure!(!ended, "it has ended\n{}", app.log_tail());
        Ok(())
    }

    /// Waits until so much of the output is there.
    pub(crate) fn reach(&self, records: i64, kept: &mut [&mut Kept<'_>]) -> Result<()> {
        let progress = self.scenario.progress()?;
        progress.reach(records, DEADLINE, || kept.iter_mut().try_for_each(|app| app.tend()))
    }

    /// Says that a fault came about at all.
    pub(crate) fn hit(&self, run: &mut Run, hit: bool) -> Result<()> {
        run.holds("the fault came about", hit, || "it never did".into());
        if !hit {
            bail!("nothing was tried");
        }
        Ok(())
    }
}
