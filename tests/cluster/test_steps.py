# SPDX-License-Identifier: Apache-2.0
"""Steps on two nodes with agents that follow a script: heterogeneous ones, the extern step, arrays."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from testbed.cluster import Cluster
from testbed.cluster.scripted import Step

from sifgate.wire import Message

pytestmark = pytest.mark.cluster
ALLOW: list[Step] = [("decide", "allow", {})]
BLOCK: list[Step] = [("sleep", 1.0), ("decide", "block", {"notice": "sifgate: launch refused: two KEV"})]
WARN: list[Step] = [("open", "/etc/hosts"), ("decide", "warn", {"notice": "sifgate: warning", "once": "1"})]


def _by_word(ask: Message) -> Sequence[Step]:
    return BLOCK if b"kev" in ask.every("arg") else ALLOW


@pytest.mark.parametrize("refused", [0, 1])
def test_a_heterogeneous_step_runs_whole_or_not_at_all(cluster: Cluster, agents: Any, refused: int) -> None:
    """One component's image refused, the other's tasks running: they do not go on without it."""
    agents(_by_word)
    parts = [["sh", "-c", "sleep 60; echo went on", "apptainer"], ["true", "apptainer", "kev"]]
    first, second = (parts[1], parts[0]) if refused == 0 else (parts[0], parts[1])
    began = time.monotonic()
    done = cluster.run("alice", ["srun", "-n1", *first, ":", "-n1", *second], limit=90)
    assert done.returncode not in {0, 124}
    assert done.stdout == ""
    assert done.stderr.count("sifgate: launch refused: two KEV") == 1
    assert time.monotonic() - began < 45


def test_what_a_user_claims_of_components_ends_no_foreign_step(cluster: Cluster, agents: Any) -> None:
    """The components' job comes from the job's environment: what is cancelled by it is cancelled as the user."""
    agents(_by_word)
    other = cluster.start("bob", ["srun", "-w", "n2", "-n1", "sh", "-c", "echo up; sleep 3; echo went on"])
    assert other.stdout is not None
    assert other.stdout.readline() == "up\n"
    (job,) = cluster.jobs()
    forged = f"--export=ALL,SLURM_HET_SIZE=2,SLURM_JOB_ID={job},SLURM_JOBID={job}"
    assert cluster.run("alice", ["srun", "-w", "n1", forged, "true", "apptainer", "kev"]).returncode == 1
    out, _ = other.communicate(timeout=60)
    assert (other.returncode, out) == (0, "went on\n")


def test_the_extern_step_asks_nothing(cluster: Cluster, agents: Any) -> None:
    """An allocation in which nothing starts is told of by the prolog, and that is all."""
    (agent,) = agents(ALLOW, "n1")
    assert cluster.run("alice", ["salloc", "-Q", "-w", "n1", "true"]).returncode == 0
    cluster.wait_idle()
    assert [(ask.verb, ask.text("door")) for ask in agent.asked] == [("prescan", "prolog")]


def test_a_warning_is_shown_once_for_a_job_array(cluster: Cluster, agents: Any) -> None:
    """Each element is asked about, the first one's output has the notice."""
    (agent,) = agents(lambda ask: WARN if ask.text("door") == "spank" else ALLOW, "n1")
    script = "#!/bin/sh\nsrun echo apptainer\n"
    words = ["sbatch", "--wait", "-w", "n1", "--array=1-4", "-o", "/scratch/element-%a"]
    assert cluster.run("alice", words, text=script).returncode == 0
    outputs = [(cluster.scratch / f"element-{number}").read_text() for number in range(1, 5)]
    assert "".join(outputs).count("sifgate: warning") == 1
    asks = [ask for ask in agent.asked if ask.verb == "ask"]
    assert len({ask.text("job") for ask in asks}) == 4


def test_a_slurm_conf_of_the_users_own_does_not_lead_past_it(cluster: Cluster, agents: Any) -> None:
    """Without plugstack.conf the client loads nothing and says nothing; slurmstepd refuses all the same."""
    agents(_by_word)
    line = "mkdir -p /tmp/own && cp /etc/slurm/slurm.conf /tmp/own/ && exec srun true apptainer kev"
    done = cluster.run("alice", ["sh", "-c", line], env={"SLURM_CONF": "/tmp/own/slurm.conf"})
    assert done.returncode == 1
    assert "sifgate: launch refused: two KEV" in done.stderr
    cluster.run("alice", ["rm", "-r", "/tmp/own"]).check()
