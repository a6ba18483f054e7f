# SPDX-License-Identifier: Apache-2.0
"""Whatever dies, stops, hangs or is overrun: no opener waits longer than the deadline, and the gap is said."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from testbed.cluster.scripted import Step
from tests.native.guard_stage import ALICE, BOB, DEADLINE, IMAGE, PLAIN, SLACK, GuardStage

BLOCK: list[Step] = [("decide", "block", {"notice": "sifgate: launch refused"})]
SILENT: list[Step] = [("sleep", 30.0)]

pytestmark = [pytest.mark.native, pytest.mark.root]


@pytest.fixture
def here(guard_program: Path, tmp_path: Path) -> Iterator[GuardStage]:
    """Return a stage of level image whose guard is not started yet, with a budget of two late answers."""
    stage = GuardStage(guard_program, tmp_path, BLOCK, settings=["level image", "late_budget 2"])
    stage.settings.append(f"filesystem {stage.place}")
    with stage:
        yield stage


def test_an_agent_that_is_not_there_means_the_posture(here: GuardStage) -> None:
    """Allowed by default and said so; refused where the site wants that; at once in both cases."""
    here.start()
    here.agent.path.unlink()
    image = here.put("a.sif", IMAGE)
    opened, took = here.timed(image)
    assert opened
    assert took < SLACK
    assert here.said("was allowed without a decision") == 1
    here.posture.write_text("sifgate-posture 1\nagent_unreachable block\n")
    here.posture.chmod(0o644)
    assert not here.opens(image)


@pytest.mark.parametrize(
    "script",
    [SILENT, [("send", b"\xff\xfe garbage")], [("close",)], [("flood", 3)], [("decide", "perhaps", {})]],
)
def test_an_agent_that_talks_nonsense_or_nothing_means_the_posture(
    here: GuardStage, script: list[Step]
) -> None:
    """In time, and with a line in the log."""
    here.agent.script = script
    here.start()
    opened, took = here.timed(here.put("a.sif", IMAGE))
    assert opened
    assert took < DEADLINE + SLACK
    assert here.said("gap: uid 2001") == 1


def test_stopped_askers_are_answered_for_and_ended(here: GuardStage) -> None:
    """Late means allowed, for as long as the user's budget lasts; then denied. New askers work."""
    here.start()
    image = here.put("a.sif", IMAGE)
    here.send("guard-asker", signal.SIGSTOP)
    openings = [here.opening(image, uid) for uid in (ALICE, ALICE, ALICE, BOB, BOB)]
    results = sorted(opening.wait() for opening in openings)
    assert [opened for opened, _ in results] == [False, True, True, True, True]
    assert max(took for _, took in results) < DEADLINE + SLACK
    assert (here.said("was allowed without"), here.said("was refused without")) == (4, 1)
    here.wait(lambda: here.said("an asker has ended") == 4)
    assert not here.opens(image, BOB)
    assert here.agent.asked


def test_killed_askers_are_replaced(here: GuardStage) -> None:
    """An open that was theirs is asked about once more."""
    here.start()
    here.agent.script = lambda _: [("sleep", 0.3), *BLOCK]
    opening = here.opening(here.put("a.sif", IMAGE))
    here.wait(lambda: here.agent.asked)
    here.send("guard-asker", signal.SIGKILL)
    opened, took = opening.wait()
    assert (opened, took < DEADLINE + SLACK) == (False, True)
    assert here.said("an asker has ended") == 4


def test_a_stopped_responder_is_killed_and_everything_starts_again(here: GuardStage) -> None:
    """Plain files and images alike are let go by the kernel; afterwards images are judged as before."""
    here.start()
    image, plain = here.put("a.sif", IMAGE), here.put("plain", PLAIN)
    here.send("guard-responder", signal.SIGSTOP)
    openings = [here.opening(path) for path in (image, plain, image, plain)]
    for opening in openings:
        opened, took = opening.wait()
        assert (opened, took < DEADLINE + SLACK) == (True, True)
    assert here.said("gap: the responder was silent") == 1
    here.wait(lambda: here.said("ready: ") == 2)
    assert not here.opens(image)
    assert "restarts 1" in here.state.read_text()


def test_the_watchdog_never_waits_for_the_responder(here: GuardStage) -> None:
    """Also where its own state file lies on a marked file system."""
    here.settings.append(f"state {here.seen}/guard.state")
    here.start()
    image = here.put("a.sif", IMAGE)
    for round_ in (1, 2, 3):
        openings = [here.opening(image) for _ in range(4)]
        here.send("guard-responder", signal.SIGSTOP)
        assert max(opening.wait()[1] for opening in openings) < DEADLINE + SLACK
        here.wait(lambda ready=round_ + 1: here.said("ready: ") == ready)  # type: ignore[misc]
    assert not here.opens(image)
    here.wait(lambda: "restarts 3" in (here.seen / "guard.state").read_text())


