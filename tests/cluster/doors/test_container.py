# SPDX-License-Identifier: Apache-2.0
"""Slurm's own `--container` with crun: `sifgate-ask run` in oci.conf, and the step's bundle at the SPANK plugin."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster import Cluster, install
from testbed.cluster.gate import records
from testbed.cluster.scripted import ScriptedAgent, Step
from testbed.rootfs import obtain_tree
from tests.fakes.asking import NOTICE
from tests.fakes.containers import RUNTIME_DIR, Node

from sifgate.doors.oci import DOOR

pytestmark = pytest.mark.cluster
KEV, CLEAN = "/images/kev-tree", "/images/clean-tree"
NAME = "%n.%u.%j.%s.%t"
CRUN = "crun --rootless=true --cgroup-manager=disabled --root=/run/user/%U/"
OCI_CONF = (
    f'RunTimeRun="{CRUN} run --bundle %b {NAME}"\n'
    f'RunTimeQuery="{CRUN} state {NAME}"\n'
    f'RunTimeKill="{CRUN} kill -a {NAME}"\n'
    f'RunTimeDelete="{CRUN} delete --force {NAME}"\n'
)
ALLOW: list[Step] = [("decide", "allow", {})]
BLOCK: list[Step] = [("decide", "block", {"notice": NOTICE})]


def _prepared(cluster: Cluster) -> Node:
    """Return the node with an oci.conf, and with the line of the door before its runtime."""
    node = Node(cluster, cluster.names[0])
    node.root(["tee", "/etc/slurm/oci.conf"], text=OCI_CONF)
    assert DOOR.install(cluster.tree, argparse.Namespace(slurm=True))
    for name, image in (("kev", KEV), ("clean", CLEAN)):
        node.bundle(f"/scratch/bundle-{name}", image, ["true"], user="alice", hook=None)
    return node


@pytest.fixture(scope="module")
def plain() -> Iterator[Cluster]:
    """Return a node without the SPANK plugin: only oci.conf stands between a bundle and its start."""
    binds = {"kev-tree": obtain_tree("bullseye-kev"), "clean-tree": obtain_tree("trixie")}
    with Cluster(nodes=("d1",), prepare=[install.programs], binds=binds) as running:
        _prepared(running)
        yield running


@pytest.fixture
def bundles(site: Cluster) -> Iterator[Cluster]:
    """Return the shared node with oci.conf and bundles, as it was at the end."""
    node = _prepared(site)
    yield site
    DOOR.remove(site.tree)
    assert node.root(["cat", "/etc/slurm/oci.conf"]).stdout == OCI_CONF
    node.root(["rm", "-rf", "/etc/slurm/oci.conf", "/scratch/bundle-kev", "/scratch/bundle-clean"])


def _agent(cluster: Cluster, script: list[Step]) -> ScriptedAgent:
    return ScriptedAgent(cluster.node_root("d1") / "run/agent.sock", script)


def _nothing_runs(cluster: Cluster) -> None:
    cluster.wait_idle()
    assert cluster.strays() == []
    assert cluster.run("alice", ["crun", f"--root={RUNTIME_DIR}", "list", "-q"]).stdout == ""


def test_a_refused_bundle_does_not_start(plain: Cluster) -> None:
    """The notice on the user's terminal, exit 1, the node idle; asked about was Slurm's copy of the bundle."""
    with _agent(plain, [("open", KEV), *BLOCK]) as agent:
        done = plain.run("alice", ["srun", "--container=/scratch/bundle-kev", "echo", "ran"])
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{NOTICE}\n" in done.stderr
    ask = agent.asked[0]
    assert ask.first("state").startswith(
        b'{"ociVersion":"1.0.2","status":"creating","bundle":"/var/spool/slurmd.d1/oci-'
    )
    assert (ask.first("door"), ask.first("step"), ask.first("rank")) == (b"oci-hook", b"0", b"0")
    assert agent.opened[0][0] == ""
    _nothing_runs(plain)


def test_an_allowed_bundle_has_its_standard_input(plain: Cluster) -> None:
    """Every task of the step asks; none of their input is eaten, and their exit status is the step's."""
    with _agent(plain, ALLOW) as agent:
        done = plain.run("alice", ["srun", "--container=/scratch/bundle-clean", "cat"], text="for the task\n")
        assert (done.returncode, done.stdout) == (0, "for the task\n")
        done = plain.run("alice", ["srun", "-n2", "--container=/scratch/bundle-clean", "sh", "-c", "exit 7"])
    assert done.returncode == 7
    assert sorted(ask.first("rank") for ask in agent.asked) == [b"0", b"0", b"1"]
    _nothing_runs(plain)


