"""Writes an OCI bundle's config.json that runs the funnel as restricted as the manifests do.

Usage: image_bundle.py <bundle> <root file system> <argument>... Called by scripts/image.
"""

import json
import pathlib
import subprocess
import sys

bundle, root, *arguments = sys.argv[1:]
path = pathlib.Path(bundle) / "config.json"
path.unlink(missing_ok=True)
subprocess.run(["crun", "spec"], cwd=bundle, check=True)
config = json.loads(path.read_text("utf-8"))
config["root"] = {"path": root, "readonly": True}
process = config["process"]
process.update(
    terminal=False,
    cwd="/",
    args=["/usr/local/bin/funnel", *arguments],
    # As OpenShift does: a number that is in no /etc/passwd, and group 0.
    user={"uid": 1_000_680_000, "gid": 0},
    capabilities={},
    noNewPrivileges=True,
)
config["mounts"].append(
    {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "mode=1777"]}
)
path.write_text(json.dumps(config), "utf-8")
