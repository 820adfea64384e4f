"""Holds rendered manifests to rules that no schema knows. Called by scripts/check-deploy."""

import json
import pathlib
import re
import sys

import yaml

SETTINGS_PAGE = pathlib.Path(__file__).parent.parent / "docs" / "settings.md"
problems = []


def rule(holds, what):
    if not holds:
        problems.append(what)


def container_rules(container):
    context = container.get("securityContext", {})
    rule(context.get("allowPrivilegeEscalation") is False, "privilege escalation is not forbidden")
    rule(context.get("readOnlyRootFilesystem") is True, "the root file system can be written")
    rule(context.get("capabilities", {}).get("drop") == ["ALL"], "not all capabilities are dropped")
    resources = container.get("resources", {})
    rule("memory" in resources.get("limits", {}), "memory has no limit")
    rule({"cpu", "memory"} <= resources.get("requests", {}).keys(), "requests are missing")
    for probe, path in [("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")]:
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


def settings_rules(pod, container, config):
    """Settings, mounts, ports and times that must agree with each other."""
    settings = settings_of(container, config)
    grace = pod.get("terminationGracePeriodSeconds", 30)
    stop = float(settings["NU_SHUTDOWN_TIMEOUT_SECONDS"])
    rule(stop < grace, f"a stop may take {stop} s, longer than the grace period of {grace} s")
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    same = str(ports.get("probes")) == settings.get("NU_PROBE_PORT")
    rule(same, "NU_PROBE_PORT is not the port of the probes")

    files = {}
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        volume = volumes.get(mount["name"], {})
        rule(volume, f"there is no volume {mount['name']}")
        if "secret" in volume:
            texts = {item["path"]: "" for item in volume["secret"]["items"]}
        elif "configMap" in volume:
            texts = config.get(volume["configMap"]["name"], {})
        else:
            texts = {"health": ""}
        files.update({f"{mount['mountPath']}/{name}": texts[name] for name in texts})
    for name, value in settings.items():
        rule(not value.startswith("/") or value in files, f"{name}: nothing is mounted at {value}")
        secret = name.endswith(("PASSWORD", "_CONFIGS_JSON"))
        rule(not secret, f"{name} is a secret in plain sight; use {name}_FILE")
    if "NU_FUNNEL_CONFIG" in settings:
        funnel_rules(settings, files)


def funnel_rules(settings, files):
    """What the funnel's file names is there: files beside it, topics in the map."""
    path = settings["NU_FUNNEL_CONFIG"]
    document = yaml.safe_load(files.get(path, "{}"))
    inputs, outputs = document.get("inputs", []), document.get("outputs", [])
    entries = [document, *inputs, *outputs]
    named = [entry[key] for entry in entries for key in ("program", "schema") if key in entry]
    folder = path.rsplit("/", 1)[0]
    for name in named:
        place = name if name.startswith("/") else f"{folder}/{name}"
        if place not in files:
            rule(False, f"{path} names {name}, but there is no file {place}")
        elif name.endswith(".avsc"):
            try:
                json.loads(files[place])
            except ValueError as error:
                rule(False, f"{place} is no JSON: {error}")
    topics = yaml.safe_load(files.get(settings.get("NU_TOPIC_CONFIGS_YAML"), "{}"))
    used = [entry["topic"] for entry in inputs + outputs]
    for name in ("NU_PRODUCE_RETRY_TOPICS", "NU_PRODUCE_FAILURE_TOPICS"):
        used += [topic.strip() for topic in settings.get(name, "").split(",") if topic.strip()]
    for topic in used:
        rule(topic in topics, f"topic {topic} is not in the map of topics")


def stateful_set_rules(manifest, config):
    spec = manifest["spec"]
    template = spec["template"]
    pod = template["spec"]
    labels = template["metadata"]["labels"]
    selector = spec["selector"]["matchLabels"]
    rule(selector and selector.items() <= labels.items(), "the selector does not match the pods")
    context = pod.get("securityContext", {})
    rule(context.get("runAsNonRoot") is True, "the user may be root")
    rule("runAsUser" not in context, "a fixed user is refused by OpenShift")
    rule(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", "no seccomp profile")
    rule(pod.get("automountServiceAccountToken") is False, "a service account token is mounted")
    for container in pod["containers"]:
        container_rules(container)
        settings_rules(pod, container, config)
    return labels


def main(path):
    with open(path, encoding="utf-8") as file:
        manifests = [manifest for manifest in yaml.safe_load_all(file) if manifest]
    by_kind = {}
    for manifest in manifests:
        by_kind.setdefault(manifest["kind"], []).append(manifest)
    config = {m["metadata"]["name"]: m.get("data", {}) for m in by_kind.get("ConfigMap", [])}
    for manifest in by_kind.get("StatefulSet", []):
        labels = stateful_set_rules(manifest, config)
        for kind, where in [("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")]:
            selectors = [m["spec"][where].get("matchLabels", {}) for m in by_kind.get(kind, [])]
            covered = any(s and s.items() <= labels.items() for s in selectors)
            rule(covered, f"no {kind} selects the pods")
    rule("StatefulSet" in by_kind, "there is no StatefulSet")
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
