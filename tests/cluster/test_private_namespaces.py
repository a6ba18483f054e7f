# SPDX-License-Identifier: Apache-2.0
"""job_container/tmpfs: each job has a mount namespace of its own, and so mount ids of its own for every image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster import Cluster, install
from testbed.cluster import gate as gates
from testbed.cluster.gate import records
from testbed.images import obtain_image

pytestmark = [pytest.mark.cluster, pytest.mark.engine]
CLEAN = "/images/clean/trixie.sif"
LAST_STEP = 0xFFFF_0000
"""From here on the numbers stand for the batch script, the extern step and the like."""


def _private_tmp(root: Path) -> None:
    text = "AutoBasePath=true\nBasePath=/var/lib/private-tmp\n"
    (root / "etc/slurm/job_container.conf").write_text(text)


@pytest.fixture(scope="module")
def private() -> Iterator[Cluster]:
    """Return a cluster whose only node has the whole gate, and whose jobs have namespaces of their own."""
    with (
        Cluster(
            nodes=("n1",),
            settings=["JobContainerType=job_container/tmpfs", "PrologFlags=Contain"],
            plugstack="required sifgate.so\n",
            prepare=[install.plugin, _private_tmp],
            binds={"clean": obtain_image("trixie.sif").parent},
            one_cpu=True,
        ) as running,
        gates.gate(running.node_root("n1")),
    ):
        yield running


def _launch(private: Cluster, script: str) -> None:
    done = private.run("alice", ["sbatch", "--parsable", "-o", "/scratch/out", "--wrap", script])
    assert private.wait_job(done.stdout.strip())["JobState"] == "COMPLETED", (
        private.scratch / "out"
    ).read_text()


def _extractions(root: Path) -> int:
    found = json.loads(gates.sifgate(root, "status", "--format", "json").stdout)["agent"]
    return int(found["scans"]["extractions"])


def test_an_image_is_read_once_for_all_jobs(private: Cluster) -> None:
    """Two launches in the first job, one in a second, one in a third: one reading, though the mount ids differ."""
    root = private.node_root("n1")
    step = f"srun apptainer exec {CLEAN} true"
    _launch(private, f"readlink /proc/self/ns/mnt; {step} && {step}")
    first = (private.scratch / "out").read_text()
    assert _extractions(root) == 1
    _launch(private, f"readlink /proc/self/ns/mnt; {step}")
    assert (private.scratch / "out").read_text() != first
    assert private.run("alice", step.split()).returncode == 0
    assert _extractions(root) == 1
    steps = [record for record in records(root) if record["step"] < LAST_STEP]
    assert [(record["action"], record["state"]) for record in steps] == [("allow", "known")] * 4
    assert max(record["latency_ms"] for record in steps[1:]) < steps[0]["latency_ms"] / 4
