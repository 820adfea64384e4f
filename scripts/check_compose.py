"""Holds compose.yaml to the settings of the fleet's manifests. Called by scripts/check-deploy."""

import pathlib
import sys

import yaml

# What a laptop has not: users, passwords and authorities. And where its registry is.
ABSENT = {
    "NU_KAFKA_USERNAME",
    "NU_KAFKA_SASL_MECHANISM",
    "NU_KAFKA_SSL_CA_LOCATION",
    "NU_SCHEMA_REGISTRY_USERNAME",
    "NU_SCHEMA_REGISTRY_CA_FILE",
}
OTHER = {"NU_SCHEMA_REGISTRY_URL"}
SERVICES = ("http-receiver", "funnel", "table", "batch-uploader", "provision", "dude")


def settings_of_fleet(path):
    """The settings of each service, by its ConfigMap, without the hash at the name's end."""
    with open(path, encoding="utf-8") as file:
        documents = [document for document in yaml.safe_load_all(file) if document]
    maps = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
    return {n.rsplit("-settings-", 1)[0]: maps[n] for n in maps if "-settings-" in n}


def differences(service, fleet, laptop):
    for name in sorted(fleet.keys() | laptop.keys()):
        here, there = laptop.get(name), fleet.get(name)
        if name == "NU_HOSTNAME":
            # Of the pod, not of the ConfigMap.
            continue
        if name in ABSENT:
            if here is not None:
                yield f"{service}: {name} is set, and there are no users on a laptop"
        elif here != there and name not in OTHER:
            yield f"{service}: {name} is {here}, and {there} in the fleet"


def manifests(folder):
    """The apps' manifests without users, and the schemas beside them."""
    for path in sorted(pathlib.Path(folder).iterdir()):
        if path.name.endswith("-app.yaml"):
            app = yaml.safe_load(path.read_text("utf-8"))
            yield path.name, {k: app[k] for k in app if k not in ("principal", "transactional_ids")}
        elif path.suffix == ".avsc":
            yield path.name, path.read_text("utf-8")


def main(fleet, compose):
    with open(compose, encoding="utf-8") as file:
        services = yaml.safe_load(file)["services"]
    known = settings_of_fleet(fleet)
    problems = []
    for service in SERVICES:
        laptop = services[service].get("environment", {})
        problems += differences(service, known[service], laptop)
        for volume in services[service].get("volumes", []):
            source = volume.split(":", 1)[0]
            if source.startswith("./") and not pathlib.Path(compose).parent.joinpath(source).exists():
                problems.append(f"{service}: there is no {source}")
    root = pathlib.Path(compose).parent / "deploy"
    if dict(manifests(root / "compose/apps")) != dict(manifests(root / "fleet/example/apps")):
        problems.append("deploy/compose/apps and deploy/fleet/example/apps differ by more than users")
    for problem in problems:
        print(f"{compose}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
