# SPDX-License-Identifier: Apache-2.0
"""Who may come through which door, what each door is told, and what several doors make of one launch."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.agent import RunningAgent, digest_of, eventually, settled_file, write_policy
from tests.fakes.server import FakeServer, bad_verdict
from tests.fakes.shim import NOBODY, Ask, held_shim, shim

from sifgate.agent import session as session_module

pytestmark = pytest.mark.root
WARNING = """\
schema: sifgate.policy/v1
mode: enforce
scan_wait: 5s
rules:
  - id: kev-fixable
    when: {kev: true, fixable: true}
    action: warn
"""


def asked(
    agent: RunningAgent, *asks: Ask, uid: int = NOBODY, session: bool = False
) -> list[tuple[str, str, str]]:
    """Return action, quiet and word of each answer to one process."""
    answers = shim(agent.agent.socket_path, *asks, uid=uid, session=session)
    return [(answer["action"], answer["quiet"], answer["word"]) for answer in answers]


@pytest.mark.parametrize("door", ["wrapper", "apptainer-plugin", "oci-hook", "enroot-hook"])
def test_user_names_the_doors_that_he_runs(agent: RunningAgent, root: Path, door: str) -> None:
    """A user's shim is believed about its door, and about nothing else."""
    image = settled_file(root / "x.sif", b"x")
    asked(agent, Ask(door=door, path=str(image), job="7", account="vip"))
    (record,) = agent.records()
    assert (record.door, record.outcome, record.trusted) == (door, "decided", False)
    assert (record.job, record.account, record.claimed) == (0, "", {"job": "7", "account": "vip"})


@pytest.mark.parametrize("door", ["spank", "prolog", "guard", "nonsense"])
def test_user_cannot_name_a_door_that_binds(agent: RunningAgent, root: Path, door: str) -> None:
    """A door that root runs is only claimed, and so is a word that is none."""
    image = settled_file(root / "x.sif", b"x")
    asked(agent, Ask(door=door, path=str(image)))
    (record,) = agent.records()
    assert (record.door, record.outcome, record.claimed) == ("cli", "asked", {"door": door})


def test_submission_never_waits(agent: RunningAgent, server: FakeServer, root: Path) -> None:
    """It is answered from what is known, starts the scan, uses no pass up, and is no launch."""
    server.scan_seconds = 1.0
    server.finding = bad_verdict
    settled_file(root / "x.sif", b"bad")
    question = Ask(door="submit", cwd=str(root), script="#!/bin/sh\napptainer exec x.sif true\n")
    assert [answer[0] for answer in asked(agent, *[question] * 4)] == ["log"] * 4
    eventually(lambda: len(agent.agent.cache) == 1)
    assert asked(agent, question)[0][0] == "block"
    assert {(record.door, record.outcome) for record in agent.records()} == {("submit", "asked")}


def test_submission_is_not_judged_by_what_only_its_run_can_tell(agent: RunningAgent) -> None:
    """An image that the script finds out itself is no ground to say anything; the launch will be judged."""
    script = "#!/bin/sh\napptainer exec $(newest) true\n"
    assert asked(agent, Ask(door="submit", cwd="/", script=script))[0][0] == "allow"
    assert agent.records() == []


def test_word_of_the_image_is_told(agent: RunningAgent, root: Path) -> None:
    """Where the image stands in the command, the decision says which word it is; inside a shell's text it does not."""
    settled_file(root / "x.sif", b"x")
    direct = ("apptainer", "-q", "exec", "--bind", "/a", "x.sif", "true")
    wrapped = ("bash", "-c", "apptainer exec x.sif true")
    answers = asked(
        agent,
        Ask(door="wrapper", cwd=str(root), arg=direct),
        Ask(door="wrapper", cwd=str(root), arg=wrapped),
        Ask(door="wrapper", cwd=str(root), arg=("apptainer", "exec", "missing.sif", "true")),
    )
    assert [word for _, _, word in answers] == ["5", "", ""]


