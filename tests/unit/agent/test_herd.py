# SPDX-License-Identifier: Apache-2.0
"""A thousand launches of one user at once, as real processes; another user meanwhile; N prologs of one job."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.fakes.agent import RunningAgent, digest_of, eventually, settled_file, write_policy
from tests.fakes.server import FakeServer, bad_verdict
from tests.fakes.shim import NOBODY, SOURCE

SILENCE = 2.0
"""Seconds that a shim bears: docs/protocol.md."""
LAUNCHES = 1000
DEADLINE = 10.0
"""Seconds that a shim waits in all: the shipped policy's `scan_wait`."""

_HERD = """
import gc, json, os, random, socket, sys, time
sys.path.insert(0, sys.argv[1])
from sifgate import wire
path, image, count, deadline = sys.argv[2], sys.argv[3].encode(), int(sys.argv[4]), float(sys.argv[5])
os.nice(10)  # what is measured is how the agent shares itself out, not how the kernel shares out two cores
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
question = wire.encode("ask", [("door", b"wrapper"), ("path", image)])

def launch():
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(2.0)  # as a shim: two seconds of silence are the posture
            connection.connect(path)
            try:
                wire.send(connection, question)
            except BrokenPipeError:
                pass  # turned away already; why is still to be read
            while True:
                message = wire.decode(wire.receive(connection)[0])
                if message.verb == "open":
                    descriptor = os.open(message.text("path"), os.O_RDONLY)
                    wire.send(connection, wire.encode("opened"), (descriptor,))
                    os.close(descriptor)
                elif message.verb != "wait":
                    break
        if message.verb == "decision":
            return message.text("action")
        if message.text("code") != "busy":
            return message.text("code")
        time.sleep(random.uniform(0.02, 0.1))
    return "posture"

start_reader, start_writer = os.pipe()
said_reader, said_writer = os.pipe()
gc.freeze()
children = []
for _ in range(count):
    child = os.fork()
    if child == 0:
        os.close(start_writer)
        os.read(start_reader, 1)
        try:
            word = launch()
        except BaseException as error:
            word = repr(error)
        os.write(said_writer, (word + "\\n").encode())
        os._exit(0)
    children.append(child)
os.close(said_writer)
print("ready", flush=True)
sys.stdin.readline()
os.close(start_writer)
with os.fdopen(said_reader) as said:
    words = said.read().split("\\n")[:-1]
for child in children:
    os.waitpid(child, 0)
print(json.dumps(words), flush=True)
"""


def herd(agent: RunningAgent, image: Path) -> subprocess.Popen[str]:
    """Return a thousand processes of one user, ready to launch."""
    words = [str(agent.agent.socket_path), str(image), str(LAUNCHES), str(DEADLINE)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _HERD, str(SOURCE), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def answers_of(process: subprocess.Popen[str]) -> Counter[str]:
    """Let a herd go, and return how often each answer was given."""
    said, _ = process.communicate("go\n", timeout=60)
    return Counter(json.loads(said))


@pytest.mark.root
def test_a_thousand_launches_at_once_get_the_same_decision(
    agent: RunningAgent, server: FakeServer, root: Path
) -> None:
    """None takes the posture, each leaves a record, and another user waits for none of them."""
    server.know(bad_verdict(digest_of(b"bad")))
    image = settled_file(root / "x.sif", b"bad")
    assert agent.action(image) == "block"
    with herd(agent, image) as process, ThreadPoolExecutor(1) as pool:
        answers = pool.submit(answers_of, process)
        waits = []
        while not answers.done():
            started = time.monotonic()
            assert agent.action(image, uid=1001) == "block"
            waits.append(time.monotonic() - started)
            time.sleep(0.02)
    assert answers.result() == {"block": LAUNCHES}
    records = Counter(record.uid for record in agent.records())
    assert records[NOBODY] == LAUNCHES
    assert len(waits) > 3
    assert sorted(waits)[len(waits) // 2] < SILENCE
    eventually(lambda: agent.agent.listener.open == 0)


@pytest.fixture
def nodes(server: FakeServer) -> Iterator[list[RunningAgent]]:
    """Four nodes of one job."""
    running: list[RunningAgent] = []
    with tempfile.TemporaryDirectory(prefix="sg-") as place:
        for number in range(4):
            root = Path(place, f"n{number}")
            root.mkdir(mode=0o755)
            write_policy(root)
            running.append(RunningAgent(root, server.settings))
        yield running
        for agent in running:
            agent.stop()


def prolog(agent: RunningAgent, image: Path, job: int = 7) -> str:
    """Return what a node's prolog is told."""
    facts = {"door": "prolog", "uid": "1000", "job": str(job), "path": str(image)}
    return agent.client.ask([(key, word.encode()) for key, word in facts.items()], verb="prescan").text(
        "action"
    )


def test_prologs_of_one_job_make_one_scan(nodes: list[RunningAgent], server: FakeServer, root: Path) -> None:
    """The first node uploads; each other asks the server once, for all prologs and steps that follow."""
    image = settled_file(root / "x.sif", b"x")
    server.scan_seconds = 2.0
    assert prolog(nodes[0], image) == "log"
    eventually(lambda: len(server.layers) == 1)
    for agent in nodes[1:]:
        for job in (7, 8, 9):
            assert prolog(agent, image, job) == "log"
    answers = {agent.action(image, door="spank", job="7", step="0", deadline_ms="8000") for agent in nodes}
    assert answers == {"allow"}
    assert [agent.agent.remote.calls for agent in nodes[1:]] == [1, 1, 1]
    assert server.calls.count("PUT /v1/layers") == 1
    assert [agent.worker.runs for agent in nodes] == [1, 1, 1, 1]
