# SPDX-License-Identifier: Apache-2.0
"""Conversations of the C client with agents that behave, and with agents that do not."""

from __future__ import annotations

import select
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step

from sifgate import wire

pytestmark = pytest.mark.native
Talk = Callable[..., dict[str, str]]


@pytest.fixture
def talk(driver: Callable[..., str]) -> Talk:
    """Return a function that holds one conversation and returns what came out, key by key."""

    def run(path: Path, *fields: str, deadline_ms: int = 3000, verb: str = "converse") -> dict[str, str]:
        head, _, notice = driver(verb, path, str(deadline_ms), *fields).partition("notice=")
        facts = dict(line.split("=", 1) for line in head.splitlines())
        return {**facts, "notice": notice.removesuffix("\n")}

    return run


def test_a_decision_is_taken_as_it_is(tmp_path: Path, talk: Talk) -> None:
    """Action, notice, reference and `once` arrive."""
    notice = "sifgate: launch refused\n  why    é"
    script = [("decide", "block", {"notice": notice, "reference": "7QX4-19", "once": "1"})]
    with ScriptedAgent(tmp_path / "s", script):
        said = talk(tmp_path / "s", "door=spank", "arg=true")
    assert said == {
        "decided": "1",
        "action": "block",
        "once": "1",
        "quiet": "0",
        "word": "0",
        "reference": "7QX4-19",
        "opened": "",
        "failure": "",
        "notice": notice,
    }


def test_the_image_is_opened_and_handed_over(tmp_path: Path, talk: Talk) -> None:
    """A relative path is opened below the agent's cwd, and the agent reads the same bytes."""
    (tmp_path / "x.sif").write_text("image")
    with ScriptedAgent(tmp_path / "s", [("open", "x.sif"), ("decide", "allow", {})]) as agent:
        said = talk(tmp_path / "s", f"cwd={tmp_path}")
    assert (agent.opened, said["opened"], said["action"]) == ([("", b"image")], "x.sif", "allow")


def test_an_image_that_cannot_be_opened_is_reported_by_its_errno(tmp_path: Path, talk: Talk) -> None:
    """The conversation goes on: the agent decides what a missing file means."""
    script: list[Step] = [
        ("open", "none.sif"),
        ("open", ""),
        ("open", "a\0b"),
        ("open", "x" * 5000),
        ("decide", "warn", {}),
    ]
    with ScriptedAgent(tmp_path / "s", script) as agent:
        said = talk(tmp_path / "s", f"cwd={tmp_path}")
    assert (agent.opened, said["action"]) == ([("2", b""), ("22", b""), ("22", b""), ("22", b"")], "warn")


def test_progress_is_shown_and_signs_of_life_are_not(
    tmp_path: Path, talk: Talk, driver: Callable[..., str]
) -> None:
    """A `wait` without text only restarts the clock."""
    script: list[Step] = [("wait", ""), ("wait", "scanning x.sif"), ("decide", "allow", {})]
    with ScriptedAgent(tmp_path / "s", script):
        output = driver("converse", tmp_path / "s", "3000")
    assert [line for line in output.splitlines() if line.startswith("progress=")] == [
        "progress=scanning x.sif"
    ]


@pytest.mark.parametrize("size", [60_000, 65_536, 70_000, 1 << 20, 4_000_000])
def test_a_long_question_arrives_whole(tmp_path: Path, talk: Talk, size: int) -> None:
    """Past one packet the message travels as a sealed memfd, which the Python side accepts."""
    with ScriptedAgent(tmp_path / "s", [("decide", "allow", {})]) as agent:
        said = talk(tmp_path / "s", f"arg@{size}", "cwd=/")
    assert said["decided"] == "1"
    assert [len(value) for value in agent.asked[0].every("arg")] == [size]


def test_a_question_past_every_limit_is_not_sent(tmp_path: Path, talk: Talk) -> None:
    """Beyond 4 MiB the writer is broken; the caller (the plugin) then sends `truncated`."""
    with ScriptedAgent(tmp_path / "s", [("decide", "allow", {})]) as agent:
        said = talk(tmp_path / "s", f"arg@{5 << 20}")
    assert (said["decided"], agent.asked) == ("0", [])


