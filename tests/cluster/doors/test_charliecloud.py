# SPDX-License-Identifier: Apache-2.0
"""Charliecloud knows no hook: where it is stopped nevertheless, and where nothing stops it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.charliecloud import obtain_ch_run
from testbed.cluster import Cluster
from testbed.cluster.gate import records
from tests.fakes.containers import Node

from sifgate.doors.oci import DOOR

pytestmark = [pytest.mark.cluster, pytest.mark.engine]
KEV = "/images/kev-tree"
REFUSED = "sifgate: launch refused: 2 known-exploited vulnerabilities with a fix"
CH_RUN = "/scratch/bin/ch-run"


@pytest.fixture(scope="module")
def node(site: Cluster) -> Iterator[Node]:
    """Return the node, with ch-run where users find it, and a bundle for Slurm."""
    (site.scratch / "bin").mkdir()
    shutil.copy(obtain_ch_run(), site.scratch / "bin/ch-run")
    there = Node(site, "d1")
    there.bundle("/scratch/bundle", KEV, ["true"], user="alice", hook=None)
    yield there
    there.root(["rm", "-rf", "/scratch/bin", "/scratch/bundle"])


def test_an_image_directory_of_charliecloud_runs_unseen(node: Node, gate_root: Path) -> None:
    """Stated in docs/doors/oci.md: a directory, no setuid program, no hook, no image file that is opened."""
    before = (gate_root / "log/audit.jsonl").read_text()
    done = node.run("alice", [CH_RUN, KEV, "--", "cat", "/etc/debian_version"])
    assert (done.returncode, done.stdout) == (0, "11.11\n")
    assert (gate_root / "log/audit.jsonl").read_text() == before


def test_a_sites_own_wrapper_asks_before_charliecloud(node: Node, gate_root: Path) -> None:
    """What a module of the site can put in its place: sifgate-ask becomes ch-run where the image may run."""
    ask = "/usr/libexec/sifgate/sifgate-ask"
    done = node.run("alice", [ask, "run", "--rootfs", KEV, "--", CH_RUN, KEV, "--", "echo", "ran"])
    assert (done.returncode, done.stdout) == (1, "")
    assert REFUSED in done.stderr
    assert records(gate_root, "oci-hook")[-1]["path"] == KEV
    done = node.run(
        "alice",
        [ask, "run", "--rootfs", "/images/clean-tree", "--", CH_RUN, "/images/clean-tree", "--", "cat"],
        text="kept",
    )
    assert (done.returncode, done.stdout) == (0, "kept")


def test_charliecloud_as_slurms_runtime_is_judged(node: Node, site: Cluster, gate_root: Path) -> None:
    """It reads no bundle: asked about is the root file system, as Slurm names it to ch-run."""
    conf = f'RunTimeRun="{CH_RUN} %r -- %@"\nRunTimeKill="kill -s SIGTERM %p"\nRunTimeDelete="kill -s SIGKILL %p"\n'
    node.root(["tee", "/etc/slurm/oci.conf"], text=conf)
    try:
        assert DOOR.install(site.tree, argparse.Namespace(slurm=True))
        done = site.run("alice", ["srun", "--container=/scratch/bundle", "echo", "ran"])
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert REFUSED in done.stderr
        assert records(gate_root, "oci-hook")[-1]["path"] == KEV
    finally:
        DOOR.remove(site.tree)
        node.root(["rm", "/etc/slurm/oci.conf"])
