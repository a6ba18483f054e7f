# SPDX-License-Identifier: Apache-2.0
"""OCI bundles and images of root trees, and commands where a node of a cluster runs them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.cluster import Cluster, Completed

RUNTIME_DIR = "/run/user/2001"
HOOK: dict[str, Any] = {
    "path": "/usr/libexec/sifgate/sifgate-ask",
    "args": ["sifgate-ask", "oci"],
    "timeout": 60,
}
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Node:
    """Commands in the namespaces of one node's slurmd, where its agent is, as a user or as root."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        pid = cluster.run("root", ["cat", f"/run/slurm/slurmd.{name}.pid"]).check().stdout.strip()
        self._enter = ["nsenter", "--target", pid, "--mount", "--uts", "--"]
        self.root(["install", "-d", "-m0700", "-oalice", "-galice", RUNTIME_DIR])

    def root(self, argv: Sequence[str], *, text: str = "") -> Completed:
        """Run a command as root; it must succeed."""
        return self.run("root", argv, text=text).check()

    def run(
        self, user: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None, text: str = ""
    ) -> Completed:
        """Run a command as `user`."""
        home = "/root" if user == "root" else f"/home/{user}"
        settings = {
            "HOME": home,
            "USER": user,
            **({} if user == "root" else {"XDG_RUNTIME_DIR": RUNTIME_DIR}),
        }
        words = [f"{name}={value}" for name, value in {**settings, **(env or {})}.items()]
        become = ["env", "-C", "/tmp", *words, *([] if user == "root" else ["runuser", "-u", user, "--"])]
        return self.cluster.run("root", [*self._enter, *become, *argv], text=text, limit=50)

    def bundle(
        self,
        path: str,
        root: str,
        argv: Sequence[str],
        *,
        user: str = "root",
        hook: dict[str, Any] | None = HOOK,
    ) -> None:
        """Make a bundle at `path`, owned by `user`, whose config.json is the runtime's own example, adapted."""
        rootless = [] if user == "root" else ["--rootless"]
        self.run(user, ["mkdir", "-p", path]).check()
        self.run(user, ["rm", "-f", f"{path}/config.json"]).check()
        self.run(user, ["runc", "spec", "--bundle", path, *rootless]).check()
        config: dict[str, Any] = json.loads(self.run(user, ["cat", f"{path}/config.json"]).stdout)
        config["process"] |= {"terminal": False, "args": list(argv)}
        config["root"] = {"path": root, "readonly": True}
        config["linux"]["resources"] = {}
        config["mounts"].append({"destination": "/run", "type": "tmpfs", "source": "tmpfs"})
        config["hooks"] = {"createRuntime": [hook]} if hook else {}
        self.run(user, ["tee", f"{path}/config.json"], text=json.dumps(config)).check()

    def mounts(self) -> list[str]:
        """Return what is mounted there: id, parent and place of each mount."""
        table = self.root(["cat", "/proc/1/mountinfo", "/proc/self/mountinfo"]).stdout
        return sorted(line.split()[4] for line in table.splitlines())


def write_layout(tree: Path, out: Path, name: str) -> None:
    """Make an OCI image of a root tree: a layout with one layer, not compressed; the same bytes each time."""
    blobs = out / "blobs/sha256"
    blobs.mkdir(parents=True)
    tar = [
        "tar",
        "--sort=name",
        "--mtime=@0",
        "--numeric-owner",
        "--exclude=./dev/*",
        "-C",
        str(tree),
        "-c",
        ".",
    ]
    with (blobs / "layer").open("w+b") as layer:
        subprocess.run(tar, stdout=layer, check=True)
        layer.seek(0)
        digest = hashlib.sha256()
        while data := layer.read(1 << 20):
            digest.update(data)
        size = layer.tell()
    (blobs / "layer").rename(blobs / digest.hexdigest())
    first = {"mediaType": _LAYER, "digest": f"sha256:{digest.hexdigest()}", "size": size}
    rootfs = {"type": "layers", "diff_ids": [first["digest"]]}
    config = _blob(blobs, _CONFIG, {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs})
    manifest = _blob(
        blobs, _MANIFEST, {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": [first]}
    )
    manifest["annotations"] = {"org.opencontainers.image.ref.name": name}
    (out / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (out / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _blob(blobs: Path, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    data = json.dumps(value, sort_keys=True).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}
