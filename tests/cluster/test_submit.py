# SPDX-License-Identifier: Apache-2.0
"""What sbatch, srun and salloc say when a job is submitted: foresight from the agent beside them, never a refusal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from testbed.cluster import Cluster, Completed
from testbed.cluster.again import again
from testbed.cluster.scripted import ScriptedAgent, Step

from sifgate.wire import Message

pytestmark = pytest.mark.cluster
ALLOW: list[Step] = [("decide", "allow", {})]
NOTICE = "sifgate: launch refused: two KEV\n  why    CVE-1 git"
BLOCK: list[Step] = [("decide", "block", {"notice": NOTICE})]
AHEAD = "sifgate: the job is being submitted; this is about its launch, later on:\n"
SCRIPT = '#!/bin/bash\nread -r line < /dev/null\necho runs "$@"\n# srun apptainer exec x.sif true\n'
Login = Callable[[Sequence[Step]], ScriptedAgent]


@pytest.fixture
def login(cluster: Cluster) -> Iterator[Login]:
    """Return a function that starts a scripted agent where users submit."""
    with ExitStack() as stack:

        def start(script: Sequence[Step]) -> ScriptedAgent:
            return stack.enter_context(ScriptedAgent(cluster.login / "run/agent.sock", script))

        yield start


def _submit(cluster: Cluster, *words: str, text: str = "") -> tuple[str, str]:
    """Submit by sbatch; return what it said and the output of the job, which ran to its end."""
    (cluster.scratch / "out").unlink(missing_ok=True)
    done = cluster.run("alice", ["sbatch", "--parsable", "-o", "/scratch/out", *words], text=text)
    job = cluster.wait_job(done.check().stdout.strip())
    assert job["JobState"] == "COMPLETED"
    return done.stderr, (cluster.scratch / "out").read_text()


def _told(cluster: Cluster, agent: ScriptedAgent, *words: str, text: str = "") -> tuple[str, str]:
    """Submit until the agent was heard in time; return what was said, and the job's output."""

    def attempt() -> tuple[str, str]:
        agent.asked.clear()
        return _submit(cluster, *words, text=text)

    return again(attempt, lambda told: told[0] != "")


def _heard(cluster: Cluster, agent: ScriptedAgent, *words: str) -> tuple[str, str]:
    """Submit once; return what was said although the agent was asked."""
    told = _submit(cluster, *words)
    _asked(agent)
    return told


def _asked(agent: ScriptedAgent) -> Message:
    (ask,) = agent.asked
    assert (ask.verb, ask.text("door")) == ("ask", "submit")
    return ask


def test_sbatch_tells_all_and_submits(cluster: Cluster, login: Login) -> None:
    """The script and its parameters are asked about; the notice is said to be of a later launch; the job runs."""
    agent = login(BLOCK)
    script = cluster.scratch / "job.sh"
    script.write_text(SCRIPT)
    said, output = _told(cluster, agent, "-J", "name", "/scratch/job.sh", "a", "b c")
    assert said == f"{AHEAD}{NOTICE}\n"
    assert output == "runs a b c\n"
    ask = _asked(agent)
    assert ask.text("script") == SCRIPT
    assert ask.every("arg") == [b"/scratch/job.sh", b"a", b"b c"]
    assert ask.text("cwd") == "/home/alice"


@pytest.mark.parametrize("how", ["pipe", "file", "wrap", "wrap="])
def test_every_way_to_hand_a_script_over(cluster: Cluster, login: Login, how: str) -> None:
    """Standard input is seen and still there for sbatch, be it a pipe or a file; so is the text of --wrap."""
    agent = login(BLOCK)
    if how == "pipe":
        said, output = _told(cluster, agent, text=SCRIPT)
    elif how == "file":
        said, output = again(lambda: _from_file(cluster, agent), lambda told: told[0] != "")
    else:
        words = ["--wrap", "echo runs"] if how == "wrap" else ["--wrap=echo runs"]
        said, output = _told(cluster, agent, *words)
    assert said == f"{AHEAD}{NOTICE}\n"
    assert output == "runs\n"
    assert _asked(agent).text("script") == (SCRIPT if how in {"pipe", "file"} else "#!/bin/sh\necho runs")


def _from_file(cluster: Cluster, agent: ScriptedAgent) -> tuple[str, str]:
    """Submit a script that is sbatch's standard input."""
    agent.asked.clear()
    (cluster.scratch / "job.sh").write_text(SCRIPT)
    line = "sbatch --wait -Q -o /scratch/out < /scratch/job.sh"
    done = cluster.run("alice", ["sh", "-c", line]).check()
    return done.stderr, (cluster.scratch / "out").read_text()


def test_srun_says_one_line_ahead(cluster: Cluster, login: Login, agents: Any) -> None:
    """Its user reads all of it when the job starts, from the node."""
    agent = login(BLOCK)
    agents(ALLOW)

    def attempt() -> Completed:
        agent.asked.clear()
        return cluster.run("alice", ["srun", "echo", "apptainer", "x.sif"])

    done = again(attempt, lambda done: done.stderr != "")
    assert (done.returncode, done.stdout) == (0, "apptainer x.sif\n")
    assert done.stderr == "sifgate: when this job starts: launch refused: two KEV\n"
    assert _asked(agent).every("arg") == [b"srun", b"echo", b"apptainer", b"x.sif"]


