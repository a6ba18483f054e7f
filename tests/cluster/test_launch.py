# SPDX-License-Identifier: Apache-2.0
"""The main job on a real Slurm: real images, a real Clair behind a real server, real agents on two nodes.

n1 has the whole gate, shared by the tests: nothing in it is killed. n2's agent belongs to the test that starts it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testbed.cluster import Cluster
from testbed.cluster import gate as gates
from testbed.cluster.gate import NodeAgent, records

pytestmark = [pytest.mark.cluster, pytest.mark.engine]
KEV, CLEAN = "/images/kev/bullseye-kev.sif", "/images/clean/trixie.sif"
UNSUPPORTED = "/images/unsupported/centos-7-runs.sif"
StartAgent = Callable[..., NodeAgent]


def _launch(image: str, *options: str) -> list[str]:
    return ["srun", *options, "apptainer", "exec", image, "echo", "the container runs"]


@pytest.fixture(scope="module")
def gate(cluster: Cluster) -> Iterator[Path]:
    """Return n1's root, with database, Clair, server and agent up under the enforcing policy."""
    with gates.gate(cluster.node_root("n1")) as root:
        yield root


@pytest.fixture
def start_agent(cluster: Cluster, gate: Path) -> Iterator[StartAgent]:
    """Return a function that starts n2's own agent: `url` replaces the server's, `policy` is appended to the file."""
    running: list[NodeAgent] = []

    def start(*, url: str = "", policy: str = "") -> NodeAgent:
        for agent in running:
            agent.end()
        server = {**gates.announced(gate), **({"url": url} if url else {})}
        running.append(NodeAgent(cluster.node_root("n2"), server, policy))
        return running[-1]

    yield start
    for agent in running:
        agent.clear()


@pytest.fixture
def closed_port() -> str:
    """Return the URL of a server that is down."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{listener.getsockname()[1]}"


def test_known_exploited_is_refused_on_its_very_first_launch(cluster: Cluster, gate: Path) -> None:
    """Scanned while the launch waits, refused with the notice, nothing run, recorded, the node idle."""
    done = cluster.run("alice", _launch(KEV, "-w", "n1", "--sifgate-reason=deadline"))
    assert done.returncode == 1
    assert "the container runs" not in done.stdout
    assert "sifgate: launch refused: 2 known-exploited vulnerabilities with a fix" in done.stderr
    assert "CVE-2025-48384 git" in done.stderr
    assert done.stderr.count("being scanned") <= 1
    record = records(gate)[-1]
    facts = {key: record[key] for key in ("action", "uid", "trusted", "path", "step_node", "user_reason")}
    expected = {
        "action": "block",
        "uid": 2001,
        "trusted": True,
        "path": KEV,
        "step_node": "n1",
        "user_reason": "deadline",
    }
    assert facts == expected
    cluster.wait_idle()


def test_a_clean_image_runs_without_a_word(cluster: Cluster, gate: Path) -> None:
    """The user of a clean image does not notice sifgate, but for the wait of the very first launch."""
    cluster.run("alice", _launch(CLEAN, "-w", "n1"))
    done = cluster.run("alice", _launch(CLEAN, "-w", "n1"))
    assert (done.returncode, done.stdout) == (0, "the container runs\n")
    assert "sifgate" not in done.stderr


def test_an_unsupported_distribution_is_warned_about_and_runs(cluster: Cluster, gate: Path) -> None:
    """Unknown is not clean: a warning, once for all tasks, and the program's own output untouched."""
    done = cluster.run("alice", _launch(UNSUPPORTED, "-w", "n1", "-n3"))
    assert (done.returncode, done.stdout) == (0, "the container runs\n" * 3)
    assert (
        done.stderr.count("sifgate: launch allowed with a warning") == 1
        or done.stderr.count("sifgate: ") <= 2
    )


