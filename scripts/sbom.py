"""Writes the software bill of materials of a binary (CycloneDX 1.6, JSON) to standard output.

    python3 scripts/sbom.py funnel > funnel.cdx.json

What is linked into the binary: the crates that its package needs to be built for Linux, without
those of tests. Versions are those of Cargo.lock. Needs cargo, and nothing else.
"""

import json
import subprocess
import sys
import uuid

TARGET = "x86_64-unknown-linux-gnu"


def metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def package_of(packages, binary):
    for package in packages.values():
        for target in package["targets"]:
            if "bin" in target["kind"] and target["name"] == binary:
                return package["id"]
    sys.exit(f"no package of this workspace has a binary {binary}")


def needed(nodes, root):
    """The packages that are reached without dependencies of tests, each with what it needs."""
    found, todo = {}, [root]
    while todo:
        one = todo.pop()
        if one not in found:
            deps = nodes[one]["deps"]
            kinds = {dep["pkg"]: {kind["kind"] for kind in dep["dep_kinds"]} for dep in deps}
            found[one] = sorted(pkg for pkg in kinds if kinds[pkg] - {"dev"})
            todo += found[one]
    return found


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, kind):
    entry = {
        "type": kind,
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package.get("license"):
        # The old way of writing OR, which SPDX does not know.
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return entry


def main(binary):
    known = metadata()
    packages = {package["id"]: package for package in known["packages"]}
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    root = package_of(packages, binary)
    used = needed(nodes, root)
    libraries = sorted((packages[one] for one in used if one != root), key=reference)
    # The same packages give the same number, so that a build can be repeated.
    number = uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(map(reference, libraries)) + binary)
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {"component": component(packages[root], "application") | {"name": binary}},
        "components": [component(package, "library") for package in libraries],
        "dependencies": [
            {
                "ref": reference(packages[one]),
                "dependsOn": sorted(reference(packages[other]) for other in used[one]),
            }
            for one in sorted(used, key=lambda one: reference(packages[one]))
        ],
    }
    json.dump(bom, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
