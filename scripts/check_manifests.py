"""Holds rendered manifests to rules that no schema knows. Called by scripts/check-deploy."""

import sys

import yaml

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


def settings_rules(pod, container, config):
    """Settings, mounts, ports and times that must agree with each other."""
    settings = {}
    for source in container.get("envFrom", []):
        name = source["configMapRef"]["name"]
        rule(name in config, f"there is no ConfigMap {name}")
        settings.update(config.get(name, {}))
    settings.update({e["name"]: e["value"] for e in container.get("env", []) if "value" in e})

    grace = pod.get("terminationGracePeriodSeconds", 30)
    stop = float(settings["NU_SHUTDOWN_TIMEOUT_SECONDS"])
    rule(stop < grace, f"a stop may take {stop} s, longer than the grace period of {grace} s")
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    same = str(ports.get("probes")) == settings.get("NU_PROBE_PORT")
    rule(same, "NU_PROBE_PORT is not the port of the probes")

    files = set()
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        volume = volumes.get(mount["name"], {})
        rule(volume, f"there is no volume {mount['name']}")
        if "secret" in volume:
            names = [item["path"] for item in volume["secret"]["items"]]
        elif "configMap" in volume:
            names = config.get(volume["configMap"]["name"], {}).keys()
        else:
            names = ["health"]
        files.update(f"{mount['mountPath']}/{name}" for name in names)
    for name, value in settings.items():
        rule(not value.startswith("/") or value in files, f"{name}: nothing is mounted at {value}")
        secret = name.endswith(("PASSWORD", "_CONFIGS_JSON"))
        rule(not secret, f"{name} is a secret in plain sight; use {name}_FILE")


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