def test_a_step_without_a_container_leaves_no_record(cluster: Cluster, gate: Path) -> None:
    """What starts no known runtime is allowed at once and is nobody's business."""
    before = len(records(gate))
    assert cluster.run("alice", ["srun", "-w", "n1", "hostname"]).returncode == 0
    assert len(records(gate)) == before


@pytest.mark.parametrize(
    "command",
    [
        ["bash", "-c", f"cd /tmp\napptainer exec {KEV} true"],
        ["env", "A=b", "nice", "-n", "5", "/usr/bin/apptainer", "exec", KEV, "true"],
        ["env", "0 /bin/true=1", "apptainer", "exec", KEV, "true"],
        ["singularity", "run", "-B", "/data", KEV],
    ],
)
def test_a_refused_image_is_refused_in_every_dress(cluster: Cluster, gate: Path, command: list[str]) -> None:
    """Shells, prefixes, the other runtime's name, words that look like a multi-prog file."""
    done = cluster.run("alice", ["srun", "-w", "n1", *command])
    assert done.returncode == 1
    assert "launch refused" in done.stderr


def test_a_relative_path_is_meant_from_the_steps_directory(cluster: Cluster, gate: Path) -> None:
    """`--chdir` and a relative name find the same image."""
    done = cluster.run(
        "alice", ["srun", "-w", "n1", "--chdir=/images/kev", "apptainer", "exec", "bullseye-kev.sif", "true"]
    )
    assert done.returncode == 1
    assert "launch refused" in done.stderr


