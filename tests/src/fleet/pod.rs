//! One pod as a kubelet runs it: a network, a root, mounts and a user of its own; the init
//! containers in order, then the container.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::manifests::Workload;
use super::network::{GATEWAY, Network, PodNetwork};
use super::secrets::Secrets;
use nubium_test_kit::process::Process;

/// A user of no name, as OpenShift picks them.
const USER: &str = "1000680000";

/// What the image has of Debian.
const SYSTEM: [&str; 6] =
    ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/share", "/etc/ssl"];

/// What a container runtime does, as far as it matters to what runs in it.
const RUNTIME: &str = r#"
root=$1 groups=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mount --bind "$1" "$root$2"
    [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
    shift 3
done
shift
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --reuid "$USER_ID" --regid 0 $groups --bounding-set=-all \
    --no-new-privs -- "$@"
"#;

/// What every pod gets from where it runs.
#[derive(Debug)]
pub struct Host {
    /// The network of all pods.
    pub network: Network,
    /// Where the binaries are, named as the images.
    pub binaries: PathBuf,
    /// Where pods have their roots and volumes.
    pub work: PathBuf,
    /// Where logs go.
    pub logs: PathBuf,
    /// The Secrets of the namespace.
    pub secrets: Secrets,
    /// The namespace.
    pub namespace: String,
}

/// A pod that can be run.
#[derive(Debug)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// The set it belongs to, as it was when the pod was made.
    pub workload: Workload,
    host: Arc<Host>,
    network: PodNetwork,
    config: BTreeMap<String, BTreeMap<String, String>>,
    root: PathBuf,
    volumes: BTreeMap<String, (PathBuf, bool)>,
}

impl Pod {
    /// Makes its network, its root and its volumes.
    ///
    /// # Errors
    /// A Secret or ConfigMap is missing, or the system refuses.
    pub fn new(
        host: &Arc<Host>,
        name: &str,
        workload: &Workload,
        config: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Self> {
        let network = host.network.pod()?;
        let root = host.work.join("pods").join(&network.name);
        make_root(&root, host, name, network.address)?;
        let mut pod = Self {
            name: name.to_owned(),
            workload: workload.clone(),
            host: Arc::clone(host),
            network,
            config: config.clone(),
            root,
            volumes: BTreeMap::new(),
        };
        pod.make_volumes().with_context(|| format!("volumes of pod {name}"))?;
        Ok(pod)
    }

    /// The pod's address.
    pub fn address(&self) -> Ipv4Addr {
        self.network.address
    }

    /// Starts one of its containers.
    ///
    /// # Errors
    /// The manifest lacks something, or the system refuses.
    pub fn start(&self, container: &Value) -> Result<Process> {
        let command = self.command(container, &argv(container)?)?;
        let kind = container["name"].as_str().unwrap_or("container");
        self.spawn(kind, command)
    }

    /// Runs another command in its first container, as `kubectl exec` does.
    ///
    /// # Errors
    /// The system refuses.
    pub fn exec(&self, command: &[&str]) -> Result<Process> {
        let argv: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
        self.spawn("exec", self.command(&self.workload.pod["containers"][0], &argv)?)
    }

    fn spawn(&self, kind: &str, mut command: Command) -> Result<Process> {
        Process::spawn(&format!("{}.{kind}", self.name), &self.host.logs, &mut command)
    }

    fn command(&self, container: &Value, argv: &[String]) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.network.name));
        command.args(["--", "unshare", "--mount", "--propagation", "private", "--", "/bin/sh"]);
        command.args(["-euc", RUNTIME, "pod"]).arg(&self.root);
        command.arg(match self.group() {
            Some(group) => format!("--groups={group}"),
            None => "--clear-groups".to_owned(),
        });
        for directory in SYSTEM {
            command.args([directory, directory, "ro"]);
        }
        let binary = image(container)?;
        let place = format!("/usr/local/bin/{binary}");
        command.arg(self.host.binaries.join(binary)).args([&place, "ro"]);
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let name = mount["name"].as_str().context("a mount's name")?;
            let (source, writable) = &self.volumes[name];
            let path = mount["mountPath"].as_str().context("a mount's path")?;
            let mode = if *writable && mount["readOnly"] != true { "rw" } else { "ro" };
            command.arg(source).args([path, mode]);
        }
        command.arg("--").args(argv).env_clear().envs(self.environment(container)?);
        command.env("USER_ID", USER);
        Ok(command)
    }

    /// The variables of a container, those that name others filled in.
    fn environment(&self, container: &Value) -> Result<BTreeMap<String, String>> {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let mut all = BTreeMap::from([
            ("PATH".to_owned(), path.to_owned()),
            ("HOSTNAME".to_owned(), self.name.clone()),
        ]);
        for source in container["envFrom"].as_array().into_iter().flatten() {
            let name = source["configMapRef"]["name"].as_str().context("envFrom")?;
            all.extend(
                self.config.get(name).with_context(|| format!("no ConfigMap {name}"))?.clone(),
            );
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().context("a variable's name")?;
            let field = &variable["valueFrom"]["fieldRef"]["fieldPath"];
            let value = match (variable["value"].as_str(), field.as_str()) {
                (Some(text), _) => filled(text, &all),
                (_, Some("metadata.name")) => self.name.clone(),
                (_, Some("metadata.namespace")) => self.host.namespace.clone(),
                _ => bail!("variable {name} is {variable}, which is not known here"),
            };
            all.insert(name.to_owned(), value);
        }
        Ok(all)
    }

    fn group(&self) -> Option<u32> {
        u32::try_from(self.workload.pod["securityContext"]["fsGroup"].as_u64()?).ok()
    }

    fn make_volumes(&mut self) -> Result<()> {
        let group = self.group();
        let own = self.root.with_extension("volumes");
        for claim in &self.workload.claims {
            let place = self.host.work.join("claims").join(format!("{claim}-{}", self.name));
            fs::create_dir_all(&place)?;
            chown(&place, Some(0), Some(group.unwrap_or(0)))?;
            fs::set_permissions(&place, Permissions::from_mode(0o2775))?;
            self.volumes.insert(claim.clone(), (place, true));
        }
        for volume in self.workload.pod["volumes"].as_array().into_iter().flatten() {
            let name = volume["name"].as_str().context("a volume's name")?;
            let place = own.join(name);
            fs::create_dir_all(&place)?;
            let (files, mode, writable) = self.content(volume)?;
            for (file, text) in files {
                let path = place.join(file);
                fs::write(&path, text)?;
                chown(&path, Some(0), Some(group.unwrap_or(0)))?;
                fs::set_permissions(&path, Permissions::from_mode(mode))?;
            }
            let mode = if writable { 0o1777 } else { 0o755 };
            fs::set_permissions(&place, Permissions::from_mode(mode))?;
            self.volumes.insert(name.to_owned(), (place, writable));
        }
        for container in self.containers() {
            for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                let path = mount["mountPath"].as_str().context("a mount's path")?;
                fs::create_dir_all(self.root.join(path.trim_start_matches('/')))?;
            }
            let binary = self.root.join("usr/local/bin").join(image(container)?);
            fs::write(&binary, "")?;
        }
        Ok(())
    }

    /// What a volume holds, the mode of its files, and whether it can be written.
    fn content(&self, volume: &Value) -> Result<(BTreeMap<String, String>, u32, bool)> {
        let mode = |source: &Value| {
            let mode = source["defaultMode"].as_u64().and_then(|mode| u32::try_from(mode).ok());
            mode.unwrap_or(0o644)
        };
        if let Some(name) = volume["configMap"]["name"].as_str() {
            let texts = self.config.get(name).with_context(|| format!("no ConfigMap {name}"))?;
            return Ok((texts.clone(), mode(&volume["configMap"]), false));
        }
        let secret = &volume["secret"];
        let Some(name) = secret["secretName"].as_str() else {
            return Ok((BTreeMap::new(), 0o644, true));
        };
        let Some(texts) = self.host.secrets.get(name) else {
            let optional = secret["optional"] == true;
            return if optional { Ok((BTreeMap::new(), 0o644, false)) } else { missing(name) };
        };
        let Some(items) = secret["items"].as_array() else {
            return Ok((texts.clone(), mode(secret), false));
        };
        let mut files = BTreeMap::new();
        for item in items {
            let key = item["key"].as_str().context("an item's key")?;
            let text = texts.get(key).with_context(|| format!("Secret {name} has no {key}"))?;
            files.insert(item["path"].as_str().unwrap_or(key).to_owned(), text.clone());
        }
        Ok((files, mode(secret), false))
    }

    fn containers(&self) -> impl Iterator<Item = &Value> {
        let lists = [&self.workload.pod["initContainers"], &self.workload.pod["containers"]];
        lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten())
    }
}

