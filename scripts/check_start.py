"""Starts a service with the files, variables and flags of rendered manifests, for scripts/check-deploy.

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
# What `check` finds good without a network.
GOOD = {
    "funnel": "programs",
    "batch-uploader": "settings",
    "table": "programs",
    "http-receiver": "programs",
}
BINARY = {"provision": "nubium-provision"}
# What optional Secrets hold; filled in by main.
CERTIFICATES = {}
PATIENCE = 120


class Container:
    """A container of the manifests: what it runs, and where its files are on this machine."""

    def __init__(self, manifests, container, pod, claims, root):
        self.root, self.config = root, {}
        for manifest in manifests:
            if manifest["kind"] == "ConfigMap":
                self.config[manifest["metadata"]["name"]] = manifest.get("data", {})
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        volumes.update({claim["metadata"]["name"]: {} for claim in claims})
        self.mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        for mount in container["volumeMounts"]:
            self.write(root / mount["mountPath"].lstrip("/"), volumes[mount["name"]])
        self.variables = self.environment(container)
        self.arguments = [self.moved(text) for text in container.get("args", [])]

    def write(self, folder, volume):
        folder.mkdir(parents=True, exist_ok=True)
        if "configMap" in volume:
            texts = self.config[volume["configMap"]["name"]]
        else:
            # Long enough for a key, too.
            secret = volume.get("secret", {})
            texts = {item["path"]: "secret-for-the-check" for item in secret.get("items", [])}
            if secret and "items" not in secret:
                texts = CERTIFICATES
        for name, text in texts.items():
            # Only the map of clusters has brokers.
            if name == "clusters.yaml":
                text = re.sub(r"(?m)^(\s+url:).*", rf"\1 {NOBODY}", text)
            (folder / name).write_text(self.moved(text), "utf-8")

    def moved(self, text):
        """Puts the paths of mounts in a text under the temporary root."""
        mounts = "|".join(map(re.escape, self.mounts))
        return re.sub(rf"(?<![\w/])({mounts})(?![\w-])", rf"{self.root}\1", text)

    def environment(self, container):
        variables = {}
        for source in container.get("envFrom", []):
            variables.update(self.config[source["configMapRef"]["name"]])
        variables.update({e["name"]: e["value"] for e in container.get("env", []) if "value" in e})
        variables = {name: self.moved(value) for name, value in variables.items()}
        if variables:
            variables["NU_SCHEMA_REGISTRY_URL"] = f"http://{NOBODY}"
            # Kubernetes has it in every pod.
            variables.setdefault("HOSTNAME", "pod-0")
        return variables


def fail(command, output, why):
    sys.exit(f"{' '.join(map(str, command))}: {why}\n{output}")


def run(command, variables):
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    done = subprocess.run(
        command, env=variables, stdout=pipe, stderr=both, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stdout


def check_app(service, binary, container):
    command = [binary, "config"]
    code, output = run(command, container.variables)
    if code != 0 or "warning" in output:
        fail(command, output, f"code {code}, and 0 without a warning is expected")
    command = [binary, "check"]
    code, output = run(command, container.variables)
    row = GOOD[service]
    if code != 1 or not re.search(rf"^│ {row}\s+┆ ok\s", output, re.MULTILINE):
        fail(command, output, f"code {code}, and 1 with {row} that are ok is expected")


def check_provision(binary, container):
    command = [binary, "plan"]
    code, output = run(command, container.variables)
    if code != 3 or "warning" in output:
        fail(command, output, f"code {code}, and 3 is expected: only Kafka is missing")


def check_cache(binary, container):
    command = [binary, *container.arguments, "--web.listen-address=127.0.0.1:0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    first = server.stderr.readline()
    server.terminate()
    rest = server.stderr.read()
    code = server.wait(timeout=PATIENCE)
    if code != 0 or "Listening." not in first:
        fail(command, first + rest, f"code {code}, and 0 after a start is expected")


def check_dude(binary, container):
    command = [binary, "topics", "list"]
    code, output = run(command, container.variables)
    if code == 0 or "127.0.0.1:1" not in output:
        fail(command, output, f"code {code}, and one for brokers that do not answer is expected")


def check_workload(manifests, spec, binaries):
    pod = spec["template"]["spec"]
    main = pod["containers"][0]
    if main["name"] == "done":
        # It does nothing any more.
        main = pod["initContainers"][0]
    service = main["name"]
    binary = pathlib.Path(binaries) / BINARY.get(service, service)
    with tempfile.TemporaryDirectory() as root:
        claims = spec.get("volumeClaimTemplates", [])
        container = Container(manifests, main, pod, claims, pathlib.Path(root))
        if service == "metrics-cache":
            check_cache(binary, container)
        elif service == "provision":
            check_provision(binary, container)
        elif service == "dude":
            check_dude(binary, container)
        else:
            check_app(service, binary, container)


def make_certificates():
    """An authority, and a certificate with its key, that nobody will see."""
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = pathlib.Path(folder, "key"), pathlib.Path(folder, "certificate")
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-nodes", "-subj", "/CN=check", "-keyout", key, "-out", certificate]
        subprocess.run(command, check=True, capture_output=True)
        CERTIFICATES["tls.key"] = key.read_text("utf-8")
        for name in ("tls.crt", "kafka-ca.pem", "registry-ca.pem", "api-ca.pem"):
            CERTIFICATES[name] = certificate.read_text("utf-8")


def main(binaries, path):
    with open(path, encoding="utf-8") as file:
        manifests = [manifest for manifest in yaml.safe_load_all(file) if manifest]
    make_certificates()
    for manifest in manifests:
        if manifest["kind"] in ("StatefulSet", "Deployment"):
            check_workload(manifests, manifest["spec"], binaries)


if __name__ == "__main__":
    main(*sys.argv[1:])