def test_descriptor_of_the_process_is_opened_where_the_shim_is_that_process(
    agent: RunningAgent, server: FakeServer, root: Path
) -> None:
    """`/proc/self/fd/N` means the same to wrapper and runtime; to another door's shim it would be another file."""
    server.know(bad_verdict(digest_of(b"bad")))
    image = settled_file(root / "x.sif", b"bad")
    with image.open("rb") as file:
        command = ("apptainer", "exec", f"/proc/self/fd/{file.fileno()}", "true")
        words = [("uid", b"1000"), *(("arg", word.encode()) for word in command)]
        found = [
            agent.client.ask([("door", door), *words]).text("action") for door in (b"wrapper", b"oci-hook")
        ]
    assert found == ["block", "warn"]
    assert [record.state for record in agent.records()] == ["known", "unresolved"]


PULL = ("apptainer", "exec", "docker://demo:2", "true")


def test_remote_image_is_pulled_and_judged(agent: RunningAgent, server: FakeServer, root: Path) -> None:
    """The shim makes a file of it, which is judged; the record keeps what the user typed."""
    server.know(bad_verdict(digest_of(b"bad")))
    image = settled_file(root / "made.sif", b"bad")
    (answer,) = shim(
        agent.agent.socket_path, Ask(door="wrapper", can="pull", cwd="/", arg=PULL, pull=str(image))
    )
    assert answer.verbs == ["pull", "decision"]
    assert answer.turns[0][1] == {"uri": "docker://demo:2", "word": "2"}
    assert (answer["action"], answer["word"]) == ("block", "2")
    assert "docker://demo:2" in answer["notice"]
    (record,) = agent.records()
    assert (record.image, record.image_kind, record.state) == ("docker://demo:2", "transport", "known")


def test_remote_image_that_cannot_be_had_is_unresolved(agent: RunningAgent) -> None:
    """A pull that fails, or a shim that cannot pull, leaves the image unresolved; the record says why."""
    answers = shim(
        agent.agent.socket_path,
        Ask(door="wrapper", can="pull", cwd="/", arg=PULL),
        Ask(door="wrapper", cwd="/", arg=PULL),
    )
    assert [answer.verbs for answer in answers] == [["pull", "decision"], ["decision"]]
    first, second = agent.records()
    assert (first.state, second.state) == ("unresolved", "unresolved")
    assert "no such tag" in first.detail


