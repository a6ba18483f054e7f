# SPDX-License-Identifier: Apache-2.0
"""Launches that no honest user types: each ends in a decision, soon, and the agent serves the next one."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from tests.fakes.agent import RunningAgent, digest_of, eventually, settled_file
from tests.fakes.server import FakeServer, bad_verdict
from tests.fakes.shim import Ask, shim

from sifgate import wire
from sifgate.agent import reads as reads_module
from sifgate.agent.loop import Loop
from sifgate.agent.reads import Reads

Fields = list[tuple[str, bytes]]


def ask(agent: RunningAgent, words: list[bytes], **facts: bytes) -> wire.Message:
    """Return the answer to a command of a user's wrapper."""
    fields: Fields = [("door", b"wrapper"), ("uid", b"1000"), *facts.items()]
    return agent.client.ask([*fields, *(("arg", word) for word in words)])


def test_ten_thousand_binds_are_read(agent: RunningAgent, server: FakeServer, root: Path) -> None:
    """The image behind them is found, its word is told, and the record stays small."""
    server.know(bad_verdict(digest_of(b"bad")))
    settled_file(root / "x.sif", b"bad")
    binds = [word for number in range(10_000) for word in (b"--bind", b"/data/%d:/usr/%d" % (number, number))]
    started = time.monotonic()
    answer = ask(agent, [b"apptainer", b"exec", *binds, b"x.sif", b"true"], cwd=bytes(root))
    assert time.monotonic() - started < 5
    assert (answer.text("action"), answer.text("word")) == ("block", "20002")
    (record,) = agent.records()
    assert len(record.content_injected) == 16
    assert agent.agent.log.path.stat().st_size < 20_000


def test_path_that_is_not_utf8_is_opened_as_typed(
    agent: RunningAgent, server: FakeServer, root: Path
) -> None:
    """Names are bytes; the record shows them escaped."""
    server.know(bad_verdict(digest_of(b"bad")))
    image = os.fsencode(root) + b"/\xff\xfe.sif"
    with open(image, "wb") as file:  # noqa: PTH123 - a name that Path would show as something else
        file.write(b"bad")
    answer = ask(agent, [b"apptainer", b"exec", b"\xff\xfe.sif", b"true"], cwd=os.fsencode(root))
    assert answer.text("action") == "block"
    assert agent.records()[0].image == r"\xff\xfe.sif"


@pytest.mark.parametrize("uri", [b"docker://" + b"x" * 100_000, b"docker://\xff\n\x1b[2J", b"docker://"])
def test_uri_of_any_kind_ends_in_a_decision(agent: RunningAgent, uri: bytes) -> None:
    """A name that no turn has room for, or that holds what terminals obey, is unresolved."""
    fields: Fields = [("door", b"wrapper"), ("uid", b"1000"), ("can", b"pull")]
    fields += [("arg", word) for word in (b"apptainer", b"exec", uri, b"true")]
    answer = _hold(agent, fields)
    assert answer.text("action") == "warn"
    assert "\x1b" not in answer.text("notice")
    assert agent.records()[0].state == "unresolved"


def _hold(agent: RunningAgent, fields: Fields) -> wire.Message:
    """Return the decision on a launch whose shim fails at every pull."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(10)
        connection.connect(str(agent.agent.socket_path))
        wire.send(connection, wire.encode("ask", fields))
        while True:
            message = wire.decode(wire.receive(connection)[0])
            if message.verb == "decision":
                return message
            if message.verb == "pull":
                wire.send(connection, wire.encode("opened", [("errno", b"5"), ("text", b"\x1b[2Jno")]))


@pytest.mark.root
def test_bundle_that_never_answers_costs_its_user_a_moment(
    agent: RunningAgent, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config.json on a file system that hangs is unresolved after a while; other launches wait for none of it."""
    monkeypatch.setattr(reads_module, "PATIENCE", 0.5)
    gate = threading.Event()

    def hang(descriptor: int, limit: int) -> None:
        del limit
        gate.wait(20)
        os.close(descriptor)

    monkeypatch.setattr(reads_module, "_whole", hang)
    (root / "config.json").write_text('{"root": {"path": "rootfs"}}', encoding="utf-8")
    state = json.dumps({"ociVersion": "1.0.2", "id": "c1", "bundle": str(root)})
    try:
        hung = [Ask(door="oci-hook", state=state) for _ in range(6)]
        assert {answer["action"] for answer in shim(agent.agent.socket_path, *hung)} == {"warn"}
        assert agent.action(settled_file(root / "x.sif", b"x")) == "allow"
    finally:
        gate.set()
    assert {record.state for record in agent.records()} == {"unresolved", "known"}


def test_reads_of_one_user_are_bounded_and_all_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's files are read so many at a time; the others follow, and nothing stays open."""
    monkeypatch.setattr(reads_module, "PER_USER", 2)
    (tmp_path / "x").write_bytes(b"text")
    (tmp_path / "long").write_bytes(b"x" * 100)
    loop = Loop()
    reads = Reads(loop)
    files = [os.open(tmp_path / name, os.O_RDONLY) for name in ("x", "long")]
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only counted
    promises = [reads.of(1000, descriptor, 50) for descriptor in files * 10]
    loop.later(10, loop.stop)
    while not all(promise.done for promise in promises):
        loop._turn()
    assert [promise.result() for promise in promises] == [b"text", None] * 10
    eventually(lambda: len(os.listdir("/proc/self/fd")) == before)  # noqa: PTH208 - only counted
    wire.close_all(files)
    loop.close()
