"""Holds rendered manifests to rules that no schema knows. Called by scripts/check-deploy."""

import json
import pathlib
import re
import sys

import yaml

SETTINGS_PAGE = pathlib.Path(__file__).parent.parent / "docs" / "settings.md"
# What is asked when a pod starts, while it lives, and before it is sent work.
APP_PROBES = ("/livez", "/livez", "/readyz")
PROBES = {"metrics-cache": ("/-/healthy", "/-/healthy", "/-/ready")}
# Keys of a service's file whose value is another file beside it.
FILE_KEYS = {"program", "schema", "entry"}
problems = []


def rule(holds, what):
    if not holds:
        problems.append(what)


def security_rules(container):
    context = container.get("securityContext", {})
    rule(context.get("allowPrivilegeEscalation") is False, "privilege escalation is not forbidden")
    rule(context.get("readOnlyRootFilesystem") is True, "the root file system can be written")
    rule(context.get("capabilities", {}).get("drop") == ["ALL"], "not all capabilities are dropped")
    resources = container.get("resources", {})
    rule("memory" in resources.get("limits", {}), "memory has no limit")
    rule({"cpu", "memory"} <= resources.get("requests", {}).keys(), "requests are missing")


def probe_rules(container):
    paths = PROBES.get(container["name"], APP_PROBES)
    for probe, path in zip(("startup", "liveness", "readiness"), paths):
        found = container.get(f"{probe}Probe", {}).get("httpGet", {}).get("path")
        rule(found == path, f"the {probe} probe asks {found}, not {path}")


def known_settings():
    """Every NU_* name of the docs' page; a secret may come from a file."""
    rows = re.findall(r"^\| `(NU_\w+)`([^|]*)", SETTINGS_PAGE.read_text("utf-8"), re.MULTILINE)
    return {n for n, _ in rows} | {f"{n}_FILE" for n, marks in rows if "**secret**" in marks}


def settings_of(container, config):
    settings = {}
    for source in container.get("envFrom", []):
        name = source["configMapRef"]["name"]
        rule(name in config, f"there is no ConfigMap {name}")
        settings.update(config.get(name, {}))
    settings.update({e["name"]: e["value"] for e in container.get("env", []) if "value" in e})
    for name in sorted(settings.keys() - known_settings()):
        rule(not name.startswith("NU_"), f"{name} is no setting: see docs/settings.md")
    return settings


def mounted(container, volumes, config):
    """Every file that the container finds, with its text where that is known, and every directory."""
    files, directories = {}, set()
    for mount in container.get("volumeMounts", []):
        volume, path = volumes.get(mount["name"]), mount["mountPath"]
        rule(volume is not None, f"there is no volume {mount['name']}")
        directories.add(path)
        if "secret" in (volume or {}):
            texts = {item["path"]: "" for item in volume["secret"]["items"]}
        elif "configMap" in (volume or {}):
            texts = config.get(volume["configMap"]["name"], {})
        else:
            texts = {"health": ""}
        files.update({f"{path}/{name}": texts[name] for name in texts})
    return files, directories


def settings_rules(settings, files, directories):
    for name, value in settings.items():
        there = value in files or value in directories
        rule(not value.startswith("/") or there, f"{name}: nothing is mounted at {value}")
        secret = name.endswith(("PASSWORD", "_CONFIGS_JSON"))
        rule(not secret, f"{name} is a secret in plain sight; use {name}_FILE")
    for name, value in settings.items():
        if name.endswith("_CONFIG") and value in files:
            document_rules(value, settings, files)


def stop_rules(pod, container, settings):
    """Times and ports that must agree with each other."""
    grace = pod.get("terminationGracePeriodSeconds", 30)
    stop = float(settings["NU_SHUTDOWN_TIMEOUT_SECONDS"])
    rule(stop < grace, f"a stop may take {stop} s, longer than the grace period of {grace} s")
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    same = str(ports.get("probes")) == settings.get("NU_PROBE_PORT")
    rule(same, "NU_PROBE_PORT is not the port of the probes")