def test_pull_counts_for_no_clock(agent: RunningAgent, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the agent's patience with a silent shim nor the launch's own deadline runs while the image is fetched."""
    monkeypatch.setattr(session_module, "IDLE_LIMIT", 0.2)
    image = settled_file(root / "made.sif", b"x")
    os.mkfifo(root / "slow")
    fetched = subprocess.Popen(["sh", "-c", f"sleep 1.5; exec cat {image} > {root}/slow"])
    try:
        started = time.monotonic()
        (answer,) = shim(
            agent.agent.socket_path,
            Ask(door="wrapper", can="pull", deadline_ms="1000", cwd="/", arg=PULL, pull=f"{root}/slow"),
            uid=0,
        )
        assert time.monotonic() - started > 1.4
    finally:
        fetched.wait(10)
    # What arrives is a FIFO, which is no image: said only after the wait, so neither clock had run out.
    assert (answer.verb, agent.records()[0].detail) == ("decision", "not a file or directory but a FIFO")


def test_shim_that_hangs_up_in_a_pull_frees_everything(agent: RunningAgent) -> None:
    """Nobody waits an hour for a shim that is gone."""
    script = Ask(door="wrapper", can="pull", cwd="/", arg=PULL)
    with pytest.raises(Exception, match="said 'pull'"):
        agent.client.ask([(key, value.encode()) for key, value in script.plan["words"]])
    eventually(lambda: agent.agent.listener.open == 0)


@pytest.fixture
def warned(start: Callable[..., RunningAgent], root: Path, server: FakeServer) -> RunningAgent:
    """An agent that warns of the bad image."""
    write_policy(root, WARNING)
    server.know(bad_verdict(digest_of(b"bad")))
    settled_file(root / "x.sif", b"bad")
    settled_file(root / "y.sif", b"bad too")
    return start()


def test_warning_is_quiet_after_the_first(warned: RunningAgent, root: Path) -> None:
    """One job shows a warning once per image, at whichever door; another image or job shows it again."""
    first = Ask(door="wrapper", job="7", path=f"{root}/x.sif")
    plugin = Ask(door="oci-hook", job="7", path=f"{root}/x.sif")
    other = Ask(door="wrapper", job="8", path=f"{root}/x.sif")
    assert [asked(warned, ask)[0] for ask in (first, first, plugin, other)] == [
        ("warn", "", ""),
        ("warn", "1", ""),
        ("warn", "1", ""),
        ("warn", "", ""),
    ]


def test_images_with_equal_packages_are_warned_of_apart(warned: RunningAgent, root: Path) -> None:
    """Two files that hold the same packages, perhaps none at all, are two images to who starts them."""
    settled_file(root / "copy.sif", b"bad")
    asks = [Ask(door="wrapper", job="7", path=f"{root}/{name}.sif") for name in ("x", "copy", "copy")]
    assert [asked(warned, ask)[0][1] for ask in asks] == ["", "", "1"]


def test_warning_that_another_rank_keeps_to_itself_is_not_shown(warned: RunningAgent, root: Path) -> None:
    """Rank 3 prints no warning, so rank 0 that asks after it is not quiet."""
    ranks = [Ask(door="wrapper", job="7", rank=rank, path=f"{root}/x.sif") for rank in ("3", "0", "0")]
    assert [asked(warned, ask)[0][1] for ask in ranks] == ["", "", "1"]


def test_warning_outside_a_job_is_once_per_session(warned: RunningAgent, root: Path) -> None:
    """Without a job it is the terminal's session that has seen it."""
    ask = Ask(door="wrapper", path=f"{root}/x.sif")
    twice = asked(warned, ask, ask, session=True)
    assert [quiet for _, quiet, _ in twice] == ["", "1"]
    assert asked(warned, ask, session=True)[0][1] == ""


def test_warning_of_root_counts_for_the_users_doors(warned: RunningAgent, root: Path) -> None:
    """What srun's door showed in a job is not shown again by the wrapper in it."""
    warned.ask(f"{root}/x.sif", uid=NOBODY, job="7")
    assert asked(warned, Ask(door="wrapper", job="7", path=f"{root}/x.sif"))[0][1] == "1"


def test_question_shows_nothing(warned: RunningAgent, root: Path) -> None:
    """A submission or a check does not use the job's one warning up."""
    check = Ask(path=f"{root}/x.sif", job="7")
    prescan = Ask("prescan", door="wrapper", path=f"{root}/x.sif", job="7")
    launch = Ask(door="wrapper", path=f"{root}/x.sif", job="7")
    assert [quiet for _, quiet, _ in asked(warned, check, prescan, launch)] == ["", "", ""]


def references(agent: RunningAgent, *asks: Ask, uid: int = NOBODY) -> list[str]:
    """Return the code of the record that each answer to one process names."""
    return [answer["reference"] for answer in shim(agent.agent.socket_path, *asks, uid=uid)]


def test_doors_of_one_process_make_one_record(warned: RunningAgent, root: Path) -> None:
    """Wrapper and plugin meet the same process: one record, one reference, one printed warning."""
    path = f"{root}/x.sif"
    answers = shim(
        warned.agent.socket_path,
        Ask(door="wrapper", path=path),
        Ask(door="apptainer-plugin", path=path),
        Ask(door="apptainer-plugin", path=path),
        session=True,  # a runner's own session may lie outside its pid namespace, where it is no audience
    )
    assert len({answer["reference"] for answer in answers}) == 1
    assert [answer["action"] for answer in answers] == ["warn"] * 3
    assert [answer["quiet"] for answer in answers] == ["", "1", "1"]
    assert [record.door for record in warned.records()] == ["wrapper"]


def test_another_image_of_the_process_is_another_launch(agent: RunningAgent, root: Path) -> None:
    """What was told of one image says nothing about the next."""
    one, two = settled_file(root / "x.sif", b"x"), settled_file(root / "y.sif", b"y")
    codes = references(agent, Ask(door="wrapper", path=str(one)), Ask(door="apptainer-plugin", path=str(two)))
    assert len(set(codes)) == 2
    assert len(agent.records()) == 2


def test_same_door_again_is_another_launch(agent: RunningAgent, root: Path) -> None:
    """A program that starts one image after the other leaves a record each time; so do two processes."""
    image = str(settled_file(root / "x.sif", b"x"))
    assert len(set(references(agent, *[Ask(door="wrapper", path=image)] * 2))) == 2
    assert len(set(references(agent, Ask(door="apptainer-plugin", path=image)))) == 1
    assert len(agent.records()) == 3


def test_refusal_stands_at_the_next_door(agent: RunningAgent, server: FakeServer, root: Path) -> None:
    """Who was refused at one door is refused at the other, with the notice, and from the same record."""
    server.know(bad_verdict(digest_of(b"bad")))
    path = str(settled_file(root / "x.sif", b"bad"))
    answers = shim(
        agent.agent.socket_path, Ask(door="wrapper", path=path), Ask(door="apptainer-plugin", path=path)
    )
    assert [answer["action"] for answer in answers] == ["block", "block"]
    assert answers[0]["notice"] == answers[1]["notice"] != ""
    assert len(agent.records()) == 1


def test_guard_joins_the_launch_of_the_process_that_it_names(agent: RunningAgent, root: Path) -> None:
    """Root's guard asks about a process that another door of root has asked about: one launch, one record."""
    path = str(settled_file(root / "x.sif", b"x"))
    with subprocess.Popen(["sleep", "60"]) as process:
        pid = str(process.pid)
        wrapper = Ask(door="spank", uid="1000", pid=pid, path=path)
        guard = Ask(door="guard", uid="1000", pid=pid, path=path)
        codes = references(agent, wrapper, guard, guard, uid=0)
        process.kill()
    assert len(set(codes)) == 1
    assert [record.door for record in agent.records()] == ["spank"]


SCOPED = (
    WARNING
    + """\
scopes:
  - id: prod
    match: {partition: [prod]}
    set:
      rules: {kev-fixable: block}
"""
)


def test_door_that_binds_takes_nothing_over_from_the_user(
    start: Callable[..., RunningAgent], root: Path, server: FakeServer
) -> None:
    """What a user's shim was told does not bind root's: with other facts it comes to another, recorded answer."""
    write_policy(root, SCOPED)
    server.know(bad_verdict(digest_of(b"bad")))
    path = str(settled_file(root / "x.sif", b"bad"))
    agent = start()
    with held_shim(agent.agent.socket_path, Ask(door="wrapper", path=path)) as (pid, answers):
        guard = Ask(door="guard", uid=str(NOBODY), pid=str(pid), path=path, job="7", partition="prod")
        codes = [answers[0]["reference"], *references(agent, guard, guard, uid=0)]
    assert codes[0] != codes[1] == codes[2]
    assert [(record.door, record.action) for record in agent.records()] == [
        ("wrapper", "warn"),
        ("guard", "block"),
    ]


def test_door_that_binds_joins_where_it_comes_to_the_same(warned: RunningAgent, root: Path) -> None:
    """The guard judges for itself what the wrapper asked about; the same action is the same launch."""
    path = f"{root}/x.sif"
    with held_shim(warned.agent.socket_path, Ask(door="wrapper", path=path)) as (pid, answers):
        guard = Ask(door="guard", uid=str(NOBODY), pid=str(pid), path=path)
        assert references(warned, guard, uid=0) == [answers[0]["reference"]]
    assert [record.door for record in warned.records()] == ["wrapper"]


def test_pending_launch_uses_one_pass_for_all_doors(
    agent: RunningAgent, server: FakeServer, root: Path
) -> None:
    """A launch that meets wrapper and guard while its image is scanned passes once, not twice."""
    server.scan_seconds = 20.0
    path = str(settled_file(root / "x.sif", b"x"))
    for _ in range(2):
        wrapper = Ask(door="wrapper", path=path, deadline_ms="50")
        with held_shim(agent.agent.socket_path, wrapper) as (pid, answers):
            guard = Ask(door="guard", uid=str(NOBODY), pid=str(pid), path=path, deadline_ms="50")
            found = [answers[0]["action"], *(each[0] for each in asked(agent, guard, uid=0))]
        assert found == ["log", "log"]
    assert asked(agent, Ask(door="wrapper", path=path, deadline_ms="50"))[0][0] == "block"


def test_status_counts_by_door(agent: RunningAgent, root: Path) -> None:
    """`status` says how many decisions came through each door."""
    path = str(settled_file(root / "x.sif", b"x"))
    asked(agent, Ask(door="wrapper", path=path), Ask(door="wrapper", path=path), Ask(path=path))
    assert agent.query("status")["decisions_by_door"] == {"wrapper": 2, "cli": 1}