def test_steps_of_a_job_are_not_asked_about_twice(cluster: Cluster, login: Login, agents: Any) -> None:
    """The salloc asks, the srun in its allocation is judged at once by the node; several components ask once."""
    agent = login(ALLOW)
    agents(ALLOW)
    assert cluster.run("alice", ["salloc", "-Q", "srun", "echo", "apptainer"]).returncode == 0
    assert _asked(agent).every("arg") == [b"salloc", b"-Q", b"srun", b"echo", b"apptainer"]
    agent.asked.clear()
    assert cluster.run("alice", ["srun", "-n1", "true", ":", "-n1", "true"]).returncode == 0
    _asked(agent)


def test_the_image_is_handed_over_for_its_scan(cluster: Cluster, login: Login) -> None:
    """Opened by the user who submits: what he cannot read stays closed."""
    for name, mode in (("mine.sif", 0o644), ("closed.sif", 0o600)):
        (cluster.scratch / name).write_text("image")
        (cluster.scratch / name).chmod(mode)
    agent = login([("open", "/scratch/mine.sif"), ("open", "/scratch/closed.sif"), *ALLOW])
    said, _ = _submit(cluster, "--wrap", "true")
    assert said == ""
    _await_no_process(cluster)
    assert agent.opened == [("", b"image"), ("13", b"")]


@pytest.mark.parametrize("action", ["allow", "log", "warn"])
def test_what_is_said_for_each_answer(cluster: Cluster, login: Login, action: str) -> None:
    """Only a warning or a refusal is worth a word."""
    agent = login([("decide", action, {"notice": "sifgate: warning: old"})])
    submit = _told if action == "warn" else _heard
    said, _ = submit(cluster, agent, "--wrap", "true")
    assert said == (f"{AHEAD}sifgate: warning: old\n" if action == "warn" else "")


def test_a_warning_that_was_shown_is_not_said_again(cluster: Cluster, login: Login) -> None:
    """`quiet`: the agent knows what this session has read."""
    login([("decide", "warn", {"notice": "sifgate: warning: old", "quiet": "1"})])
    assert _submit(cluster, "--wrap", "true")[0] == ""


MAD: dict[str, list[Step]] = {
    "silent": [("sleep", 3)],
    "never decides": [step for _ in range(30) for step in (("wait", "x"), ("sleep", 0.1))],
    "garbage": [("send", b"\xff\x00garbage")],
    "giant": [("send", b"x" * 150_000)],
    "descriptors": [("flood", 50), ("sleep", 3)],
    "closes": [("close",)],
    "late": [("sleep", 0.5), *BLOCK],
}


@pytest.mark.parametrize("name", MAD)
def test_a_mad_agent_is_not_noticed(cluster: Cluster, login: Login, name: str) -> None:
    """Nothing is said, nothing waits, and the end of sbatch's output does not wait for what was left behind."""
    login(MAD[name])
    line = "sbatch --parsable -o /dev/null --wrap true | cat"
    began = time.monotonic()
    done = cluster.run("alice", ["sh", "-c", line])
    seconds = time.monotonic() - began
    assert done.returncode == 0
    assert done.stderr == ""
    assert seconds < 2.0  # what a wait for the child would take
    cluster.wait_job(done.stdout.strip())
    _await_no_process(cluster)


def _await_no_process(cluster: Cluster) -> None:
    """Wait until what hands an image over has ended: two seconds at most."""
    end = time.monotonic() + 5
    while cluster.strays() and time.monotonic() < end:
        time.sleep(0.05)
    assert cluster.strays() == []


def test_without_an_agent_nothing_is_said(cluster: Cluster) -> None:
    """A login node without sifgate's agent submits as ever; so does one whose socket leads nowhere."""
    assert _submit(cluster, "--wrap", "true")[0] == ""
    dead = cluster.login / "run/agent.sock"
    dead.touch()
    try:
        assert _submit(cluster, "--wrap", "true")[0] == ""
    finally:
        dead.unlink()


@pytest.mark.parametrize(
    "words",
    [
        ["--wrap", "true # " + "x" * 120_000],
        ["-o", "/dev/null", "--comment", "a\nb\x01", "--wrap", "true"],
        ["--comment=\udcff\udcfe", "--wrap", "true"],
    ],
    ids=["long", "control characters", "no UTF-8"],
)
def test_odd_words_submit_as_ever(cluster: Cluster, login: Login, words: list[str]) -> None:
    """Whatever execve takes is asked about, or not; sbatch does what it would do."""
    login(ALLOW)
    command = ["sbatch", "--parsable", "-o", "/dev/null", *words]
    done = cluster.run("alice", command).check()
    assert done.stderr == ""
    cluster.wait_job(done.stdout.strip())
