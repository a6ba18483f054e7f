# SPDX-License-Identifier: Apache-2.0
"""Agents that are absent, silent, mad or somebody else's, seen by every shim that users run, on a real node.

Each fault meets all shims at once, in one batch script. (The plugin and the prolog have the same in
tests/cluster/test_faults.py, the guard in test_guard*.py of this directory.)
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from testbed.cluster import Cluster, install
from testbed.cluster.scripted import ScriptedAgent, Step

from sifgate.doors.table import find
from sifgate.wire import Message

pytestmark = pytest.mark.cluster
Posture = Callable[[str], None]

ASK = f"/{install.LIBEXEC}/sifgate-ask"
BUNDLE = "/scratch/faults/bundle"
IMAGE = "/images/clean/trixie.sif"
BOB = 2002
SHIMS = {
    "wrapper": f"apptainer exec {IMAGE} echo PAYLOAD",
    "oci-hook": f"crun --cgroup-manager=disabled --root /tmp/faults-crun run -b {BUNDLE} fault-$$",
    "enroot-hook": f"env ENROOT_ROOTFS={BUNDLE}/rootfs {ASK} enroot && echo PAYLOAD",
    "submit": f"{ASK} submit -- apptainer exec {IMAGE} echo && echo PAYLOAD",
}
MAKE_BUNDLE = f"""\
set -e
mkdir -p {BUNDLE}/rootfs/bin && cp /usr/bin/busybox {BUNDLE}/rootfs/bin/sh && cd {BUNDLE} && runc spec --rootless
sed -i 's/"terminal": true/"terminal": false/; s#"sh"#"sh","-c","echo PAYLOAD"#' config.json
sed -i '1a "hooks": {{"createRuntime": [{{"path": "{ASK}", "args": ["sifgate-ask", "oci"]}}]}},' config.json
"""


class Told(NamedTuple):
    """How one shim ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def ran(self) -> bool:
        """Return whether the launch went on."""
        return "PAYLOAD" in self.out


