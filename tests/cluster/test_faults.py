# SPDX-License-Identifier: Apache-2.0
"""Agents that are absent, silent, mad or killed: launches follow the posture, soon, and no node is drained."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testbed.cluster import Cluster, Completed, install
from testbed.cluster.scripted import ScriptedAgent, Step

pytestmark = pytest.mark.cluster
SRUN = ["srun", "-w", "n1", "echo", "apptainer", "ran"]
Posture = Callable[[str], None]


def _timed(cluster: Cluster, argv: list[str]) -> tuple[Completed, float]:
    began = time.monotonic()
    return cluster.run("alice", argv), time.monotonic() - began


@pytest.mark.parametrize(
    ("action", "output", "text"),
    [
        ("allow", "apptainer ran\n", ""),
        ("log", "apptainer ran\n", ""),
        ("warn", "apptainer ran\n", "not checked"),
        ("block", "", "launch refused"),
    ],
)
def test_without_an_agent_the_posture_counts(
    cluster: Cluster, posture: Posture, action: str, output: str, text: str
) -> None:
    """Nobody listens: known at once; the notice says the cause and whom to ask."""
    posture(action)
    done, seconds = _timed(cluster, SRUN)
    assert (done.stdout, done.returncode) == (output, 0 if output else 1)
    assert ("agent_unreachable" in done.stderr and "security@site.example" in done.stderr) is bool(text)
    assert text in done.stderr
    assert seconds < 5


def test_without_posture_and_agent_launches_run(cluster: Cluster) -> None:
    """Nothing installed yet but the plugin: nobody is stopped."""
    assert cluster.run("alice", SRUN).returncode == 0


def test_blocking_posture_stops_only_what_starts_containers(cluster: Cluster, posture: Posture) -> None:
    """A site that blocks without an agent still runs everything else."""
    posture("block")
    assert cluster.run("alice", ["srun", "-N2", "hostname"]).returncode == 0


def test_a_posture_that_others_can_write_is_not_obeyed(cluster: Cluster, posture: Posture) -> None:
    """Else a user could stop a node's launches."""
    posture("block")
    (cluster.node_root("n1") / "etc/posture").chmod(0o666)
    assert cluster.run("alice", SRUN).returncode == 0