def test_nobody_listens_is_known_at_once(tmp_path: Path, talk: Talk) -> None:
    """No socket, or one that nobody listens on: no waiting."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(tmp_path / "dead"))
        began = time.monotonic()
        for name, text in (("none", "No such file"), ("dead", "Connection refused"), ("n" * 200, "too long")):
            said = talk(tmp_path / name)
            assert (said["decided"], text in said["failure"]) == ("0", True)
        assert time.monotonic() - began < 1.5


def test_a_silent_agent_is_given_up_after_two_seconds(tmp_path: Path, talk: Talk) -> None:
    """Connected, asked, nothing heard."""
    with ScriptedAgent(tmp_path / "s", [("sleep", 6)]):
        began = time.monotonic()
        said = talk(tmp_path / "s", deadline_ms=10_000)
        assert 1.9 < time.monotonic() - began < 4
    assert (said["decided"], said["failure"]) == ("0", "agent gave no sign of life")


def test_a_full_queue_is_given_up_after_two_seconds(tmp_path: Path, talk: Talk) -> None:
    """An agent that no longer accepts connections does not hold a launch."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stuck:
        stuck.bind(str(tmp_path / "s"))
        stuck.listen(0)
        fillers = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(str(tmp_path / "s"))
        began = time.monotonic()
        said = talk(tmp_path / "s")
        assert 1.9 < time.monotonic() - began < 4
        for filler in fillers:
            filler.close()
    assert said["decided"] == "0"


def test_endless_waiting_ends_at_the_deadline(tmp_path: Path, talk: Talk) -> None:
    """Signs of life do not extend the whole: deadline plus the second that a late decision has."""
    with ScriptedAgent(tmp_path / "s", [("wait", ""), ("sleep", 0.5)] * 20):
        began = time.monotonic()
        said = talk(tmp_path / "s", deadline_ms=1000)
        assert time.monotonic() - began < 3.5
    assert said["decided"] == "0"


