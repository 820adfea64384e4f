//! Reads rendered manifests: workloads, services, and what ConfigMaps hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize as _;
use serde_json::Value;

use nubium_test_kit::install::run;

/// Everything that was rendered.
#[derive(Debug, Clone)]
pub struct Manifests {
    /// The texts of ConfigMaps, by their names.
    pub config: BTreeMap<String, BTreeMap<String, String>>,
    /// What runs pods.
    pub workloads: Vec<Workload>,
    /// Names that lead to pods.
    pub services: Vec<Service>,
    /// The namespace.
    pub namespace: String,
}

/// Says how the pods of a set are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One after another, each under its own name.
    StatefulSet,
    /// The new one first.
    Deployment,
    /// The old one first.
    Recreate,
}

/// A set of pods.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// How its pods are replaced.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// How many pods it has.
    pub replicas: usize,
    /// How long a new pod must be ready before the next one is replaced.
    pub min_ready: Duration,
    /// The pods' labels.
    pub labels: BTreeMap<String, String>,
    /// The pods' specification.
    pub pod: Value,
    /// The names of the volumes that each pod keeps.
    pub claims: Vec<String>,
}

/// A name that leads to pods.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Whether it is the pods' own addresses.
    pub headless: bool,
    /// The labels of its pods.
    pub selector: BTreeMap<String, String>,
    /// Its ports, with the names of the pods' ports.
    pub ports: Vec<(u16, String)>,
}

impl Manifests {
    /// Renders a directory with `kubectl kustomize`.
    ///
    /// # Errors
    /// There is no kubectl, it refuses, or the result is nothing that can be run here.
    pub fn render(directory: &Path) -> Result<Self> {
        let rendered = run(Command::new("kubectl").arg("kustomize").arg(directory))?;
        Self::parse(&String::from_utf8(rendered.stdout)?)
    }

    /// Reads rendered YAML.
    ///
    /// # Errors
    /// It is none, or lacks what every pod needs.
    pub fn parse(text: &str) -> Result<Self> {
        let mut manifests = Self {
            config: BTreeMap::new(),
            workloads: Vec::new(),
            services: Vec::new(),
            namespace: String::new(),
        };
        for document in serde_norway::Deserializer::from_str(text) {
            manifests.add(&Value::deserialize(document)?)?;
        }
        Ok(manifests)
    }

    fn add(&mut self, document: &Value) -> Result<()> {
        let name = text(&document["metadata"]["name"])?;
        match document["kind"].as_str() {
            Some("ConfigMap") => drop(self.config.insert(name, texts(&document["data"]))),
            Some("StatefulSet" | "Deployment") => {
                self.namespace = text(&document["metadata"]["namespace"])?;
                self.workloads.push(workload(name, document)?);
            }
            Some("Service") => self.services.push(service(name, &document["spec"])?),
            _ => {}
        }
        Ok(())
    }

    /// Finds a set by its name.
    ///
    /// # Errors
    /// There is none.
    pub fn workload(&self, name: &str) -> Result<&Workload> {
        let found = self.workloads.iter().find(|workload| workload.name == name);
        found.with_context(|| format!("no set {name} was rendered"))
    }
}

impl Workload {
    /// Gives a named port of the pods.
    pub fn port(&self, name: &str) -> Option<u16> {
        let containers = self.pod["containers"].as_array().into_iter().flatten();
        let mut ports = containers.flat_map(|c| c["ports"].as_array().into_iter().flatten());
        let port = ports.find(|port| port["name"] == name)?;
        u16::try_from(port["containerPort"].as_u64()?).ok()
    }

    /// Gives port and path that tell whether a pod is ready; none if it always is.
    pub fn readiness(&self) -> Option<(u16, String)> {
        let probe = &self.pod["containers"][0]["readinessProbe"]["httpGet"];
        let port = self.port(probe["port"].as_str()?)?;
        Some((port, probe["path"].as_str()?.to_owned()))
    }

    /// Gives the name of the headless service that names its pods.
    pub fn is_selected_by(&self, service: &Service) -> bool {
        service.selector.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

fn workload(name: String, document: &Value) -> Result<Workload> {
    let spec = &document["spec"];
    let kind = match (document["kind"].as_str(), spec["strategy"]["type"].as_str()) {
        (Some("StatefulSet"), _) => Kind::StatefulSet,
        (_, Some("Recreate")) => Kind::Recreate,
        _ => Kind::Deployment,
    };
    let claims = spec["volumeClaimTemplates"].as_array().into_iter().flatten();
    let claims = claims.map(|claim| text(&claim["metadata"]["name"]));
    Ok(Workload {
        kind,
        name,
        replicas: usize::try_from(spec["replicas"].as_u64().unwrap_or(1))?,
        min_ready: Duration::from_secs(spec["minReadySeconds"].as_u64().unwrap_or(0)),
        labels: texts(&spec["template"]["metadata"]["labels"]),
        pod: spec["template"]["spec"].clone(),
        claims: claims.collect::<Result<_>>()?,
    })
}

fn service(name: String, spec: &Value) -> Result<Service> {
    let mut ports = Vec::new();
    for port in spec["ports"].as_array().into_iter().flatten() {
        let number = port["port"].as_u64().context("a service's port")?;
        ports.push((u16::try_from(number)?, text(&port["targetPort"])?));
    }
    let headless = spec["clusterIP"] == "None";
    Ok(Service { name, headless, selector: texts(&spec["selector"]), ports })
}

fn texts(map: &Value) -> BTreeMap<String, String> {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn text(value: &Value) -> Result<String> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!("a manifest has {value} where a text is wanted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pods_need() {
        let text = "\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: a, namespace: n}
spec:
  replicas: 2
  minReadySeconds: 10
  template:
    metadata: {labels: {app: a}}
    spec:
      containers:
        - ports: [{name: probes, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /readyz, port: probes}}
  volumeClaimTemplates: [{metadata: {name: data}}]
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: n}
spec: {clusterIP: None, selector: {app: a}, ports: [{port: 80, targetPort: probes}]}
";
        let manifests = Manifests::parse(text).unwrap();
        let set = manifests.workload("a").unwrap();
        assert_eq!((set.kind, set.replicas), (Kind::StatefulSet, 2));
        assert_eq!(set.readiness(), Some((8080, "/readyz".to_owned())));
        assert_eq!(set.claims, ["data"]);
        let service = &manifests.services[0];
        assert!(service.headless && set.is_selected_by(service));
        assert_eq!(service.ports, [(80, "probes".to_owned())]);
    }
}