@pytest.mark.parametrize("name", ["guard-responder", "guard-scout"])
def test_what_is_killed_starts_again(here: GuardStage, name: str) -> None:
    """With a line in the log, and images are judged again."""
    here.start()
    image = here.put("a.sif", IMAGE)
    here.send(name, signal.SIGKILL)
    here.wait(lambda: here.said("ready: ") == 2, 10)
    assert here.said("gap: the ") == 1
    assert not here.opens(image)


def test_without_its_watchdog_nobody_stays(here: GuardStage) -> None:
    """Kill -9 of the watchdog ends all, also an asker in the middle of its work; who waits is let go at once."""
    here.agent.script = SILENT
    here.start()
    image = here.put("a.sif", IMAGE)
    crew = [process for name in ("asker", "responder", "scout") for process in here.crew(f"guard-{name}")]
    opening = here.opening(image)
    here.wait(lambda: here.agent.asked)
    killed = time.monotonic()
    here.guard.kill()
    opened, _ = opening.wait()
    assert opened
    assert time.monotonic() - killed < SLACK
    assert psutil.wait_procs(crew, timeout=5)[1] == []
    assert here.opens(image)
    assert here.opens(here.put("plain", PLAIN))


def test_more_openers_than_descriptors_are_all_answered(here: GuardStage) -> None:
    """A table that is full lets others pass; the kernel, which would refuse them, is never asked for too many."""
    here.start(prefix=["prlimit", "--nofile=400:400"])
    assert here.crew("guard-responder")[0].rlimit(resource.RLIMIT_NOFILE) == (400, 400)
    image, plain = here.put("a.sif", IMAGE), here.put("plain", PLAIN)
    here.send("guard-asker", signal.SIGSTOP)
    script = f"i=0; while [ $i -lt 120 ]; do (: < {image}) & i=$((i+1)); done; : < {plain} && wait"
    began = time.monotonic()
    assert here.run(ALICE, "sh", "-c", script).returncode == 0
    assert time.monotonic() - began < DEADLINE + SLACK
    assert here.said("opens wait already") >= 1
    assert here.said("by the kernel") == 0

    def counted(*keys: str) -> int:
        state = dict(line.split(" ", 1) for line in here.state.read_text().splitlines())
        return sum(int(state[key]) for key in keys)

    # On a slow machine some of the 120 come when fresh askers stand in for the stopped ones, and are judged.
    here.wait(lambda: counted("overflow") >= 1 and counted("late", "over_budget") >= 1)
    assert counted("overflow", "late", "over_budget") <= 120


def test_a_slow_agent_and_many_openers_end_in_time(here: GuardStage) -> None:
    """Sixty opens at four a third of a second: some are judged, the rest is late; others' plain files never wait."""
    here.agent.script = lambda _: [("sleep", 0.3), ("decide", "allow", {})]
    here.start()
    image, plain = here.put("a.sif", IMAGE), here.put("plain", PLAIN)
    openings = [here.opening(image, uid) for uid in range(3000, 3060)]
    assert here.timed(plain, BOB)[1] < SLACK
    results = [opening.wait() for opening in openings]
    assert all(opened for opened, _ in results)
    assert max(took for _, took in results) < DEADLINE + SLACK
    assert len(here.agent.asked) >= 4


def test_a_thousand_openers_at_once_are_all_answered(here: GuardStage) -> None:
    """However many of them the agent gets to see: nobody waits longer, nobody is forgotten."""
    here.agent.script = [("decide", "allow", {})]
    here.start()
    image = here.put("a.sif", IMAGE)
    program = (
        "import os,sys,threading,time\n"
        "def go():\n t=time.monotonic()\n try: os.close(os.open(sys.argv[1],0))\n except PermissionError: pass\n"
        " laps.append(time.monotonic()-t)\n"
        "laps=[]; threads=[threading.Thread(target=go) for _ in range(1000)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; print(len(laps), max(laps))"
    )
    count, longest = here.run(
        0, "setpriv", "--reuid=3000", "/usr/bin/python3", "-c", program, image
    ).stdout.split()
    assert int(count) == 1000
    assert float(longest) < DEADLINE + SLACK


def test_one_users_slow_questions_leave_askers_for_others(here: GuardStage) -> None:
    """A user holds half of the askers at most."""
    here.agent.script = lambda ask: SILENT if ask.number("uid") == ALICE else BLOCK
    here.start()
    image = here.put("a.sif", IMAGE)
    slow = [here.opening(image) for _ in range(6)]
    here.wait(lambda: len(here.agent.asked) == 2)
    opened, took = here.timed(image, BOB)
    assert (opened, took < SLACK) == (False, True)
    for opening in slow:
        assert opening.wait()[1] < DEADLINE + SLACK
