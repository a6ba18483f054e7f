# SPDX-License-Identifier: Apache-2.0
"""Enroot and Pyxis: the hook where Enroot starts hooks, and squashfs images that Pyxis' option names.

Neither is in a registry. Enroot's start is acted out after its documentation; Pyxis is a plugin of its name with its
option, which other plugins see like the real one's.
"""

from __future__ import annotations

import argparse
import mmap
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster import Cluster, Completed, install
from testbed.cluster.gate import records
from testbed.images import obtain_image
from tests.fakes.containers import Node

from sifgate.doors.enroot import DOOR, HOOK

pytestmark = [pytest.mark.cluster, pytest.mark.engine]
KEV, CLEAN = "/images/kev-tree", "/images/clean-tree"
REFUSED = "sifgate: launch refused: 2 known-exploited vulnerabilities with a fix"
PLUGSTACK = "/etc/slurm/plugstack.conf"
START = f"""
for hook in $(dirname {HOOK})/*.sh; do
    [ -x "$hook" ] || continue
    ENROOT_PID=$$ ENROOT_MOUNTS=/dev/null ENROOT_ENVIRON=/dev/null "$hook" >/dev/null ||
        {{ echo "enroot: $hook exited with return code $?" >&2; exit 1; }}
done
exec "$@"
"""
"""What `enroot start` does with its hooks, in the namespaces that it has made by then."""


@pytest.fixture(scope="module")
def node(site: Cluster) -> Iterator[Node]:
    """Return the node with the hook in place."""
    DOOR.install(site.node_tree("d1"), argparse.Namespace())
    yield Node(site, "d1")
    DOOR.remove(site.node_tree("d1"))


@pytest.fixture(scope="module")
def squashed(site: Cluster) -> Iterator[Cluster]:
    """Return the node with a pyxis, and /scratch/kev.sqsh, /scratch/clean.sqsh: real images, no SIF around them."""
    for name, image in (("kev", "bullseye-kev.sif"), ("clean", "trixie.sif")):
        (site.scratch / f"{name}.sqsh").write_bytes(_file_system(obtain_image(image)))
    install.fake_pyxis("24.11")(site.tree)
    before = site.run("root", ["cat", PLUGSTACK]).check().stdout
    line = f"optional /{install.SPANKDIR}/24.11/pyxis.so\n"
    site.run("root", ["tee", PLUGSTACK], text=before + line).check()
    yield site
    site.run("root", ["tee", PLUGSTACK], text=before).check()
    for name in ("kev", "clean"):
        (site.scratch / f"{name}.sqsh").unlink()


def _file_system(sif: Path) -> bytes:
    """Return the squashfs inside a SIF."""
    with sif.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data[data.find(b"hsqs") :]


def _enroot_start(node: Node, root: str, *argv: str, env: dict[str, str] | None = None) -> Completed:
    namespaces = ["unshare", "--user", "--map-root-user", "--mount"]
    words = [*namespaces, "sh", "-c", START, "enroot", *argv]
    return node.run("alice", words, env={"ENROOT_ROOTFS": root, **(env or {})}, text="for the container\n")


def test_enroot_starts_no_refused_image(node: Node, gate_root: Path) -> None:
    """From inside the user's own namespaces: the notice, and the start is over."""
    done = _enroot_start(node, KEV, "echo", "ran", env={"PYXIS_CONTAINER_IMAGE": "reg#group/kev:1"})
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{REFUSED} (rule" in done.stderr
    assert f"enroot: {HOOK} exited with return code 1" in done.stderr
    record = records(gate_root, "enroot-hook")[-1]
    assert (record["action"], record["uid"], record["path"]) == ("block", 2001, KEV)
    assert record["name"] == "reg#group/kev:1"


def test_enroot_starts_a_clean_image(node: Node, gate_root: Path) -> None:
    """With its standard input."""
    done = _enroot_start(node, CLEAN, "cat")
    assert (done.returncode, done.stdout) == (0, "for the container\n")
    assert records(gate_root, "enroot-hook")[-1]["action"] in {"allow", "log"}


@pytest.mark.parametrize("word", ["/scratch/kev.sqsh", "./kev.sqsh"])
def test_a_squashfs_that_pyxis_names_is_judged(squashed: Cluster, gate_root: Path, word: str) -> None:
    """Before Pyxis makes a container of it."""
    done = squashed.run("alice", ["srun", f"--container-image={word}", "echo", "ran"], cwd="/scratch")
    assert (done.returncode, done.stdout) == (1, "")
    assert REFUSED in done.stderr
    record = records(gate_root)[-1]
    assert (record["action"], record["path"]) == ("block", "/scratch/kev.sqsh")


def test_a_clean_squashfs_runs(squashed: Cluster, gate_root: Path) -> None:
    """And is on record."""
    done = squashed.run("alice", ["srun", "--container-image=/scratch/clean.sqsh", "echo", "ran"])
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert records(gate_root)[-1]["path"] == "/scratch/clean.sqsh"
