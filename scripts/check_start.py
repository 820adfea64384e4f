"""Starts the funnel with the files and variables of rendered manifests, for scripts/check-deploy.

The mounts become a temporary directory, brokers and registry an address where nobody listens:
settings must load without a problem or warning, programs must compile, and only what needs the
network may fail.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

NOBODY = "127.0.0.1:1"


def fail(command, output, why):
    sys.exit(f"{' '.join(command)}: {why}\n{output}")


def run(binary, subcommand, variables):
    command = [binary, subcommand]
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    done = subprocess.run(command, env=variables, stdout=pipe, stderr=both, text=True, timeout=120)
    return command, done.returncode, done.stdout


def variables_and_files(manifests, root):
    """Writes what the container mounts under `root`; gives its variables, with paths there."""
    maps = [manifest for manifest in manifests if manifest["kind"] == "ConfigMap"]
    config = {manifest["metadata"]["name"]: manifest.get("data", {}) for manifest in maps}
    pod = next(m for m in manifests if m["kind"] == "StatefulSet")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    paths = []
    for mount in container["volumeMounts"]:
        volume, paths = volumes[mount["name"]], [*paths, mount["mountPath"]]
        folder = root / mount["mountPath"].lstrip("/")
        folder.mkdir(parents=True)
        if "configMap" in volume:
            texts = config[volume["configMap"]["name"]]
        else:
            texts = {item["path"]: "secret" for item in volume.get("secret", {}).get("items", [])}
        for name, text in texts.items():
            (folder / name).write_text(re.sub(r"(?m)^(\s+url:).*", rf"\1 {NOBODY}", text), "utf-8")
    variables = {}
    for source in container["envFrom"]:
        variables.update(config[source["configMapRef"]["name"]])
    variables.update({e["name"]: e["value"] for e in container["env"] if "value" in e})
    for name, value in variables.items():
        if any(value.startswith(f"{path}/") for path in paths):
            variables[name] = f"{root}{value}"
    variables["NU_SCHEMA_REGISTRY_URL"] = f"http://{NOBODY}"
    return variables


def main(binary, path):
    with open(path, encoding="utf-8") as file:
        manifests = [manifest for manifest in yaml.safe_load_all(file) if manifest]
    with tempfile.TemporaryDirectory() as root:
        variables = variables_and_files(manifests, pathlib.Path(root))
        command, code, output = run(binary, "config", variables)
        if code != 0 or "warning" in output:
            fail(command, output, f"code {code}, and 0 without a warning is expected")
        command, code, output = run(binary, "check", variables)
        if code != 1 or not re.search(r"^│ programs\s+┆ ok\s", output, re.MULTILINE):
            fail(command, output, f"code {code}, and 1 with programs that compile is expected")


if __name__ == "__main__":
    main(*sys.argv[1:])
