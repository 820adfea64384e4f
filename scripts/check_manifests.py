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
# What a Secret that may be missing holds when it is there, by how its name ends.
OPTIONAL_FILES = {
    "nubium-trust": ("kafka-ca.pem", "registry-ca.pem", "api-ca.pem"),
    "-certificate": ("tls.crt", "tls.key"),
}
TRANSACTIONAL = {"app", "batch", "table"}
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
            texts = {name: "" for name in secret_files(volume["secret"])}
        elif "configMap" in (volume or {}):
            texts = config.get(volume["configMap"]["name"], {})
        else:
            texts = {"health": ""}
        files.update({f"{path}/{name}": texts[name] for name in texts})
    return files, directories


def volumes_of(manifest):
    spec = manifest["spec"]
    volumes = {volume["name"]: volume for volume in spec["template"]["spec"].get("volumes", [])}
    claims = spec.get("volumeClaimTemplates", [])
    return volumes | {claim["metadata"]["name"]: claim for claim in claims}


def secret_files(secret):
    """The files of a Secret: those that the manifest lists, or those that ours have."""
    if "items" in secret:
        return [item["path"] for item in secret["items"]]
    for suffix, names in OPTIONAL_FILES.items():
        if secret["secretName"].endswith(suffix):
            rule(secret.get("optional") is True, f"Secret {secret['secretName']} is not optional")
            return names
    rule(False, f"it is not known what Secret {secret['secretName']} holds")
    return []


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


def identity_rules(manifest, config):
    """The manifest that rights are planned from is true of the pods: app, user and ids."""
    pod = manifest["spec"]["template"]["spec"]
    main = pod["containers"][0]
    settings = settings_of(main, config)
    is_set = manifest["kind"] == "StatefulSet" and "NU_APP_NAME" in settings
    static = settings.get("NU_CONSUMER_GROUP_INSTANCE_ID") == "hostname"
    rule(static or not is_set, "no static membership: a killed pod would wait for itself")
    volumes = volumes_of(manifest)
    for check in pod.get("initContainers", []):
        if check["name"] != "provision-check":
            continue
        given = settings_of(check, config)
        files, _ = mounted(check, volumes, config)
        document = files.get(given["NU_PROVISION_MANIFESTS"])
        if document is None:
            continue  # told already
        app = yaml.safe_load(document)
        rule(app["app"] == settings.get("NU_APP_NAME"), f"the manifest is of app {app['app']}")
        user = f"User:{settings.get('NU_KAFKA_USERNAME')}"
        rule(app.get("principal") == user, f"the pods are {user}, the manifest {app.get('principal')}")
        if app["kind"] not in TRANSACTIONAL:
            continue
        rule(settings.get("NU_HOSTNAME") == given.get("NU_HOSTNAME"), "check asks for another id")
        place = {"POD_NAMESPACE": manifest["metadata"]["namespace"]}
        place["POD_NAME"] = f"{manifest['metadata']['name']}-0"
        ids = re.sub(r"\$\((\w+)\)", lambda name: place[name[1]], settings["NU_HOSTNAME"])
        prefix = app.get("transactional_ids", app["app"])
        rule(ids.startswith(prefix), f"the id is {ids}, the manifest plans for {prefix}*")
        files, _ = mounted(main, volumes, config)
        used = set(topics_of(settings, files))
        named = [app.get(key) or [] for key in ("input", "output", "retry", "failure")]
        planned = {topic for one in named for topic in ([one] if isinstance(one, str) else one)}
        rule(used == planned, f"the service uses {sorted(used)}, the manifest {sorted(planned)}")


def topics_of(settings, files):
    """The topics that a service's file and settings name."""
    for name, value in settings.items():
        if name.endswith("_CONFIG") and value in files:
            for key, value in pairs_of(yaml.safe_load(files[value])):
                if key == "topic":
                    yield value
                elif key == "topics":
                    yield from value
    for name in ("NU_PRODUCE_RETRY_TOPICS", "NU_PRODUCE_FAILURE_TOPICS"):
        yield from (topic.strip() for topic in settings.get(name, "").split(",") if topic.strip())