def test_two_tasks_refuse_with_one_notice(plain: Cluster) -> None:
    """Rank 0 says all of it, the other its first line."""
    with _agent(plain, BLOCK):
        done = plain.run("alice", ["srun", "-n2", "--container=/scratch/bundle-kev", "echo", "ran"])
    assert (done.returncode, done.stdout, done.stderr.count("  why  ")) == (1, "", 1)
    assert done.stderr.count(NOTICE.splitlines()[0]) == 2
    _nothing_runs(plain)


def test_a_batch_job_in_a_container_is_refused(plain: Cluster) -> None:
    """FAILED, the notice in its output file, no requeue, the node idle."""
    with _agent(plain, BLOCK):
        words = ["sbatch", "--parsable", "--container=/scratch/bundle-kev", "-o", "/scratch/job.out"]
        number = plain.run("alice", words, text="#!/bin/sh\necho ran\n").check().stdout.strip()
        job = plain.wait_job(number)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "1:0", "0")
    said = (plain.scratch / "job.out").read_text()
    assert NOTICE in said
    assert "ran\n" not in said.replace(NOTICE, "")
    _nothing_runs(plain)


@pytest.mark.parametrize(
    ("posture", "script", "status"),
    [
        ("allow", None, 0),
        ("block", None, 1),
        ("allow", [("send", b"garbage")], 0),
        ("block", [("sleep", 20)], 1),
        ("block", [("close",)], 1),
    ],
)
def test_without_an_answer_the_posture_decides(
    plain: Cluster, posture: str, script: list[Step] | None, status: int
) -> None:
    """Agent absent, hung, gone or talking nonsense: within seconds, and the node stays idle."""
    file = plain.node_root("d1") / "etc/posture"
    file.write_text(f"sifgate-posture 1\nagent_unreachable {posture}\nscan_wait_ms 3000\n")
    started = time.monotonic()
    try:
        if script is None:
            done = plain.run("alice", ["srun", "--container=/scratch/bundle-clean", "true"])
        else:
            with _agent(plain, script):
                done = plain.run("alice", ["srun", "--container=/scratch/bundle-clean", "true"])
    finally:
        file.unlink()
    assert (done.returncode, time.monotonic() - started < 10) == (status, True)
    _nothing_runs(plain)


@pytest.mark.engine
@pytest.mark.parametrize("root", ["rootfs", KEV])
def test_a_real_bundle_is_refused(bundles: Cluster, gate_root: Path, root: str) -> None:
    """By the plugin where the root lies where tools put it; by oci.conf where config.json puts it anywhere else."""
    config = "/scratch/bundle-kev/config.json"
    if root == "rootfs":
        bundles.run("alice", ["ln", "-s", KEV, "/scratch/bundle-kev/rootfs"]).check()
        bundles.run("alice", ["sed", "-i", f's|"path": "{KEV}"|"path": "rootfs"|', config]).check()
    before = len(records(gate_root, "oci-hook"))
    done = bundles.run("alice", ["srun", "--container=/scratch/bundle-kev", "echo", "ran"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("sifgate: launch refused: 2 known-exploited vulnerabilities with a fix") == 1
    if root == "rootfs":
        assert records(gate_root, "spank")[-1]["action"] == "block"
        assert len(records(gate_root, "oci-hook")) == before
    else:
        assert records(gate_root, "oci-hook")[-1]["action"] == "block"


@pytest.mark.engine
def test_a_real_bundle_runs(bundles: Cluster, gate_root: Path) -> None:
    """The clean one, in its container, on record."""
    done = bundles.run("alice", ["srun", "--container=/scratch/bundle-clean", "cat", "/etc/debian_version"])
    assert (done.returncode, done.stdout[:2]) == (0, "13")
    record = records(gate_root, "oci-hook")[-1]
    assert (record["path"], record["uid"]) == (CLEAN, 2001)
    assert record["action"] in {"allow", "log"}


@pytest.mark.engine
def test_one_start_is_one_record(bundles: Cluster, gate_root: Path) -> None:
    """The task that the plugin has asked for becomes the runtime: the second question of one process has its answer."""
    bundles.run("alice", ["ln", "-s", CLEAN, "/scratch/bundle-clean/rootfs"]).check()
    config = "/scratch/bundle-clean/config.json"
    bundles.run("alice", ["sed", "-i", f's|"path": "{CLEAN}"|"path": "rootfs"|', config]).check()
    before = (len(records(gate_root)), len(records(gate_root, "oci-hook")))
    done = bundles.run("alice", ["srun", "--container=/scratch/bundle-clean", "cat"], text="kept")
    assert (done.returncode, done.stdout) == (0, "kept")
    after = (len(records(gate_root)), len(records(gate_root, "oci-hook")))
    assert after == (before[0] + 1, before[1])
