//! Keeps the sets of pods: starts containers again that end, looks who is ready, names pods and
//! leads services to them, and rolls changes out as Kubernetes does.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::flow::Forwarder;
use super::http;
use super::manifests::{Kind, Manifests, Service, Workload};
use super::pod::{Host, Pod};
use nubium_test_kit::dns::NameServer;
use nubium_test_kit::process::{Process, Signal};
use nubium_test_kit::wait::{Look, eventually};

const TICK: Duration = Duration::from_millis(200);
const PROBE: Duration = Duration::from_millis(900);
/// Ends a hopeless wait for a pod.
const START: Duration = Duration::from_secs(180);
/// How long a failed init container waits before it is tried again.
const BACK_OFF: Duration = Duration::from_secs(2);

/// A pod and what a kubelet knows of it.
#[derive(Debug)]
pub struct Running {
    /// The pod.
    pub pod: Pod,
    process: Mutex<Option<Process>>,
    ready: AtomicBool,
    ending: AtomicBool,
    restarts: AtomicU32,
}

/// The sets, the services, and the name server.
#[derive(Debug)]
pub struct Cluster {
    host: Arc<Host>,
    names: NameServer,
    manifests: Mutex<Manifests>,
    pods: Mutex<Vec<Arc<Running>>>,
    services: Mutex<BTreeMap<String, Forwarder>>,
    made: AtomicU32,
    over: AtomicBool,
    /// Pods that did not end as they should.
    bad_ends: Mutex<Vec<String>>,
}

impl Cluster {
    /// Starts everything that was rendered, at once, as `kubectl apply` does.
    ///
    /// # Errors
    /// A pod cannot be made.
    pub fn start(host: &Arc<Host>, names: NameServer, manifests: Manifests) -> Result<Arc<Self>> {
        let cluster = Arc::new(Self {
            host: Arc::clone(host),
            names,
            manifests: Mutex::new(manifests.clone()),
            pods: Mutex::default(),
            services: Mutex::default(),
            made: AtomicU32::new(0),
            over: AtomicBool::new(false),
            bad_ends: Mutex::default(),
        });
        for (index, service) in manifests.services.iter().filter(|s| !s.headless).enumerate() {
            let address = host.network.outside(u8::try_from(100 + index)?)?;
            let ports: Vec<_> = service.ports.iter().map(|(port, _)| *port).collect();
            let forwarder = Forwarder::start(address, &ports)?;
            cluster.name(&service.name, &[address]);
            lock(&cluster.services).insert(service.name.clone(), forwarder);
        }
        for workload in &manifests.workloads {
            for ordinal in 0..workload.replicas {
                cluster.add(workload, ordinal)?;
            }
        }
        let keeper = Arc::clone(&cluster);
        thread::spawn(move || {
            while !keeper.over.load(Ordering::Acquire) {
                keeper.tick();
                thread::sleep(TICK);
            }
        });
        Ok(cluster)
    }

    /// The pods of a set, by their names.
    pub fn pods(&self, set: &str) -> Vec<Arc<Running>> {
        let all = lock(&self.pods);
        let mut pods: Vec<_> =
            all.iter().filter(|running| running.pod.workload.name == set).cloned().collect();
        pods.sort_by(|a, b| a.pod.name.cmp(&b.pod.name));
        pods
    }

    /// Where a service listens.
    ///
    /// # Errors
    /// There is no such service.
    pub fn service(&self, name: &str) -> Result<SocketAddr> {
        let services = lock(&self.services);
        Ok(services.get(name).with_context(|| format!("no service {name}"))?.address())
    }

    /// The names of all sets.
    pub fn sets(&self) -> Vec<String> {
        lock(&self.manifests).workloads.iter().map(|workload| workload.name.clone()).collect()
    }

    /// Waits until every pod of a set is ready.
    ///
    /// # Errors
    /// One is not in time: shows how its containers ended.
    pub fn ready(&self, set: &str) -> Result<()> {
        self.pods(set).iter().try_for_each(|running| running.until_ready())
    }

    /// How often containers of a set were started again.
    pub fn restarts(&self, set: &str) -> u32 {
        self.pods(set).iter().map(|running| running.restarts.load(Ordering::Acquire)).sum()
    }