def workload_rules(manifest, config):
    spec = manifest["spec"]
    template = spec["template"]
    pod = template["spec"]
    labels = template["metadata"]["labels"]
    is_idle = idle(manifest)
    selector = spec["selector"]["matchLabels"]
    matches = selector and selector.items() <= labels.items()
    rule(matches, "the selector does not match the pods")
    context = pod.get("securityContext", {})
    rule(context.get("runAsNonRoot") is True, "the user may be root")
    rule("runAsUser" not in context, "a fixed user is refused by OpenShift")
    rule(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", "no seccomp profile")
    rule(pod.get("automountServiceAccountToken") is False, "a service account token is mounted")
    volumes = volumes_of(manifest)
    for container in pod.get("initContainers", []) + pod["containers"]:
        security_rules(container)
        settings = settings_of(container, config)
        if container["name"] == "provision-check":
            # It has the app's settings, and reads only those of clusters, topics and registry.
            read = ("_YAML", "_PASSWORD_FILE", "_MANIFESTS", "_LOCATION", "_CA_FILE")
            settings = {name: settings[name] for name in settings if name.endswith(read)}
        settings_rules(settings, *mounted(container, volumes, config))
        if container in pod["containers"] and not is_idle:
            probe_rules(container)
            if settings:
                stop_rules(pod, container, settings)
    identity_rules(manifest, config)
    return labels


def idle(manifest):
    """Whether its pods serve nothing: what they do is done, or is asked for by hand."""
    return not any("ports" in c for c in manifest["spec"]["template"]["spec"]["containers"])


def fleet_rules(manifests, config):
    """Where apps are provisioned together with them, it is by their own manifests."""
    planned = [texts for name, texts in config.items() if "provision-manifests" in name]
    apps = [yaml.safe_load(texts["app.yaml"]) for texts in config.values() if "app.yaml" in texts]
    if not planned or not apps:
        return
    known = [yaml.safe_load(text) for name, text in planned[0].items() if name.endswith(".yaml")]
    for app in apps:
        rule(app in known, f"the manifest of {app['app']} is not what is provisioned")
    for app in known:
        rule(app in apps, f"no pod has the manifest of {app['app']}, which is provisioned")


def service_rules(manifest, workloads):
    """A service leads to ports that the pods have."""
    spec, name = manifest["spec"], manifest["metadata"]["name"]
    ports = set()
    for labels, containers in workloads:
        if spec.get("selector", {}).items() <= labels.items():
            ports |= {port["name"] for c in containers for port in c.get("ports", [])}
    for port in spec["ports"]:
        rule(port["targetPort"] in ports, f"service {name}: no pod has {port['targetPort']}")


def main(path, own):
    with open(path, encoding="utf-8") as file:
        manifests = [manifest for manifest in yaml.safe_load_all(file) if manifest]
    with open(own, "w", encoding="utf-8") as file:
        # Kinds of operators are in no schema of Kubernetes.
        operators = ("monitoring.coreos.com/", "keda.sh/")
        kubernetes = [m for m in manifests if not m["apiVersion"].startswith(operators)]
        yaml.safe_dump_all(kubernetes, file)
    by_kind = {}
    for manifest in manifests:
        by_kind.setdefault(manifest["kind"], []).append(manifest)
    config = {m["metadata"]["name"]: m.get("data", {}) for m in by_kind.get("ConfigMap", [])}
    workloads = []
    for kind in ("StatefulSet", "Deployment"):
        for manifest in by_kind.get(kind, []):
            labels = workload_rules(manifest, config)
            workloads.append((labels, manifest["spec"]["template"]["spec"]["containers"]))
            guards = [("NetworkPolicy", "podSelector")]
            guards += [] if idle(manifest) else [("PodDisruptionBudget", "selector")]
            for guard, where in guards:
                selectors = [m["spec"][where].get("matchLabels", {}) for m in by_kind.get(guard, [])]
                covered = any(s and s.items() <= labels.items() for s in selectors)
                rule(covered, f"no {guard} selects the pods")
    rule(workloads, "there is no workload")
    fleet_rules(manifests, config)
    for manifest in by_kind.get("Service", []):
        service_rules(manifest, workloads)
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