FAULTS: dict[str, list[tuple[Any, ...]]] = {
    "silent": [("sleep", 20)],
    "killed in mid-launch": [("wait", ""), ("close",)],
    "garbage": [("send", b"\xff\x00\x01garbage")],
    "giant": [("send", b"x" * 150_000)],
    "error": [("send", b"sifgate/1 error\ncode:5=wrong\n")],
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_mad_agent_counts_as_none(cluster: Cluster, agents: Any, posture: Posture, name: str) -> None:
    """Whatever it does instead of deciding, the posture decides, within seconds; the step is refused here."""
    posture("block")
    agents(FAULTS[name])
    done, seconds = _timed(cluster, SRUN)
    assert done.returncode == 1
    assert "agent_unreachable" in done.stderr
    assert seconds < 10


def test_an_agent_that_never_decides_is_left_at_the_deadline(
    cluster: Cluster, agents: Any, posture: Posture
) -> None:
    """Signs of life for ever: scan_wait (6 s here) and a second, then the posture."""
    posture("allow")
    agents([step for _ in range(40) for step in (("wait", ""), ("sleep", 0.5))], "n1")
    done, seconds = _timed(cluster, SRUN)
    assert (done.returncode, done.stdout) == (0, "apptainer ran\n")
    assert 6 < seconds < 14


def test_one_node_cut_off_ends_the_whole_step(cluster: Cluster, agents: Any, posture: Posture) -> None:
    """n1 may start, n2 has no agent and must not: no task is left running, both nodes are idle."""
    posture("block")
    agents([("decide", "allow", {})], "n1")
    done, seconds = _timed(
        cluster, ["srun", "-N2", "-n2", "sh", "-c", "sleep 120; echo apptainer >> /scratch/half"]
    )
    assert done.returncode != 0
    assert seconds < 30
    assert not (cluster.scratch / "half").exists()
    cluster.wait_idle()


def test_a_node_that_refuses_ends_the_whole_step(cluster: Cluster, agents: Any) -> None:
    """The second node's agent refuses: the first node's task does not run on."""
    agents([("decide", "allow", {})], "n1")
    agents([("decide", "block", {"notice": "sifgate: refused"})], "n2")
    done, seconds = _timed(cluster, ["srun", "-N2", "-n2", "sh", "-c", "sleep 120; echo apptainer"])
    assert done.returncode != 0
    assert "apptainer" not in done.stdout
    assert seconds < 30


THINKING = [step for _ in range(8) for step in (("wait", "sifgate: scanning"), ("sleep", 0.5))]


def _cancel_while_it_thinks(cluster: Cluster, agent: ScriptedAgent, what: str) -> tuple[str, float]:
    """Start a step, cancel it once it asks; return the job's last state, and the seconds until all was idle."""
    running = cluster.start("alice", ["srun", "-w", "n1", "-n4", "sleep", "300", "apptainer"])
    while not any(message.verb == "ask" for message in agent.asked):
        assert running.poll() is None
        time.sleep(0.05)
    (job,) = cluster.jobs()
    began = time.monotonic()
    cluster.run("root", ["scancel", job + what])
    running.communicate(timeout=60)
    assert running.returncode != 0
    cluster.wait_idle()
    return cluster.wait_job(job)["JobState"], time.monotonic() - began


def test_a_cancelled_launch_ends_even_without_a_signal(cluster: Cluster, agents: Any) -> None:
    """proctrack/linuxproc signals no task that does not run yet: Slurm ends it after KillWait, nothing hangs."""
    (agent,) = agents(THINKING, "n1")
    _cancel_while_it_thinks(cluster, agent, "")


def test_a_cancelled_launch_is_gone_at_once() -> None:
    """Told to end while the agent thinks, the tasks refuse themselves; nobody waits for the scan or for KillWait."""
    settings = ["ProctrackType=proctrack/pgid"]
    with (
        Cluster(
            nodes=("n1",), settings=settings, plugstack="required sifgate.so\n", prepare=[install.plugin]
        ) as own,
        ScriptedAgent(own.node_root("n1") / "run/agent.sock", THINKING * 8) as agent,
    ):
        (own.node_root("n1") / "etc/posture").write_text(
            "sifgate-posture 1\nagent_unreachable allow\nscan_wait_ms 30000\n"
        )
        for what in ("", ".0"):  # the job, the step
            agent.asked.clear()
            state, seconds = _cancel_while_it_thinks(own, agent, what)
            assert state in {"CANCELLED", "FAILED"}
            assert seconds < 6


BROKEN_PROLOGS = {
    "syntax error": ("prolog.py", "def main(:\n"),
    "killed": ("prolog.py", "import os\nos.kill(os.getpid(), 9)\n"),
    "hung": ("prolog.py", "import time\ntime.sleep(600)\n"),
    "exit 3": ("prolog.py", "raise SystemExit(3)\n"),
}


@pytest.mark.parametrize("name", BROKEN_PROLOGS)
def test_a_broken_prolog_drains_nothing(cluster: Cluster, name: str) -> None:
    """The launcher ends with 0 whatever becomes of the program; interactive and batch jobs run."""
    file, text = BROKEN_PROLOGS[name]
    path = f"/{install.LIBEXEC}/{file}"
    kept = cluster.run("root", ["cat", path]).stdout
    cluster.run("root", ["sh", "-c", f"cat > {path}"], text=text)
    try:
        done, seconds = _timed(cluster, SRUN)
        batch = cluster.run("alice", ["sbatch", "--wait", "-o", "/dev/null", "--wrap", "true"])
    finally:
        cluster.run("root", ["sh", "-c", f"cat > {path}"], text=kept)
    assert (done.returncode, batch.returncode) == (0, 0)
    assert seconds < 14
    cluster.wait_idle()


def test_the_prolog_cancels_where_the_policy_wants_it(cluster: Cluster, agents: Any) -> None:
    """`prolog_refuse`: the job is cancelled by its first node, AdminComment says why, both nodes stay idle."""
    for name in cluster.names:
        (cluster.node_root(name) / "etc/posture").write_text("sifgate-posture 1\nprolog_refuse yes\n")
    agents([("decide", "block", {"notice": "sifgate: launch refused: KEV\n  why …"})])
    script = "#!/bin/sh\nsleep 60\n"
    done = cluster.run("alice", ["sbatch", "--parsable", "-N2", "-o", "/dev/null"], text=script)
    job = cluster.wait_job(done.stdout.strip())
    for name in cluster.names:
        (cluster.node_root(name) / "etc/posture").unlink()
    assert job["JobState"] == "CANCELLED"
    assert job["AdminComment"].startswith("sifgate:")


@pytest.mark.parametrize(("line", "code"), [("required", 1), ("optional", 0)])
def test_required_and_optional(cluster: Cluster, agents: Any, line: str, code: int) -> None:
    """An optional plugin says its piece and stops nothing: for a burn-in."""
    agents([("decide", "block", {"notice": "sifgate: launch refused"})])
    put = ["sh", "-c", f"echo '{line} sifgate.so' > /etc/slurm/plugstack.conf"]
    cluster.run("root", put)
    try:
        done = cluster.run("alice", SRUN)
    finally:
        cluster.run("root", ["sh", "-c", "echo 'required sifgate.so' > /etc/slurm/plugstack.conf"])
    assert done.returncode == code
    assert "sifgate: launch refused" in done.stderr


def test_a_wrong_plugstack_argument_is_refused_at_the_client(cluster: Cluster) -> None:
    """An unknown key is an error for srun, with the known ones; the node stays up."""
    cluster.run("root", ["sh", "-c", "echo 'required sifgate.so sokcet=/x' > /etc/slurm/plugstack.conf"])
    try:
        done = cluster.run("alice", SRUN)
    finally:
        cluster.run("root", ["sh", "-c", "echo 'required sifgate.so' > /etc/slurm/plugstack.conf"])
    assert done.returncode == 1
    assert 'unknown argument "sokcet=/x"' in done.stderr
    assert "socket=" in done.stderr


def _private_tmp(root: Path) -> None:
    text = "AutoBasePath=true\nBasePath=/var/lib/private-tmp\n"
    (root / "etc/slurm/job_container.conf").write_text(text)


def test_an_image_in_the_jobs_private_tmp_is_found() -> None:
    """job_container/tmpfs: the agent is handed the file of the job's /tmp, not of the node's."""
    settings = ["JobContainerType=job_container/tmpfs", "PrologFlags=Contain"]
    script: list[Step] = [("open", "/tmp/x.sif"), ("open", "y.sif"), ("decide", "allow", {})]
    prepare = [install.plugin, _private_tmp]
    with (
        Cluster(
            nodes=("n1",),
            settings=settings,
            plugstack="required sifgate.so\n",
            prepare=prepare,
            one_cpu=True,
        ) as own,
        ScriptedAgent(
            own.node_root("n1") / "run/agent.sock", lambda ask: script if ask.verb == "ask" else []
        ) as agent,
    ):
        own.run("root", ["sh", "-c", "echo node > /tmp/x.sif; chmod 644 /tmp/x.sif"])
        inner = "echo job > /tmp/x.sif; echo cwd > /tmp/y.sif; cd /tmp; srun echo apptainer"
        done = own.run("alice", ["sbatch", "--parsable", "-o", "/scratch/out", "--wrap", inner])
        own.wait_job(done.stdout.strip())
        assert (own.scratch / "out").read_text() == "apptainer\n"
        assert agent.opened == [("", b"job\n"), ("", b"cwd\n")]