    /// Replaces the pods of a set one after another by those of new manifests. `replaced` is told
    /// when one has been asked to end, and when the set is whole again.
    ///
    /// # Errors
    /// A new pod does not become ready.
    pub fn roll(
        &self,
        set: &str,
        manifests: &Manifests,
        min_ready: Duration,
        mut replaced: impl FnMut(&str, Instant),
    ) -> Result<()> {
        *lock(&self.manifests) = manifests.clone();
        let workload = manifests.workload(set)?.clone();
        for old in self.pods(set).iter().rev() {
            let began = Instant::now();
            let ordinal = ordinal(&old.pod.name);
            let new = match workload.kind {
                Kind::Deployment => {
                    let new = self.add(&workload, ordinal)?;
                    new.until_ready()?;
                    thread::sleep(min_ready.min(workload.min_ready));
                    self.remove(old);
                    new
                }
                Kind::StatefulSet | Kind::Recreate => {
                    self.remove(old);
                    self.add(&workload, ordinal)?
                }
            };
            new.until_ready()?;
            thread::sleep(min_ready.min(workload.min_ready));
            replaced(&new.pod.name, began);
        }
        Ok(())
    }

    fn add(&self, workload: &Workload, ordinal: usize) -> Result<Arc<Running>> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = match workload.kind {
            Kind::StatefulSet => format!("{}-{ordinal}", workload.name),
            Kind::Deployment | Kind::Recreate => format!("{}-{number}", workload.name),
        };
        let config = lock(&self.manifests).config.clone();
        let running = Arc::new(Running {
            pod: Pod::new(&self.host, &name, workload, &config)?,
            process: Mutex::default(),
            ready: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            restarts: AtomicU32::new(0),
        });
        lock(&self.pods).push(Arc::clone(&running));
        let starting = Arc::clone(&running);
        thread::spawn(move || starting.start());
        Ok(running)
    }

    /// Takes a pod out of its services, asks it to end, and waits for that.
    fn remove(&self, running: &Arc<Running>) {
        running.ending.store(true, Ordering::Release);
        self.tick();
        // Told at the end: the story goes on without it.
        self.end(running);
        lock(&self.pods).retain(|other| !Arc::ptr_eq(other, running));
    }

    /// Looks at every pod once, and tells names and services what was seen.
    fn tick(&self) {
        let pods: Vec<_> = lock(&self.pods).clone();
        thread::scope(|scope| {
            for running in &pods {
                scope.spawn(|| running.look());
            }
        });
        let services = lock(&self.manifests).services.clone();
        for service in &services {
            self.lead(service, &pods);
        }
    }

    fn lead(&self, service: &Service, pods: &[Arc<Running>]) {
        let ours = pods.iter().filter(|running| running.pod.workload.is_selected_by(service));
        if service.headless {
            // Ours publish those that are not ready too.
            let ours: Vec<_> = ours.filter(|running| running.runs()).collect();
            let addresses: Vec<_> = ours.iter().map(|running| running.pod.address()).collect();
            self.name(&service.name, &addresses);
            for running in ours {
                let name = format!("{}.{}", running.pod.name, service.name);
                self.name(&name, &[running.pod.address()]);
            }
            return;
        }
        let ready: Vec<_> = ours.filter(|running| running.takes_requests()).collect();
        let Some(forwarder) = lock(&self.services).get(&service.name).cloned() else { return };
        for (port, target) in &service.ports {
            let targets = ready.iter().filter_map(|running| {
                let port = running.pod.workload.port(target)?;
                Some(SocketAddr::from((running.pod.address(), port)))
            });
            forwarder.lead(*port, targets.collect());
        }
    }

    fn name(&self, name: &str, addresses: &[Ipv4Addr]) {
        let name = format!("{name}.{}.svc.cluster.local", self.host.namespace);
        let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        self.names.set_addresses(&name, &texts);
    }

    fn end(&self, running: &Running) {
        let bad = running.stop().err().map(|error| format!("{error:#}"));
        lock(&self.bad_ends).extend(bad);
    }

    /// Stops every pod as a drained node does, all at once.
    ///
    /// # Errors
    /// One did not end well, now or when it was replaced.
    pub fn stop(&self) -> Result<()> {
        let pods: Vec<_> = lock(&self.pods).clone();
        pods.iter().for_each(|running| running.ending.store(true, Ordering::Release));
        thread::scope(|scope| {
            for running in &pods {
                scope.spawn(|| self.end(running));
            }
        });
        self.over.store(true, Ordering::Release);
        let bad = lock(&self.bad_ends);
        ensure!(bad.is_empty(), "{}", bad.join("; "));
        Ok(())
    }
}

