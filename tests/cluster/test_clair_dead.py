# SPDX-License-Identifier: Apache-2.0
"""Clair dies under a real cluster and does not come back: launches follow the policy's `clair_unavailable`."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from testbed.cluster import Cluster
from testbed.cluster import gate as gates
from testbed.cluster.gate import NodeAgent, records

pytestmark = [pytest.mark.cluster, pytest.mark.engine]
CLEAN = "/images/clean/trixie.sif"


def _until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


def _clairs(program: Path) -> list[psutil.Process]:
    processes = psutil.process_iter(["cmdline"])
    return [process for process in processes if str(program) in (process.info["cmdline"] or [])[:1]]


@pytest.fixture(scope="module")
def widowed() -> Iterator[Path]:
    """Return the root of a gate of this file's own whose Clair was killed, and its program taken away."""
    root = Path(tempfile.mkdtemp(prefix="sifgate-widowed-"))
    root.chmod(0o755)
    try:
        with gates.gate(root):
            program = root / "state/bin/clair"
            program.rename(program.with_name("away"))
            (clair,) = _clairs(program)
            clair.kill()
            _until(lambda: not _clairs(program))
            yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("action", ["allow", "warn", "block"])
def test_an_unknown_image_follows_the_policy(cluster: Cluster, widowed: Path, action: str) -> None:
    """The cause is named, the launch ends within scan_wait, the prolog harms nothing, the node is idle."""
    policy = f"\nfailure:\n  clair_unavailable: {action}\n"
    agent = NodeAgent(cluster.node_root("n2"), gates.announced(widowed), policy)
    try:
        began = time.monotonic()
        argv = ["srun", "-w", "n2", "apptainer", "exec", CLEAN, "echo", "the container runs"]
        done = cluster.run("alice", argv)
        seconds = time.monotonic() - began
        (record,) = records(agent.root)
        cluster.wait_idle()
    finally:
        agent.clear()
    assert (record["cause"], record["action"]) == ("clair_unavailable", action)
    assert done.returncode == (1 if action == "block" else 0)
    assert ("the container runs" in done.stdout) is (action != "block")
    assert ("clair_unavailable" in done.stderr) is (action != "allow")
    assert seconds < 15


def test_a_batch_job_passes_its_prolog(cluster: Cluster, widowed: Path) -> None:
    """The prolog, asked to refuse where the policy does, finds no verdict and cancels nothing."""
    agent = NodeAgent(cluster.node_root("n2"), gates.announced(widowed))
    try:
        script = f"#!/bin/sh\napptainer exec {CLEAN} true\n"
        done = cluster.run("alice", ["sbatch", "--parsable", "-w", "n2", "-o", "/dev/null"], text=script)
        assert cluster.wait_job(done.stdout.strip())["JobState"] == "COMPLETED"
        cluster.wait_idle()
    finally:
        agent.clear()
