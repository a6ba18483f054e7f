# SPDX-License-Identifier: Apache-2.0
"""sifgate-ask when nobody answers, or not as agreed: the site's posture, at every door that it serves."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.fakes.asking import NOBODY, Asking

pytestmark = pytest.mark.native
FAULTS: dict[str, list[Step]] = {
    "garbage": [("send", b"\xff\0 garbage")],
    "another protocol": [("send", b"sifgate/9 decision\naction:5=allow\n")],
    "no action": [("send", b"sifgate/1 decision\n")],
    "unknown action": [("decide", "perhaps", {})],
    "gone": [("close",)],
    "too large": [("send", b"sifgate/1 decision\nnotice:65000=" + b"x" * 65_000 + b"\n" + b"y" * 20_000)],
    "descriptors": [("flood", 3), ("close",)],
}
MODES = {
    "oci": ((), 1),
    "enroot": ((), 1),
    "run": (("--rootfs", "/", "--", "true"), 1),
    "submit": (("--", "apptainer", "exec", "x.sif"), 3),
}


@pytest.fixture
def stranger(asking: Asking) -> Iterator[Path]:
    """Return a socket on which a process of another user answers `allow`."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(asking.socket))
    asking.socket.chmod(0o666)
    child = os.fork()
    if child == 0:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        listener.listen(8)  # the kernel shows who listens
        while True:
            connection, _ = listener.accept()
            connection.send(b"sifgate/1 decision\naction:5=allow\n")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
            if probe.connect_ex(str(asking.socket)) == 0:
                break
    yield asking.socket
    os.kill(child, 9)
    os.waitpid(child, 0)
    listener.close()


@pytest.mark.parametrize("mode", MODES)
def test_without_an_agent_the_posture_decides(asking: Asking, mode: str) -> None:
    """`allow` lets it run without a word, `warn` says so, `block` refuses with the site's contact."""
    words, refused = MODES[mode]
    done = asking.run(mode, *words)
    assert (done.returncode, done.stderr) == (0, b"")
    asking.state("warn")
    done = asking.run(mode, *words)
    assert done.returncode == 0
    assert done.stderr.startswith(b"sifgate: ")
    asking.state("block")
    done = asking.run(mode, *words)
    assert done.returncode == refused
    if mode != "submit":
        assert b"launch refused: nobody on this node could judge the image" in done.stderr
        assert b"help@site.example" in done.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_an_agent_that_answers_wrongly_is_no_agent(asking: Asking, fault: str) -> None:
    """No answer but a whole decision counts: the posture does."""
    asking.state("block")
    with ScriptedAgent(asking.socket, FAULTS[fault]):
        assert asking.run("oci", stdin=b"{}").returncode == 1
        asking.state("allow")
        assert asking.run("oci", stdin=b"{}").returncode == 0


def test_an_agent_that_hangs_is_left(asking: Asking) -> None:
    """Two seconds without a sign of life."""
    asking.state("block")
    with ScriptedAgent(asking.socket, [("sleep", 30)]):
        started = time.monotonic()
        assert asking.run("oci", stdin=b"{}").returncode == 1
        assert time.monotonic() - started < 4


def test_a_socket_of_another_user_is_not_believed(asking: Asking, stranger: Path) -> None:
    """Who listens must be root: a user who got hold of the path does not answer for it."""
    asking.state("block")
    done = asking.run("oci", stdin=b"{}")
    assert done.returncode == 1
    assert b"not permitted" in done.stderr


@pytest.mark.parametrize("fault", ["missing", "writable", "foreign", "garbage", "fifo"])
def test_an_unsafe_posture_allows(asking: Asking, fault: str) -> None:
    """What others could have written refuses nobody."""
    asking.state("block")
    if fault == "missing":
        asking.posture.unlink()
    elif fault == "writable":
        asking.posture.chmod(0o666)
    elif fault == "foreign":
        os.chown(asking.posture, NOBODY, NOBODY)
    elif fault == "garbage":
        asking.posture.write_text("block everything\n")
    else:
        asking.posture.unlink()
        os.mkfifo(asking.posture)
    assert asking.run("oci", stdin=b"{}").returncode == 0


def test_in_a_users_namespace_the_nodes_agent_is_known(asking: Asking) -> None:
    """Podman and Enroot run hooks where root of the node has no name; the user's own root is not mistaken for it."""
    asking.state("block")
    namespace = ["unshare", "--user", "--map-root-user"]
    with ScriptedAgent(asking.socket, [("decide", "allow", {})]) as agent:
        done = asking.run("oci", stdin=b"{}", uid=NOBODY, before=namespace, env={"SLURM_JOB_ID": "77"})
    assert (done.returncode, agent.asked[0].first("job")) == (0, b"77")


def test_many_hooks_at_once(asking: Asking) -> None:
    """A few at a time, again and again: each gets its own answer."""
    results: list[tuple[int, bytes]] = []

    def ask() -> None:
        for _ in range(25):
            done = asking.run("oci", stdin=b"{}")
            results.append((done.returncode, done.stderr))

    with ScriptedAgent(asking.socket, [("decide", "block", {})]):
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 100
    assert [result for result in results if result[0] != 1] == []
