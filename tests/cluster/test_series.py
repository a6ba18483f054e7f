# SPDX-License-Identifier: Apache-2.0
"""The same answers on the oldest and the newest supported series of Slurm; everything else is tested on 24.11."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testbed.cluster import Cluster, install
from testbed.cluster.again import again
from testbed.cluster.scripted import ScriptedAgent, Step

pytestmark = pytest.mark.cluster
ALLOW: list[Step] = [("decide", "allow", {})]
BLOCK = [("decide", "block", {"notice": "sifgate: launch refused: two KEV\n  why    CVE-1 git"})]
WARN = [("decide", "warn", {"notice": "sifgate: warning: old", "once": "1"})]
THINKING = [step for _ in range(60) for step in (("wait", "sifgate: scanning"), ("sleep", 0.5))]
SETTINGS = (f"Prolog={install.PROLOG}", "PrologFlags=Contain", "ProctrackType=proctrack/pgid")
Asks = Callable[..., list[dict[str, list[bytes]]]]
Posture = Callable[[str], None]


@pytest.fixture(scope="module", params=["22.05", "26.05"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Return two nodes of one series, with the plugin for it out of all that lie side by side, and a pyxis."""
    series = request.param
    lines = [f"required /{install.SPANKDIR}/{series}/{name}.so\n" for name in ("sifgate", "pyxis")]
    prepare = [install.plugins, install.fake_pyxis(series), install.hooks]
    with Cluster(series=series, settings=SETTINGS, plugstack="".join(lines), prepare=prepare) as running:
        yield running


def _batch(cluster: Cluster, script: str) -> tuple[dict[str, str], str]:
    """Return a batch job's last facts and its output."""
    done = cluster.run("alice", ["sbatch", "--parsable", "-w", "n1", "-o", "/scratch/out"], text=script)
    job = cluster.wait_job(done.check().stdout.strip())
    return job, (cluster.scratch / "out").read_text()


