"""Runs the commands of docs/deploy.md, for scripts/check-deploy: nothing in it may be a slip.

There is no cluster here. So `kubectl` is this file again: what is applied is rendered, Secrets are
made by kubectl itself without sending them, and whatever a command names must be in what was
applied: sets, containers, and every Secret with the keys that pods mount.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
USERS = ("http-receiver", "funnel", "table", "batch-uploader", "provision", "dude")
SETS = ("StatefulSet", "Deployment")
FILES = ["secrets/forms.keys", "secrets/api-token", "kafka-ca.pem", "registry-ca.pem", "api-ca.pem"]
FILES += [f"secrets/{user}.{system}" for user in USERS for system in ("kafka", "registry")]


def documents(path):
    if not path.exists():
        return []
    return [document for document in yaml.safe_load_all(path.read_text("utf-8")) if document]


def kubectl(state, arguments):
    """What kubectl would do, as far as it can be done without a cluster."""
    real = os.environ["REAL_KUBECTL"]
    words = [word for word in arguments if not word.startswith("-")]
    if "secret" in words:
        made = subprocess.run(
            [real, *arguments, "--dry-run=client", "-o", "yaml"], check=True, stdout=subprocess.PIPE
        )
        with open(state / "secrets.yaml", "ab") as file:
            file.write(b"---\n" + made.stdout)
    elif "-k" in arguments:
        folder = arguments[arguments.index("-k") + 1]
        rendered = subprocess.run([real, "kustomize", folder], check=True, stdout=subprocess.PIPE)
        (state / "applied.yaml").write_bytes(rendered.stdout)
    elif "namespace" not in words:
        named(state, arguments)


def named(state, arguments):
    """Whether the set or pod, and the container, that a command names were applied."""
    sets = {d["metadata"]["name"]: d for d in documents(state / "applied.yaml") if d["kind"] in SETS}
    target = next(a for a in arguments if "/" in a or re.fullmatch(r"[a-z-]+-\d", a))
    kind, _, name = target.rpartition("/")
    found = sets.get(name if kind else name.rsplit("-", 1)[0])
    if found is None or (kind and found["kind"].lower() != kind):
        sys.exit(f"{target} was not applied")
    if "-c" in arguments:
        pod = found["spec"]["template"]["spec"]
        containers = [c["name"] for c in pod.get("initContainers", []) + pod["containers"]]
        wanted = arguments[arguments.index("-c") + 1]
        if wanted not in containers:
            sys.exit(f"{target} has no container {wanted}")


def missing(state):
    """The Secrets and keys that pods mount and nobody made."""
    secrets = {s["metadata"]["name"]: s["data"] for s in documents(state / "secrets.yaml")}
    for document in documents(state / "applied.yaml"):
        if document["kind"] not in SETS:
            continue
        for volume in document["spec"]["template"]["spec"].get("volumes", []):
            secret = volume.get("secret", {})
            for item in secret.get("items", []):
                if item["key"] not in secrets.get(secret["secretName"], {}):
                    yield f"no command makes {item['key']} of Secret {secret['secretName']}"


def main():
    page = (ROOT / "docs/deploy.md").read_text("utf-8")
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        shutil.copytree(ROOT / "deploy", place / "deploy")
        for name in FILES:
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_text("x", "utf-8")
        shims = place / "bin"
        shims.mkdir()
        for name in ("docker", "curl"):
            (shims / name).write_text("#!/bin/sh\n", "utf-8")
        (place / "scripts").mkdir()
        (place / "scripts/check-deploy").write_text("#!/bin/sh\n", "utf-8")
        shim = f'#!/bin/sh\nexec {sys.executable} {__file__} "$@"\n'
        (shims / "kubectl").write_text(shim, "utf-8")
        for script in [*shims.iterdir(), place / "scripts/check-deploy"]:
            script.chmod(0o755)
        environment = os.environ | {
            "PATH": f"{shims}:{os.environ['PATH']}",
            "REAL_KUBECTL": shutil.which("kubectl"),
            "PAGE_STATE": folder,
            "KEY": "x",
        }
        ran = subprocess.run(["sh", "-euc", commands], cwd=place, env=environment, check=False)
        problems = list(missing(place))
        if ran.returncode != 0:
            problems.append(f"a command ended with {ran.returncode}")
    for problem in problems:
        print(f"docs/deploy.md: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    if "PAGE_STATE" in os.environ:
        kubectl(pathlib.Path(os.environ["PAGE_STATE"]), sys.argv[1:])
    else:
        sys.exit(main())