def pairs_of(node):
    """Every key and value of a document, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from pairs_of(value)
    elif isinstance(node, list):
        for value in node:
            yield from pairs_of(value)


def document_rules(path, settings, files):
    """What a service's file names is there: files beside it, secrets, topics in the map."""
    pairs = list(pairs_of(yaml.safe_load(files[path])))
    folder = path.rsplit("/", 1)[0]
    for key, name in pairs:
        if not isinstance(name, str) or not (key in FILE_KEYS or key.endswith("_file")):
            continue
        place = name if name.startswith("/") else f"{folder}/{name}"
        if place not in files:
            rule(False, f"{path} names {name}, but there is no file {place}")
        elif name.endswith(".avsc"):
            try:
                json.loads(files[place])
            except ValueError as error:
                rule(False, f"{place} is no JSON: {error}")
    topics = yaml.safe_load(files.get(settings.get("NU_TOPIC_CONFIGS_YAML"), "{}"))
    used = [value for key, value in pairs if key == "topic"]
    used += [topic for key, value in pairs if key == "topics" for topic in value]
    for name in ("NU_PRODUCE_RETRY_TOPICS", "NU_PRODUCE_FAILURE_TOPICS"):
        used += [topic.strip() for topic in settings.get(name, "").split(",") if topic.strip()]
    for topic in used:
        rule(topic in topics, f"topic {topic} is not in the map of topics")


def workload_rules(manifest, config):
    spec = manifest["spec"]
    template = spec["template"]
    pod = template["spec"]
    labels = template["metadata"]["labels"]
    runs_once = manifest["kind"] == "Job"
    if not runs_once:
        selector = spec["selector"]["matchLabels"]
        matches = selector and selector.items() <= labels.items()
        rule(matches, "the selector does not match the pods")
    context = pod.get("securityContext", {})
    rule(context.get("runAsNonRoot") is True, "the user may be root")
    rule("runAsUser" not in context, "a fixed user is refused by OpenShift")
    rule(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", "no seccomp profile")
    rule(pod.get("automountServiceAccountToken") is False, "a service account token is mounted")
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    claims = spec.get("volumeClaimTemplates", [])
    volumes.update({claim["metadata"]["name"]: claim for claim in claims})
    for container in pod.get("initContainers", []) + pod["containers"]:
        security_rules(container)
        settings = settings_of(container, config)
        is_main = container in pod["containers"]
        if not is_main:
            # It has the app's settings, and reads only those of clusters, topics and registry.
            read = ("_YAML", "_PASSWORD_FILE", "_MANIFESTS")
            settings = {name: settings[name] for name in settings if name.endswith(read)}
        settings_rules(settings, *mounted(container, volumes, config))
        if is_main and not runs_once:
            probe_rules(container)
            if settings:
                stop_rules(pod, container, settings)
    return labels


def service_rules(manifest, workloads):
    """A service leads to ports that the pods have."""
    spec, name = manifest["spec"], manifest["metadata"]["name"]
    ports = set()
    for labels, containers in workloads:
        if spec.get("selector", {}).items() <= labels.items():
            ports |= {port["name"] for c in containers for port in c.get("ports", [])}
    for port in spec["ports"]:
        rule(port["targetPort"] in ports, f"service {name}: no pod has {port['targetPort']}")


def main(path):
    with open(path, encoding="utf-8") as file:
        manifests = [manifest for manifest in yaml.safe_load_all(file) if manifest]
    by_kind = {}
    for manifest in manifests:
        by_kind.setdefault(manifest["kind"], []).append(manifest)
    config = {m["metadata"]["name"]: m.get("data", {}) for m in by_kind.get("ConfigMap", [])}
    workloads = []
    for kind in ("StatefulSet", "Deployment", "Job"):
        for manifest in by_kind.get(kind, []):
            labels = workload_rules(manifest, config)
            workloads.append((labels, manifest["spec"]["template"]["spec"]["containers"]))
            guards = [("NetworkPolicy", "podSelector")]
            guards += [] if kind == "Job" else [("PodDisruptionBudget", "selector")]
            for guard, where in guards:
                selectors = [m["spec"][where].get("matchLabels", {}) for m in by_kind.get(guard, [])]
                covered = any(s and s.items() <= labels.items() for s in selectors)
                rule(covered, f"no {guard} selects the pods")
    rule(workloads, "there is no workload")
    for manifest in by_kind.get("Service", []):
        service_rules(manifest, workloads)
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
