# SPDX-License-Identifier: Apache-2.0
"""The agent as the process that a node runs: start, signals, death and return, memory, a real worker."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from tests.fakes.agent import announce, eventually, write_policy
from tests.fakes.server import FakeServer, bad_verdict, clean_verdict

from sifgate import wire
from sifgate.agent.loop import Loop
from sifgate.client import Client
from sifgate.errors import AgentUnreachable, SifgateError

RESIDENT_LIMIT = 80_000_000


class Process:
    """`python -m sifgate.agent.main --root DIR`."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.socket = root / "run" / "agent.sock"
        command = [sys.executable, "-m", "sifgate.agent.main", "--root", str(root)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        self.client = Client(str(self.socket))

    def ready(self) -> str:
        """Return the line that it says when it is ready; empty: it ended."""
        assert self.process.stdout is not None
        line: str = self.process.stdout.readline()
        return line

    def over(self) -> tuple[int, str]:
        """Wait until it has ended by itself; return exit code and standard error."""
        _, text = self.process.communicate(timeout=20)
        return self.process.returncode, text

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return exit code and standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, text = self.process.communicate(timeout=20)
        return self.process.returncode, text

    def ask(self, path: Path) -> wire.Message:
        """Ask as root's shim would."""
        return self.client.ask([("door", b"spank"), ("uid", b"1000"), ("path", bytes(path))])


Launch = Callable[..., Process]


@pytest.fixture
def launch(root: Path, server: FakeServer) -> Iterator[Launch]:
    """Start agents as processes; all end with the test."""
    announce(root, server.settings)
    started: list[Process] = []

    def begin(**options: Any) -> Process:
        process = Process(root, **options)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A sandbox directory with one Debian package."""
    box = tmp_path / "box"
    (box / "var/lib/dpkg").mkdir(parents=True)
    (box / "etc").mkdir()
    (box / "etc/os-release").write_text('ID=debian\nVERSION_ID="11"\n', encoding="utf-8")
    status = "Package: git\nStatus: install ok installed\nVersion: 1:2.30.2\nArchitecture: amd64\nMaintainer: x\n\n"
    (box / "var/lib/dpkg/status").write_text(status, encoding="utf-8")
    return box


def test_agent_says_when_it_is_ready_and_ends_cleanly(launch: Launch, root: Path) -> None:
    """One line when it listens; SIGTERM ends it with 0 and takes the socket away."""
    agent = launch()
    assert agent.ready() == f"sifgate agent listening on {agent.socket}\n"
    assert agent.socket.stat().st_mode & 0o777 == 0o666
    assert agent.end() == (0, "")
    assert not agent.socket.exists()


def test_image_is_judged_through_the_sandboxed_worker(launch: Launch, server: FakeServer, box: Path) -> None:
    """From a directory through the real worker to a refusal."""
    server.finding = bad_verdict
    agent = launch()
    agent.ready()
    assert agent.ask(box).text("action") == "block"
    assert len(server.layers) == 1


def test_killed_agent_is_unreachable_and_comes_back_knowing(
    launch: Launch, server: FakeServer, root: Path, box: Path
) -> None:
    """Killed while a launch waits: its shim hears of it at once, and a new agent takes its place, cache and all."""
    agent = launch()
    agent.ready()
    assert agent.ask(box).text("action") == "allow"
    server.scan_seconds = 30
    (box / "var/lib/dpkg/status").write_text(
        "Package: a\nStatus: install ok installed\nVersion: 1\n\n", encoding="utf-8"
    )
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(agent.ask, box)
        eventually(lambda: server.calls.count("PUT /v1/layers") == 2)
        agent.end(signal.SIGKILL)
        with pytest.raises(AgentUnreachable):
            waiting.result(10)
    with pytest.raises(AgentUnreachable):
        agent.ask(box)
    again = launch()
    assert again.ready()
    status = msgspec.json.decode(again.client.query("status"))
    assert status["cache"]["verdicts"] == 1
    assert status["cache"]["thrown_away"] == ""


def test_second_agent_does_not_take_the_socket(launch: Launch) -> None:
    """Where one is listening, another one ends with a word and the first goes on."""
    agent = launch()
    agent.ready()
    second = launch()
    code, text = second.over()
    assert code == 2
    assert "already" in text
    assert agent.client.query("status")


def test_path_too_long_for_a_socket_is_named(root: Path) -> None:
    """A deep directory is refused with the reason and the bound, before anything listens."""
    deep = root / ("d" * 100)
    (deep / "etc").mkdir(parents=True)
    code, text = Process(deep).over()
    assert code == 2
    assert "too long" in text
    assert "107 bytes" in text


def test_sighup_reads_the_policy_anew(launch: Launch, server: FakeServer, root: Path, box: Path) -> None:
    """A good policy takes effect, a bad one is told of and the last good one kept."""
    server.finding = bad_verdict
    agent = launch()
    agent.ready()
    assert agent.ask(box).text("action") == "block"
    write_policy(
        root,
        "schema: sifgate.policy/v1\nmode: audit\nrules:\n  - {id: k, when: {kev: true}, action: block}\n",
    )
    agent.process.send_signal(signal.SIGHUP)
    eventually(lambda: agent.ask(box).text("action") == "log")
    write_policy(root, "nonsense: true\n")
    agent.process.send_signal(signal.SIGHUP)
    eventually(lambda: "nonsense" in msgspec.json.decode(agent.client.query("status"))["policy"]["problem"])
    assert agent.ask(box).text("action") == "log"
    assert "kept the last good policy" in agent.end()[1]


def test_agent_stays_small(launch: Launch, box: Path, server: FakeServer) -> None:
    """At most 80 MB resident after a thousand launches with a verdict of a thousand findings."""
    many = bad_verdict("00").findings * 1122
    server.finding = lambda fingerprint: clean_verdict(fingerprint, many)
    agent = launch()
    agent.ready()
    for _ in range(3):
        agent.ask(box)
    for _ in range(1000):
        agent.ask(box / "no-such-image")
    assert psutil.Process(agent.process.pid).memory_info().rss < RESIDENT_LIMIT


@pytest.mark.parametrize("text", ["agnet: {}\n", "agent: {workers: many}\n", "server: {url: http://plain}\n"])
def test_bad_settings_end_the_agent_with_their_place(launch: Launch, root: Path, text: str) -> None:
    """Settings that cannot be used: exit code 2, file, line and column."""
    (root / "etc" / "sifgate.yaml").write_text(text, encoding="utf-8")
    agent = launch()
    code, message = agent.over()
    assert code == 2
    assert "sifgate.yaml:1:" in message


def test_settings_that_others_can_write_are_refused(launch: Launch, root: Path) -> None:
    """A settings file that anybody could have written is not read."""
    (root / "etc" / "sifgate.yaml").write_text("{}\n", encoding="utf-8")
    (root / "etc" / "sifgate.yaml").chmod(0o666)
    code, message = launch().over()
    assert code == 2
    assert "others can write" in message


def test_agent_without_policy_starts_and_says_so(launch: Launch, root: Path, box: Path) -> None:
    """No usable policy is a posture, not a node without an agent."""
    (root / "etc" / "policy.yaml").unlink()
    agent = launch()
    assert agent.ready()
    assert agent.ask(box).text("action") == "log"
    assert "policy not in force" in agent.end()[1]


def test_socket_of_systemd_is_used(launch: Launch, root: Path) -> None:
    """A listening socket that systemd hands over is taken as it is."""
    (root / "run").mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(root / "run" / "agent.sock"))
        listening.listen(16)
        handed = listening.fileno()

        script = (
            f"import os, sys; os.dup2({handed}, 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
            f"from sifgate.agent.main import main; sys.exit(main(['--root', {str(root)!r}]))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, pass_fds=(handed,), text=True
        )
        try:
            assert process.stdout is not None
            assert "listening" in process.stdout.readline()
            assert Client(str(root / "run" / "agent.sock")).query("status")
        finally:
            process.terminate()
            process.wait(10)
            assert (root / "run" / "agent.sock").exists()
            if process.stdout is not None:
                process.stdout.close()


def test_client_says_that_nobody_listens(tmp_path: Path) -> None:
    """No socket, and a socket that nobody serves, are told at once, with a hint."""
    with pytest.raises(SifgateError) as caught:
        Client(str(tmp_path / "agent.sock")).query("status")
    assert caught.value.code == "agent_unreachable"
    assert caught.value.hint


def test_end_that_comes_before_the_beginning_is_not_lost() -> None:
    """A loop that was told to stop before it ran does not run."""
    loop = Loop()
    loop.stop()
    loop.run()
    loop.close()