@pytest.fixture(scope="module")
def shims(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return the cluster with the programs of the doors on it, the wrapper in place, and a bundle with our hook."""
    built = tmp_path_factory.mktemp("programs") / "root"
    install.programs(built)
    shutil.copytree(built / install.LIBEXEC, cluster.scratch / "programs")
    cluster.run("root", ["sh", "-c", f"cp /scratch/programs/sifgate-* /{install.LIBEXEC}/"]).check()
    cluster.run("alice", ["sh", "-c", MAKE_BUNDLE]).check()
    find("wrapper").install(cluster.tree, argparse.Namespace(prefix=None))
    yield cluster
    find("wrapper").remove(cluster.tree)
    shutil.rmtree(cluster.scratch / "programs")
    shutil.rmtree(cluster.scratch / "faults")
    cluster.run("root", ["sh", "-c", f"rm -r /{install.LIBEXEC}/sifgate-* /tmp/faults-crun"])


def launch(cluster: Cluster) -> dict[str, Told]:
    """Return how each shim fared, all started together by one batch step on n1."""
    lines = ["cd /scratch/faults"]
    for name, words in SHIMS.items():
        lines.append(
            f"( began=$(date +%s%N); ({words}) >{name}.out 2>{name}.err; code=$?;"
            f" echo $code $(( ($(date +%s%N) - began) / 1000000 )) >{name}.end ) &"
        )
    cluster.run("alice", ["srun", "-w", "n1", "bash", "-s"], text="\n".join([*lines, "wait"])).check()
    told = {}
    for name in SHIMS:
        place = cluster.scratch / "faults" / name
        code, milliseconds = place.with_suffix(".end").read_text().split()
        out, err = (place.with_suffix(suffix).read_text() for suffix in (".out", ".err"))
        told[name] = Told(int(code), out, err, int(milliseconds) / 1000)
    return told


class Impostor(ScriptedAgent):
    """Listens as another user: the kernel remembers who called listen(2)."""

    def _listen(self) -> None:
        os.seteuid(BOB)
        try:
            super()._listen()
        finally:
            os.seteuid(0)


def only_users(script: Sequence[Step]) -> Callable[[Message], Sequence[Step]]:
    """Return a script that lets the step itself start and does `script` to what users' shims ask."""
    return lambda ask: [("decide", "allow", {})] if ask.text("door") == "spank" else script


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "silent": [("sleep", 20)],
    "gone in mid-launch": [("wait", ""), ("close",)],
    "garbage": [("send", b"\xff\x00\x01garbage")],
    "giant": [("send", b"x" * 150_000)],
    "too many descriptors": [("flood", 20)],
    "a turn that is none": [("send", b"sifgate/1 dance\n")],
    "an error": [("send", b"sifgate/1 error\ncode:6=broken\ntext:1=x\n")],
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_mad_agent_counts_as_none_at_every_shim(
    shims: Cluster, agents: Any, posture: Posture, name: str
) -> None:
    """Whatever it does instead of deciding, the posture decides, within seconds, and its cause is named."""
    posture("block")
    agents(only_users(FAULTS[name]), "n1")
    for door, told in launch(shims).items():
        assert told.code != 0, door
        assert not told.ran, door
        assert "sifgate: " in told.err, door
        assert told.seconds < 8, door


@pytest.mark.parametrize(("action", "runs"), [("allow", True), ("warn", True), ("block", False)])
def test_without_an_agent_the_posture_counts_at_every_shim(
    shims: Cluster, posture: Posture, action: str, *, runs: bool
) -> None:
    """Nobody listens: known at once; a warning is seen, a permission is silent."""
    posture(action)
    for door, told in launch(shims).items():
        assert told.ran is runs, door
        assert ("sifgate: " in told.err) is (action != "allow"), (door, told.err)
        assert told.seconds < 5, door


def test_a_slow_agent_is_waited_for(shims: Cluster, agents: Any, posture: Posture) -> None:
    """An agent that restarts, or has much to do, answers late: nobody takes the posture for that."""
    posture("block")
    agents(only_users([("sleep", 1.2), ("wait", ""), ("sleep", 1.2), ("decide", "allow", {})]), "n1")
    for door, told in launch(shims).items():
        if door != "submit":
            assert told.ran, (door, told.err)
            assert told.seconds > 2, door
        else:
            assert told.seconds < 2, door


def test_an_agent_that_never_decides_is_left_at_the_deadline(
    shims: Cluster, agents: Any, posture: Posture
) -> None:
    """Signs of life for ever: scan_wait (6 s here) and a second more."""
    posture("allow")
    agents(only_users([step for _ in range(40) for step in (("wait", ""), ("sleep", 0.5))]), "n1")
    for door, told in launch(shims).items():
        assert told.ran, (door, told.err)
        assert told.seconds < 11, door


def test_a_socket_of_somebody_else_is_not_believed(shims: Cluster, posture: Posture) -> None:
    """Another user who listens in the agent's place can neither allow nor be handed an image."""
    posture("block")
    path = shims.node_root("n1") / "run/agent.sock"
    with Impostor(path, [("open", IMAGE), ("decide", "allow", {})]) as agent:
        for door, told in launch(shims).items():
            assert not told.ran, door
        assert [ask.text("door") for ask in agent.asked] == []


def test_a_job_keeps_its_standard_input(shims: Cluster, agents: Any, posture: Posture) -> None:
    """A script that is read line by line goes on after each shim, refused or not, and a payload reads its part."""
    posture("block")
    decide: list[Step] = [("decide", "allow", {})]
    for script in ([], decide):
        lines = [f"({words})" for words in SHIMS.values()]
        lines += [
            f"apptainer exec {IMAGE} sh -c 'read line; echo $line'",
            "echo one line of the script",
            "echo END",
        ]
        if script:
            agents(script, "n1")
        done = shims.run("alice", ["srun", "-w", "n1", "bash", "-s"], text="\n".join([*lines, ""]))
        assert done.stdout.endswith("END\n"), done.output
        assert ("echo one line" in done.stdout) is bool(script)  # read by the payload, else by the shell
        assert done.stdout.count("PAYLOAD") == (len(SHIMS) if script else 0)