HOSTILE = {
    "garbage": b"\xff\xfe\0garbage",
    "another version": b"sifgate/2 decision\naction:5=allow\n",
    "decision cut short": b"sifgate/1 decision\naction:5=al",
    "length past the end": b"sifgate/1 decision\naction:4000000=allow\n",
    "length with a leading zero": b"sifgate/1 decision\naction:05=allow\n",
    "negative length": b"sifgate/1 decision\naction:-5=allow\n",
    "unknown action": b"sifgate/1 decision\naction:5=maybe\n",
    "no action": b"sifgate/1 decision\nnotice:2=hi\n",
    "unknown verb": b"sifgate/1 launch\n",
    "a memfd without one": b"sifgate/1 memfd\n",
    "giant packet": b"sifgate/1 decision\naction:5=allow\nnotice:100000=" + b"x" * 100_000 + b"\n",
    "error turn": b"sifgate/1 error\ncode:8=internal\ntext:5=no go\n",
    "a pull nobody offered": b"sifgate/1 pull\nuri:1=1\nword:1=2\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_decision_decides_nothing(tmp_path: Path, talk: Talk, name: str) -> None:
    """Malformed, unknown and giant turns end the conversation undecided: the posture counts, never the bytes."""
    with ScriptedAgent(tmp_path / "s", [("send", HOSTILE[name])]):
        said = talk(tmp_path / "s")
    assert (said["decided"], said["action"]) == ("0", "")
    assert said["failure"]


def test_an_agent_that_hangs_up_decides_nothing(tmp_path: Path, talk: Talk) -> None:
    """Killed in the middle of a conversation: undecided, without waiting."""
    with ScriptedAgent(tmp_path / "s", [("wait", ""), ("close",)]):
        began = time.monotonic()
        said = talk(tmp_path / "s")
        assert time.monotonic() - began < 1.5
    assert (said["decided"], said["failure"]) == ("0", "agent closed the connection")


def test_a_flood_of_turns_ends(tmp_path: Path, talk: Talk) -> None:
    """An agent that never stops talking is not listened to for ever."""
    with ScriptedAgent(tmp_path / "s", [("wait", "")] * 5000):
        said = talk(tmp_path / "s", deadline_ms=20_000)
    assert (said["decided"], said["failure"]) == ("0", "agent never came to a decision")


def test_descriptors_from_the_agent_are_not_kept(tmp_path: Path, talk: Talk) -> None:
    """The client has no room for descriptors: the kernel drops them, and the conversation goes on."""
    with ScriptedAgent(tmp_path / "s", [("flood", 200), ("decide", "allow", {})]):
        assert talk(tmp_path / "s")["action"] == "allow"


def test_a_notice_with_nul_bytes_ends_there(tmp_path: Path, talk: Talk) -> None:
    """Text is ended by NUL in C: what comes after is not shown."""
    packet = wire.encode("decision", [("action", b"warn"), ("notice", b"seen\0unseen")])
    with ScriptedAgent(tmp_path / "s", [("send", packet)]):
        assert talk(tmp_path / "s")["notice"] == "seen"


@pytest.mark.parametrize(
    "script", [[("sleep", 20)], [("wait", ""), ("sleep", 0.2)] * 60], ids=["silence", "signs"]
)
def test_a_cancelled_launch_asks_no_further(tmp_path: Path, driver_program: Path, script: list[Step]) -> None:
    """SIGTERM ends the conversation at once, without a decision."""
    with ScriptedAgent(tmp_path / "s", script) as agent:
        command = [str(driver_program), "converse", str(tmp_path / "s"), "20000", "door=spank"]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        while not agent.asked:
            time.sleep(0.01)
        began = time.monotonic()
        running.terminate()
        output, _ = running.communicate(timeout=10)
    assert time.monotonic() - began < 1
    assert running.returncode == 0
    assert "decided=0\n" in output
    assert "failure=the step was cancelled\n" in output


def test_which_word_was_judged_and_whether_it_was_said_before_arrive(tmp_path: Path, talk: Talk) -> None:
    """`word` is a number or nothing; what is no number is nothing."""
    for given, taken in (("4", "4"), ("", "0"), ("-1", "0"), ("4x", "0"), ("99999999999", "0")):
        with ScriptedAgent(tmp_path / "s", [("decide", "warn", {"word": given, "quiet": "1"})]):
            said = talk(tmp_path / "s")
        assert (said["decided"], said["word"], said["quiet"]) == ("1", taken, "1")


def test_a_pulled_image_is_handed_over(tmp_path: Path, talk: Talk) -> None:
    """A shim that can pull answers with a descriptor, and the conversation goes on."""
    with ScriptedAgent(tmp_path / "s", [("pull", "1", "3"), ("decide", "allow", {"word": "3"})]) as agent:
        said = talk(tmp_path / "s", verb="pulling")
    assert (agent.opened, agent.reasons) == ([("", b"driver\n")], [""])
    assert (said["pull"], said["action"], said["word"]) == ("1 word=3", "allow", "3")


def test_a_pull_that_fails_says_why(tmp_path: Path, talk: Talk) -> None:
    """The errno and the reason reach the agent, which decides what that means."""
    script: list[Step] = [("pull", "docker://none", "2"), ("pull", "", "2"), ("decide", "warn", {})]
    with ScriptedAgent(tmp_path / "s", script) as agent:
        said = talk(tmp_path / "s", verb="pulling")
    assert agent.opened == [("2", b""), ("22", b"")]
    assert agent.reasons == ["no such image: docker://none", ""]
    assert said["action"] == "warn"


def test_a_pull_counts_for_neither_clock(tmp_path: Path, talk: Talk) -> None:
    """A pull longer than silence, deadline and grace together still ends in the agent's decision."""
    script: list[Step] = [("pull", "2500", "1"), ("wait", ""), ("sleep", 1), ("decide", "log", {})]
    with ScriptedAgent(tmp_path / "s", script):
        said = talk(tmp_path / "s", deadline_ms=500, verb="pulling")
    assert (said["decided"], said["action"]) == ("1", "log")


BUSY = b"sifgate/1 error\ncode:4=busy\ntext:8=too many\n"


def test_an_agent_that_is_busy_is_asked_again(tmp_path: Path, talk: Talk) -> None:
    """The whole question again, after 20 to 100 ms each, and nothing of the refusals stays."""
    turns = iter([BUSY, BUSY, BUSY])

    def script(_ask: wire.Message) -> list[Step]:
        busy = next(turns, None)
        return [("send", busy), ("close",)] if busy else [("decide", "allow", {})]

    began = time.monotonic()
    with ScriptedAgent(tmp_path / "s", script) as agent:
        said = talk(tmp_path / "s", "arg=x")
    assert 0.06 <= time.monotonic() - began < 1.5
    assert (said["decided"], said["action"], said["failure"]) == ("1", "allow", "")
    assert [ask.every("arg") for ask in agent.asked] == [[b"x"]] * 4


def test_an_agent_that_stays_busy_is_given_up_at_the_deadline(tmp_path: Path, talk: Talk) -> None:
    """Then the posture counts, as without an agent."""
    began = time.monotonic()
    with ScriptedAgent(tmp_path / "s", [("send", BUSY), ("close",)]) as agent:
        said = talk(tmp_path / "s", deadline_ms=600)
    assert 0.5 < time.monotonic() - began < 2.5
    assert (said["decided"], said["failure"]) == ("0", "agent answered with an error: too many")
    assert len(agent.asked) > 3


@pytest.mark.parametrize("reads", [False, True], ids=["at once", "with the question unread"])
def test_an_agent_that_is_busy_before_it_was_asked_is_asked_again(
    tmp_path: Path, driver_program: Path, *, reads: bool
) -> None:
    """It says so and hangs up on connecting: whether the question was on its way by then, or could not be sent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        command = [str(driver_program), "converse", str(tmp_path / "s"), "5000", "arg=x"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            for _ in range(5):
                connection, _ = listener.accept()
                if reads:
                    select.select([connection], [], [], 5)
                connection.send(BUSY)
                connection.close()
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.send(wire.encode("decision", [("action", b"log")]))
            output, _ = running.communicate(timeout=10)
        connection.close()
    assert "decided=1\naction=log\n" in output