def test_a_multi_prog_step_is_judged_by_its_worst_image(cluster: Cluster, gate: Path) -> None:
    """One rank with a refused image: no rank runs."""
    text = f"0 apptainer exec {CLEAN} echo ran\n1 apptainer exec {KEV} echo ran\n"
    (cluster.scratch / "two.conf").write_text(text)
    done = cluster.run("alice", ["srun", "-w", "n1", "-n2", "--multi-prog", "/scratch/two.conf"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("sifgate: launch refused") == 1


def test_a_batch_script_fails_at_its_refused_step(cluster: Cluster, gate: Path) -> None:
    """The `srun` inside is refused, the job FAILED, nothing drained; the notice stands in the job's output."""
    script = f"#!/bin/bash\nset -e\nsrun apptainer exec {KEV} true\necho not reached\n"
    done = cluster.run(
        "alice", ["sbatch", "--parsable", "-w", "n1", "-o", "/scratch/refused.out"], text=script
    )
    job = cluster.wait_job(done.stdout.strip())
    text = (cluster.scratch / "refused.out").read_text()
    assert job["JobState"] == "FAILED"
    assert "launch refused" in text
    assert "not reached" not in text
    cluster.wait_idle()


def test_a_step_on_two_nodes_gets_one_answer(cluster: Cluster, gate: Path, start_agent: StartAgent) -> None:
    """Both agents ask the server for the step's decision: refused everywhere, said once; a clean image runs."""
    start_agent()
    done = cluster.run("alice", _launch(KEV, "-N2", "-n4"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("sifgate: launch refused") == 1
    cluster.wait_idle()
    done = cluster.run("alice", _launch(CLEAN, "-N2", "-n4"))
    assert (done.returncode, done.stdout) == (0, "the container runs\n" * 4)


def test_one_node_without_server_never_starts_half_a_step(
    cluster: Cluster, gate: Path, start_agent: StartAgent, closed_port: str
) -> None:
    """n1 knows the image, n2 is cut off from the server and must refuse: nothing goes on running, both idle."""
    start_agent(url=closed_port, policy="\nfailure:\n  server_unreachable: block\n")
    began = time.monotonic()
    done = cluster.run("alice", ["srun", "-N2", "-n2", "apptainer", "exec", CLEAN, "sleep", "300"], limit=120)
    assert done.returncode != 0
    assert "sifgate: n2: launch refused" in done.stderr
    assert time.monotonic() - began < 60
    cluster.wait_idle()


def test_without_server_a_known_image_is_judged_as_before(
    cluster: Cluster, gate: Path, start_agent: StartAgent, closed_port: str
) -> None:
    """The node's cache outlives the agent: with the server down the same image is refused for the same reason."""
    start_agent()
    assert "launch refused" in cluster.run("alice", _launch(KEV, "-w", "n2")).stderr
    start_agent(url=closed_port)
    began = time.monotonic()
    done = cluster.run("alice", _launch(KEV, "-w", "n2"))
    assert done.returncode == 1
    assert "CVE-2025-48384" in done.stderr
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("action", ["allow", "block"])
def test_without_server_an_unknown_image_follows_the_policy(
    cluster: Cluster, start_agent: StartAgent, closed_port: str, action: str
) -> None:
    """`server_unreachable` is a cause of its own; nobody waits out the whole scan_wait for it."""
    start_agent(url=closed_port, policy=f"\nfailure:\n  server_unreachable: {action}\n")
    done = cluster.run("alice", _launch(CLEAN, "-w", "n2"))
    assert done.returncode == (1 if action == "block" else 0)
    record = records(cluster.node_root("n2"))[-1]
    assert record["cause"] == "server_unreachable"


def test_a_second_launch_asks_the_server_nothing(
    cluster: Cluster, gate: Path, start_agent: StartAgent
) -> None:
    """Known file, known verdict: the server receives no request for it, the image is not read again."""
    agent = start_agent()
    cluster.run("alice", _launch(CLEAN, "-w", "n2"))
    before = gates.asked(gate), agent.status()["scans"]["extractions"]
    assert min(before) >= 1
    assert cluster.run("alice", _launch(CLEAN, "-w", "n2")).returncode == 0
    assert (gates.asked(gate), agent.status()["scans"]["extractions"]) == before


def test_prologs_and_steps_ask_the_server_once_a_node(
    cluster: Cluster, gate: Path, start_agent: StartAgent
) -> None:
    """Six jobs begin together on a node that does not know their image: one scan, one question to the server."""
    cluster.run("alice", _launch(CLEAN, "-w", "n1"))
    agent = start_agent()
    before = gates.asked(gate)
    line = f"for i in 1 2 3 4 5 6; do srun -w n2 apptainer exec {CLEAN} echo ran & done; wait"
    done = cluster.run("alice", ["sh", "-c", line])
    assert done.stdout == "ran\n" * 6
    assert (gates.asked(gate) - before, agent.status()["scans"]["extractions"]) == (1, 1)


def test_a_scope_by_partition_cannot_be_forged(cluster: Cluster, start_agent: StartAgent) -> None:
    """What the prolog says of the job counts, what stands in the job's environment does not."""
    scope = "\nscopes:\n  - id: lenient\n    match: {partition: [other]}\n    set: {mode: warn}\n"
    start_agent(policy=scope)
    forged = {"SLURM_JOB_PARTITION": "other", "SLURM_JOB_ACCOUNT": "lenient"}
    refused = cluster.run("alice", _launch(KEV, "-w", "n2"), env=forged)
    warned = cluster.run("alice", _launch(KEV, "-w", "n2", "-p", "other"))
    assert (refused.returncode, warned.returncode) == (1, 0)
    assert warned.stdout == "the container runs\n"


def test_an_agent_killed_in_mid_launch(cluster: Cluster, gate: Path, start_agent: StartAgent) -> None:
    """Killed by -9 while the step waits for its scan: the posture counts, then a new agent takes over."""
    agent = start_agent()
    running = cluster.start("alice", _launch(KEV, "-w", "n2"))
    assert running.stderr is not None
    assert "being scanned" in running.stderr.readline()
    agent.kill()
    out, _ = running.communicate(timeout=60)
    assert (running.returncode, out) == (0, "the container runs\n")
    start_agent()
    assert "launch refused" in cluster.run("alice", _launch(KEV, "-w", "n2")).stderr
