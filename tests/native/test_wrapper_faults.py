# SPDX-License-Identifier: Apache-2.0
"""The wrapper where nobody answers, or nobody reads: nothing holds the launch, and the posture counts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.fakes.wrapping import WARN, Stage

pytestmark = pytest.mark.native


@pytest.mark.parametrize(
    ("action", "words", "code", "says"),
    [
        ("allow", ["exec", "x.sif"], 0, ""),
        ("log", ["exec", "x.sif"], 0, ""),
        ("warn", ["exec", "x.sif"], 0, "launch not checked"),
        ("block", ["exec", "x.sif"], 255, "launch refused"),
        ("block", ["--debug", "instance", "start", "x.sif", "a"], 255, "launch refused"),
        ("block", ["--version"], 0, ""),
        ("block", ["pull", "docker://x"], 0, ""),
        ("block", ["cache", "clean"], 0, ""),
    ],
)
def test_without_an_agent_the_posture_counts(
    stage: Stage, action: str, words: list[str], code: int, says: str
) -> None:
    """And only for what may start a container: `apptainer --version` works even where nobody answers."""
    stage.put_posture(action)
    done = stage.run(*words)
    assert (done.returncode, stage.ran) == (code, code == 0)
    assert says in done.stderr
    assert bool(says) == bool(done.stderr)


def test_a_launch_without_an_answer_leaves_a_line_in_the_system_log(stage: Stage) -> None:
    """Whatever the posture says; and a log that nobody empties holds no launch."""
    stage.put_posture("allow")
    path = stage.built / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(path))
        stage.run("exec", "x.sif")
        line = log.recv(4096).decode()
        began = time.monotonic()
        for _ in range(20):  # more than such a queue takes
            stage.run("exec", "x.sif")
    path.unlink()
    assert time.monotonic() - began < 10
    assert re.fullmatch(
        r'<36>sifgate\[\d+\]: sifgate: door wrapper uid \d+: action "allow" without an answer: .*agent.sock: .*',
        line,
    )


FAULTS: dict[str, list[Step]] = {
    "garbage": [("send", b"\xff\xfe\0garbage")],
    "silence": [("sleep", 15)],
    "endless waiting": [("wait", ""), ("sleep", 0.3)] * 40,
    "hanging up": [("close",)],
    "unknown action": [("send", b"sifgate/1 decision\naction:5=maybe\n")],
    "error": [("send", b"sifgate/1 error\ncode:8=internal\ntext:2=no\n")],
    "giant": [("send", b"sifgate/1 decision\naction:5=allow\nnotice:100000=" + b"x" * 100_000 + b"\n")],
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_agent_that_does_not_answer_holds_nobody(stage: Stage, name: str) -> None:
    """The posture counts after 2 s of silence, or a second past the deadline."""
    stage.put_posture("block")
    began = time.monotonic()
    with ScriptedAgent(stage.socket, FAULTS[name]):
        done = stage.run("exec", "x.sif")
        assert time.monotonic() - began < 4
    assert (done.returncode, stage.ran) == (255, False)
    assert 'cause "agent_unreachable"' in done.stderr


@pytest.mark.root
def test_an_agent_of_another_owner_is_not_believed(stage: Stage) -> None:
    """It would get descriptors of the user's files, and decide."""
    stage.put_posture("block")
    stage.socket.unlink(missing_ok=True)
    code = (
        "import socket,sys,os;s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET);s.bind(sys.argv[1]);"
        "os.setuid(65534);s.listen();print(flush=True);c,_=s.accept();c.settimeout(3);print(len(c.recv(99)))"
    )
    with subprocess.Popen(
        ["python3", "-c", code, stage.socket], stdout=subprocess.PIPE, text=True
    ) as impostor:
        assert impostor.stdout is not None
        impostor.stdout.readline()
        done = stage.run("exec", "x.sif")
        heard, _ = impostor.communicate(timeout=10)
    stage.socket.unlink()
    assert (done.returncode, heard) == (255, "0\n")
    assert "Operation not permitted" in done.stderr


def test_a_reader_that_is_stuck_does_not_hold_the_launch(stage: Stage) -> None:
    """A notice that nobody takes within a second is lost; the program starts."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write, True)
    with ScriptedAgent(stage.socket, WARN):
        command = [str(stage.program), "exec", "x.sif"]
        done = subprocess.run(command, env=stage.environment(), stderr=write, check=False, timeout=10)
    os.close(read)
    os.close(write)
    assert (done.returncode, stage.ran) == (0, True)


def test_a_reader_that_has_gone_does_not_end_the_launch(stage: Stage) -> None:
    """No SIGPIPE of ours kills a program that may never write there."""
    read, write = os.pipe()
    os.close(read)
    with ScriptedAgent(stage.socket, WARN):
        command = [str(stage.program), "exec", "x.sif"]
        done = subprocess.run(command, env=stage.environment(), stderr=write, check=False, timeout=10)
    os.close(write)
    assert (done.returncode, stage.ran) == (0, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_launch_that_waits_for_its_answer_can_be_ended(stage: Stage, number: signal.Signals) -> None:
    """Ctrl-C works as before: at once, by that signal."""
    with ScriptedAgent(stage.socket, [("wait", ""), ("sleep", 10)]) as agent:
        running = subprocess.Popen([stage.program, "exec", "x.sif"], env=stage.environment())
        while not agent.asked:
            time.sleep(0.01)
        running.send_signal(number)
        assert running.wait(5) == -number
    assert not stage.ran