def test_an_allowed_step_runs_without_a_word(cluster: Cluster, agents: Any) -> None:
    """The program's output and nothing else; the agent heard of the job from the prolog first."""
    (agent,) = agents(ALLOW, "n1")
    done = cluster.run("alice", ["srun", "-w", "n1", "echo", "apptainer", "says", "hello"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "apptainer says hello\n", "")
    assert [message.text("door") for message in agent.asked] == ["prolog", "spank"]


def test_a_refused_step_does_not_run(cluster: Cluster, agents: Any) -> None:
    """Exit 1, the notice unprefixed, nothing run, the node idle."""
    agents(BLOCK)
    done = cluster.run("alice", ["srun", "-n2", "touch", "/scratch/apptainer-ran"])
    assert done.returncode == 1
    assert "sifgate: launch refused: two KEV\n  why    CVE-1 git\n" in done.stderr
    assert not (cluster.scratch / "apptainer-ran").exists()


def test_a_warned_step_runs(cluster: Cluster, agents: Any) -> None:
    """The warning once for all tasks, the program's output untouched."""
    agents(WARN)
    done = cluster.run("alice", ["srun", "-w", "n1", "-n3", "echo", "apptainer"])
    assert (done.returncode, done.stdout) == (0, "apptainer\n" * 3)
    assert done.stderr.count("sifgate: warning: old") == 1


def test_a_batch_job_fails_at_its_refused_step(cluster: Cluster, agents: Any) -> None:
    """The script runs, its step is refused, the job ends as the script wills it."""
    agents(BLOCK, "n1")
    job, text = _batch(cluster, "#!/bin/sh\necho script runs\nsrun apptainer exec x.sif true || exit 7\n")
    assert (job["JobState"], job["ExitCode"]) == ("FAILED", "7:0")
    assert text.startswith("script runs\n")
    assert "sifgate: launch refused: two KEV" in text


def test_an_allowed_batch_job_completes(cluster: Cluster, agents: Any) -> None:
    """Script and step run, without a word, and the job is COMPLETED."""
    agents(ALLOW, "n1")
    job, text = _batch(cluster, "#!/bin/sh\nsrun echo apptainer\n")
    assert (job["JobState"], text) == ("COMPLETED", "apptainer\n")


def test_several_nodes_get_one_answer(cluster: Cluster, agents: Any, asks: Asks) -> None:
    """One question a node, one notice, and no rank runs."""
    started = agents(BLOCK)
    done = cluster.run("alice", ["srun", "-N2", "-n6", "echo", "apptainer"])
    assert len(asks(*started)) == 2
    assert done.returncode in {1, 137}  # 137 where the other node's tasks were ended first
    assert done.stdout == ""
    assert done.stderr.count("sifgate: launch refused") == 1


def test_one_node_that_refuses_ends_the_whole_step(cluster: Cluster, agents: Any) -> None:
    """The other node's ranks, already allowed, do not go on alone."""
    agents(ALLOW, "n1")
    agents(BLOCK, "n2")
    began = time.monotonic()
    done = cluster.run("alice", ["srun", "-N2", "-n2", "sleep", "300", "apptainer"])
    assert done.returncode != 0
    assert time.monotonic() - began < 40


@pytest.mark.parametrize(("action", "code"), [("warn", 0), ("block", 1)])
def test_without_an_agent_the_posture_counts(
    cluster: Cluster, posture: Posture, action: str, code: int
) -> None:
    """Known at once; the notice says the cause and whom to ask."""
    posture(action)
    done = cluster.run("alice", ["srun", "-w", "n1", "echo", "apptainer"])
    assert (done.returncode, done.stdout) == (code, "" if code else "apptainer\n")
    assert "agent_unreachable" in done.stderr
    assert "security@site.example" in done.stderr


def test_a_launch_cancelled_while_it_waits_is_gone(cluster: Cluster, agents: Any, posture: Posture) -> None:
    """At once on 26.05 as on 24.11; on 22.05 the signal arrives only when the wait for the scan is over."""
    posture("allow")
    (agent,) = agents(THINKING, "n1")
    running = cluster.start("alice", ["srun", "-w", "n1", "-n2", "sleep", "300", "apptainer"])
    while not any(message.verb == "ask" for message in agent.asked):
        assert running.poll() is None
        time.sleep(0.05)
    (job,) = cluster.jobs()
    began = time.monotonic()
    cluster.run("root", ["scancel", job])
    running.communicate(timeout=60)
    cluster.wait_idle()
    assert running.returncode != 0
    assert time.monotonic() - began < (8 if cluster.series > "24.05" else 45)


def test_the_option_of_pyxis_is_seen(cluster: Cluster, agents: Any, asks: Asks) -> None:
    """An image that another plugin's option names reaches the agent, from the prolog and from the step."""
    (agent,) = agents(ALLOW, "n1")
    line = ["srun", "-w", "n1", "--container-image=docker://sci", "true"]
    assert cluster.run("alice", line).returncode == 0
    (ask,) = asks(agent)
    assert b"_SLURM_SPANK_OPTION_pyxis_container_image=docker://sci" in ask["env"]
    early = next(message for message in agent.asked if message.text("door") == "prolog")
    assert b"SPANK__SLURM_SPANK_OPTION_pyxis_container_image=docker://sci" in early.every("env")


def test_a_multi_prog_file_is_sent_whole(cluster: Cluster, agents: Any, asks: Asks) -> None:
    """All its programs are in one question."""
    started = agents(ALLOW)
    text = "0 /bin/echo apptainer\n1 /bin/echo b\n"
    (cluster.scratch / "mp.conf").write_text(text)
    done = cluster.run("alice", ["srun", "-n2", "-w", "n1", "--multi-prog", "/scratch/mp.conf"])
    assert done.returncode == 0
    (ask,) = asks(*started)
    assert ask["arg"] == [b"/scratch/mp.conf", text.encode()]


def test_the_image_is_opened_as_the_user(cluster: Cluster, agents: Any) -> None:
    """What the user may not read is not handed to the agent."""
    for name, mode in (("closed.sif", 0o600), ("open.sif", 0o644)):
        (cluster.scratch / name).write_text("image")
        (cluster.scratch / name).chmod(mode)
    script = [("open", "/scratch/closed.sif"), ("open", "/scratch/open.sif"), *ALLOW]
    (agent,) = agents(lambda ask: script if ask.verb == "ask" else ALLOW, "n1")
    assert cluster.run("alice", ["srun", "-w", "n1", "echo", "apptainer"]).returncode == 0
    assert agent.opened == [("13", b""), ("", b"image")]


def test_sbatch_tells_what_the_launch_would_meet(cluster: Cluster) -> None:
    """The script in the pipe is asked about and submitted whole, whatever the series' order of reading it."""
    script = "#!/bin/sh\necho runs\n# apptainer exec x.sif\n"

    def attempt() -> str:
        done = cluster.run("alice", ["sbatch", "--parsable", "-o", "/scratch/out"], text=script)
        cluster.wait_job(done.check().stdout.strip())
        return done.stderr

    with ScriptedAgent(cluster.login / "run/agent.sock", BLOCK) as agent:
        said = again(attempt, lambda said: said != "")
    assert "this is about its launch, later on:\nsifgate: launch refused: two KEV\n" in said
    assert {ask.text("script") for ask in agent.asked} == {script}
    assert (cluster.scratch / "out").read_text() == "runs\n"
