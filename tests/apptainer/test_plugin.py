# SPDX-License-Identifier: Apache-2.0
"""Launches through the plugin, unprivileged and setuid: judged on the command line and again by what really starts."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.fakes.apptainer import (
    IMAGE,
    NOTICE,
    REFERENCE,
    Runtime,
    Script,
    image_of,
    is_early,
    master,
    verdict,
    wait_for,
)

from sifgate.wire import Message

pytestmark = [pytest.mark.cluster, pytest.mark.root]
Agents = Callable[[Script], ScriptedAgent]
REFUSED = 255
MARK = "/scratch/ran"
TOUCH = ("/bin/sh", "-c", f"echo PAYLOAD; touch {MARK}")


def ran(runtime: Runtime) -> bool:
    """Return whether a payload left its mark; /scratch is bound for it."""
    return (runtime.site.scratch / "ran").exists()


@pytest.mark.parametrize("code", [0, 7, 255])
def test_exit_codes_and_streams_survive(runtime: Runtime, agents: Agents, code: int) -> None:
    """An allowed launch is as if there were no plugin: status, standard input, nothing on standard error."""
    agents(verdict("allow"))
    done = runtime("exec", IMAGE, "sh", "-c", f"cat; exit {code}", text="through\n")
    assert (done.returncode, done.stdout, done.stderr) == (code, "through\n", "")


def test_a_launch_is_asked_about_twice_and_handed_over_twice(runtime: Runtime, agents: Agents) -> None:
    """First with the words as typed, then with what the starter opened; both times a descriptor goes out."""
    agent = agents(verdict("allow"))
    assert runtime("exec", "--bind", "/scratch", IMAGE, "true").returncode == 0
    early, late = agent.asked
    assert [early.text("door"), late.text("door")] == ["apptainer-plugin"] * 2
    assert early.every("arg")[1:] == [b"exec", b"--bind", b"/scratch", IMAGE.encode(), b"true"]
    assert late.every("arg")[1:] == [b"exec", b"--bind", b"/scratch:/scratch", IMAGE.encode(), b"true"]
    assert [(number, head[:5]) for number, head in agent.opened] == [("", b"#!/us")] * 2


def test_a_warning_is_shown_once(runtime: Runtime, agents: Agents) -> None:
    """The notice comes before the payload, by the first question; the second one's is the same and stays silent."""
    agent = agents(verdict("warn", early="warn"))
    done = runtime("exec", IMAGE, "echo", "PAYLOAD")
    assert (done.returncode, done.stdout, done.stderr) == (0, "PAYLOAD\n", f"{NOTICE}\n")
    assert len(agent.asked) == 2


def test_ranks_beside_the_first_say_little(runtime: Runtime, agents: Agents) -> None:
    """Of a parallel program only rank 0 shows a warning, and the others one line of a refusal."""
    agents(verdict("block", early="warn"))
    done = runtime("exec", IMAGE, "true", SLURM_PROCID="0", OMPI_COMM_WORLD_RANK="3")
    lines = done.stderr.splitlines()
    assert (done.returncode, lines[0]) == (REFUSED, "sifgate: tb: launch judged")
    assert not any("why" in line for line in lines)


LAUNCHES = {
    "exec": ("exec", IMAGE, "true"),
    "run": ("run", IMAGE),
    "shell": ("shell", IMAGE),
    "test": ("test", IMAGE),
    "instance start": ("instance", "start", IMAGE, "one"),
    "instance run": ("instance", "run", IMAGE, "one"),
}


@pytest.mark.parametrize("verb", LAUNCHES)
def test_every_verb_is_refused_before_anything_is_prepared(
    runtime: Runtime, agents: Agents, verb: str
) -> None:
    """On the command line the notice is all that the user reads, and the starter is never reached."""
    agent = agents(verdict("block", early="block"))
    done = runtime(*LAUNCHES[verb])
    assert (done.returncode, done.stdout, done.stderr) == (REFUSED, "", f"{NOTICE}\n")
    assert len(agent.asked) == 1


@pytest.mark.parametrize("verb", LAUNCHES)
def test_the_starter_refuses_what_the_command_line_let_pass(
    runtime: Runtime, agents: Agents, verb: str
) -> None:
    """The payload never runs, no process is left, and the reference stands in the runtime's last words."""
    agent = agents(verdict("block"))
    words = LAUNCHES[verb]
    done = runtime(*words[: words.index(IMAGE)], "--bind", "/scratch", *words[words.index(IMAGE) :])
    assert done.returncode == REFUSED
    assert NOTICE in done.stderr
    assert f"launch refused by sifgate, reference {REFERENCE}" in done.stderr
    assert [is_early(ask) for ask in agent.asked] == [True, False]


def test_a_refused_payload_never_runs(runtime: Runtime, agents: Agents) -> None:
    """However long the agent takes: the container is not created before it has decided."""
    agents(
        lambda ask: (
            verdict("allow")(ask)
            if is_early(ask)
            else [("wait", "scanning"), ("sleep", 1.5), *verdict("block")(ask)]
        )
    )
    done = runtime("exec", "--bind", "/scratch", IMAGE, *TOUCH)
    assert (done.returncode, done.stdout, ran(runtime)) == (REFUSED, "", False)
    assert done.stderr.startswith(f"scanning\n{NOTICE}\n")