impl Running {
    /// Runs the init containers until they have done their work, then starts the container.
    fn start(&self) {
        for container in self.pod.workload.pod["initContainers"].as_array().into_iter().flatten() {
            loop {
                if self.ending.load(Ordering::Acquire) {
                    return;
                }
                let ended = self.pod.start(container).and_then(|process| process.wait(START));
                if ended.is_ok_and(|status| status.success()) {
                    break;
                }
                thread::sleep(BACK_OFF);
            }
        }
        self.start_container();
    }

    fn start_container(&self) {
        let mut process = lock(&self.process);
        if !self.ending.load(Ordering::Acquire) {
            // What cannot be started is tried again at the next look.
            *process = self.pod.start(&self.pod.workload.pod["containers"][0]).ok();
        }
    }

    /// Starts a container that has ended again, and asks whether it is ready.
    fn look(&self) {
        let ended = match &*lock(&self.process) {
            Some(process) => !process.is_running(),
            None => return,
        };
        if ended {
            self.ready.store(false, Ordering::Release);
            if !self.ending.load(Ordering::Acquire) {
                self.restarts.fetch_add(1, Ordering::AcqRel);
                self.start_container();
            }
            return;
        }
        let ready = match self.pod.workload.readiness() {
            None => true,
            Some((port, path)) => {
                let address = SocketAddr::from((self.pod.address(), port));
                http::get(address, &path, PROBE).is_ok_and(|answer| answer.status == 200)
            }
        };
        self.ready.store(ready, Ordering::Release);
    }

    fn runs(&self) -> bool {
        lock(&self.process).as_ref().is_some_and(Process::is_running)
    }

    fn takes_requests(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.ending.load(Ordering::Acquire)
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// It is not in time: shows its last log lines.
    pub fn until_ready(&self) -> Result<()> {
        eventually(&format!("pod {} to be ready", self.pod.name), START, || {
            match self.ready.load(Ordering::Acquire) {
                true => Look::Ready(()),
                false => Look::NotYet(self.state()),
            }
        })
    }

    /// Waits until it is not ready, after it was hurt.
    ///
    /// # Errors
    /// It stays ready.
    pub fn until_gone(&self, restarts: u32) -> Result<()> {
        eventually(&format!("pod {} to start again", self.pod.name), START, || {
            match self.restarts.load(Ordering::Acquire) > restarts {
                true => Look::Ready(()),
                false => Look::NotYet(self.state()),
            }
        })
    }

    fn state(&self) -> String {
        match &*lock(&self.process) {
            Some(process) => process.log_tail(),
            None => "its init containers have not ended".into(),
        }
    }

    /// Kills the container at once, as the kernel does when memory runs out.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self) -> Result<u32> {
        let restarts = self.restarts.load(Ordering::Acquire);
        let process = lock(&self.process);
        process.as_ref().context("the pod has no container yet")?.signal(Signal::KILL)?;
        Ok(restarts)
    }

    fn stop(&self) -> Result<()> {
        let process = lock(&self.process).take();
        let Some(process) = process else { return Ok(()) };
        let seconds = self.pod.workload.pod["terminationGracePeriodSeconds"].as_u64();
        let grace = Duration::from_secs(seconds.unwrap_or(30));
        process.signal(Signal::TERM)?;
        let status = process.wait(grace)?;
        ensure!(status.success(), "pod {} ended with {status} on TERM", self.pod.name);
        Ok(())
    }
}

fn ordinal(name: &str) -> usize {
    name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