fn missing<T>(secret: &str) -> Result<T> {
    bail!("there is no Secret {secret}")
}

/// The last part of an image's name: that of the binary in it.
fn image(container: &Value) -> Result<&str> {
    let image = container["image"].as_str().context("a container's image")?;
    let name = image.rsplit('/').next().unwrap_or(image);
    Ok(name.split(':').next().unwrap_or(name))
}

/// What runs: the image's entry point is its binary.
fn argv(container: &Value) -> Result<Vec<String>> {
    let list = |name: &str| -> Vec<String> {
        let words = container[name].as_array().into_iter().flatten();
        words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let mut argv = list("command");
    if argv.is_empty() {
        argv.push(format!("/usr/local/bin/{}", image(container)?));
    }
    argv.extend(list("args"));
    Ok(argv)
}

/// Fills in `$(NAME)`.
fn filled(text: &str, all: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in all {
        text = text.replace(&format!("$({name})"), value);
    }
    text
}

fn make_root(root: &Path, host: &Host, name: &str, address: Ipv4Addr) -> Result<()> {
    let directories = [
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "usr/lib64",
        "usr/share",
        "usr/local/bin",
        "etc/ssl",
        "proc",
        "dev",
        "tmp",
    ];
    for directory in directories {
        fs::create_dir_all(root.join(directory))?;
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link))?;
    }
    let namespace = &host.namespace;
    let resolver = format!(
        "nameserver {GATEWAY}\nsearch {namespace}.svc.cluster.local svc.cluster.local \
         cluster.local\noptions ndots:5\n"
    );
    fs::write(root.join("etc/resolv.conf"), resolver)?;
    fs::write(root.join("etc/hosts"), format!("127.0.0.1 localhost\n{address} {name}\n"))?;
    fs::write(root.join("etc/nsswitch.conf"), "passwd: files\nhosts: files dns\n")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_without_a_command_runs_its_image() {
        let container = json!({"image": "r.example.com/m/funnel:0.1.0", "args": ["run"]});
        assert_eq!(argv(&container).unwrap(), ["/usr/local/bin/funnel", "run"]);
        let all = BTreeMap::from([("A".to_owned(), "x".to_owned())]);
        assert_eq!(filled("$(A).$(B)", &all), "x.$(B)");
    }
}