def test_the_opened_image_is_judged_and_run(runtime: Runtime, agents: Agents) -> None:
    """A file that is replaced while the agent is asked is neither what the agent sees nor what runs."""
    site = runtime.site
    site.run("alice", ["cp", IMAGE, "/scratch/x.sif"]).check()

    def swap(ask: Message) -> Sequence[Step]:
        if not is_early(ask):
            (site.scratch / "x.sif").rename(site.scratch / "y.sif")
            (site.scratch / "x.sif").write_text("not an image")
        return verdict("allow")(ask)

    agent = agents(swap)
    done = runtime("exec", "/scratch/x.sif", "echo", "PAYLOAD")
    assert (done.returncode, done.stdout) == (0, "PAYLOAD\n")
    assert [head[:5] for _, head in agent.opened] == [b"#!/us"] * 2


def test_what_is_bound_over_the_image_is_told(runtime: Runtime, agents: Agents) -> None:
    """Binds that come from a variable are words of the second question: what the container really gets."""
    agent = agents(verdict("allow"))
    done = runtime(
        "exec", IMAGE, "true", APPTAINER_BIND="/usr/share/doc:/usr/share/doc", APPTAINERENV_LD_PRELOAD=""
    )
    assert done.returncode == 0, done.output
    assert b"/usr/share/doc:/usr/share/doc" in agent.asked[-1].every("arg")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_payload(runtime: Runtime, agents: Agents, number: int) -> None:
    """What the runtime receives, its container receives; its handler's status comes back."""
    agents(verdict("allow"))
    name = signal.Signals(number).name.removeprefix("SIG")
    words = f"trap 'exit 9' {name}; echo READY; while :; do sleep 0.05; done"
    process = runtime.site.start("alice", ["setsid", "-w", runtime.program, "exec", IMAGE, "sh", "-c", words])
    assert process.stdout is not None
    assert process.stdout.readline() == "READY\n"
    runtime.site.run("alice", ["kill", f"-{name}", master(runtime.site)]).check()
    assert process.wait(20) == 9
    process.communicate()


def test_ctrl_c_during_a_scan_ends_the_launch(runtime: Runtime, agents: Agents) -> None:
    """Who does not want to wait for the verdict need not: nothing ran, nothing is left."""
    asked: list[Message] = []

    def scan(ask: Message) -> Sequence[Step]:
        if is_early(ask):
            return verdict("allow")(ask)
        asked.append(ask)
        return [step for _ in range(8) for step in (("wait", "scanning"), ("sleep", 0.5))]

    agents(scan)
    words = ["setsid", "-w", runtime.program, "exec", "--bind", "/scratch", IMAGE, *TOUCH]
    process = runtime.site.start("alice", words)
    wait_for(lambda: bool(asked))
    began = time.monotonic()
    runtime.site.run("alice", ["kill", "-INT", master(runtime.site)]).check()
    output, _ = process.communicate(timeout=20)
    assert time.monotonic() - began < 3
    assert (process.returncode != 0, output, ran(runtime)) == (True, "", False)


def test_a_joined_instance_is_not_asked_about_again(runtime: Runtime, agents: Agents) -> None:
    """The gate is at the start of an instance; `exec instance://` passes, whatever the agent would say now."""
    site = runtime.site
    box = "/home/alice/box"
    make = (
        f"mkdir -p {box}/bin {box}/.singularity.d/actions {box}/proc {box}/sys {box}/dev {box}/tmp"
        f" {box}/etc {box}/home;"
        f"cp /usr/bin/busybox {box}/bin/; ln -sf busybox {box}/bin/sh; ln -sf busybox {box}/bin/sleep;"
        f"for verb in start exec; do printf '#!/bin/sh\\nexec \"$@\"\\n' > {box}/.singularity.d/actions/$verb;"
        f"chmod 755 {box}/.singularity.d/actions/$verb; done"
    )
    site.run("alice", ["sh", "-c", make]).check()
    agent = agents(verdict("allow"))
    try:
        started = runtime("instance", "start", box, "one", "sleep", "60")
        assert started.returncode == 0, started.output
        asked = len(agent.asked)
        joined = runtime("exec", "instance://one", "sh", "-c", "exit 5")
        assert (joined.returncode, len(agent.asked)) == (5, asked), joined.output
    finally:
        runtime("instance", "stop", "one")
        site.run("alice", ["rm", "-rf", box]).check()


def test_the_helper_that_unpacks_an_image_is_let_pass(runtime: Runtime, agents: Agents) -> None:
    """It is asked about by a setuid starter alone, which believes nobody; what was unpacked always is."""
    agent = agents(verdict("allow"))
    done = runtime("exec", "--unsquash", IMAGE, "echo", "PAYLOAD", APPTAINER_TMPDIR="/tmp")
    assert (done.returncode, done.stdout) == (0, "PAYLOAD\n")
    images = [image_of(ask) for ask in agent.asked if not is_early(ask)]
    assert len(images) == {"unprivileged": 1, "setuid": 2}[runtime.flavour]
    assert images[-1].endswith("/root")
    assert agent.asked[-1].text("name") == IMAGE
