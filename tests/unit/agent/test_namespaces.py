# SPDX-License-Identifier: Apache-2.0
"""Descriptors from the mount namespaces of jobs: remembered by file system, whichever mount they came by."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.agent import RunningAgent, digest_of, settled_file
from tests.fakes.server import FakeServer, bad_verdict, clean_verdict

from sifgate.agent.identity import identify
from sifgate.agent.memo import Memo, Reading
from sifgate.agent.mounts import MAGIC, Mounts, Trait

pytestmark = pytest.mark.root
SOURCE = Path(__file__).parents[3] / "src"
HAND_OVER = """
import os, socket, sys
link = socket.socket(fileno=int(sys.argv[1]))
socket.send_fds(link, [b"x"], [os.open(sys.argv[2], os.O_RDONLY)])
"""
CHECK = """
import os, sys
sys.path.insert(0, sys.argv[1])
from sifgate.client import Client
print(Client(sys.argv[2]).ask([("path", sys.argv[3].encode())]).text("action"))
"""


def from_namespace(path: str, *unshare: str, prepare: str = "true") -> int:
    """Return a descriptor of a file as a process in other namespaces opened it, after the shell line `prepare`."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        script = f'{prepare} && exec "$@"'
        opener = [sys.executable, "-c", HAND_OVER, str(there.fileno()), path]
        command = ["unshare", *unshare, "sh", "-c", script, "sh", *opener]
        done = subprocess.run(
            command, pass_fds=[there.fileno()], capture_output=True, check=False, timeout=60
        )
        if done.returncode != 0 and b"Operation not permitted" in done.stderr:
            pytest.skip(f"no such namespaces here: {done.stderr.decode()}")
        assert done.returncode == 0, done.stderr
        (descriptor,) = socket.recv_fds(here, 1, 1)[1]
    return descriptor


def judged(descriptor: int) -> Trait:
    """Return what the agent would hold of the descriptor's file system."""
    try:
        return Mounts(tuple(MAGIC), ()).judge(descriptor, identify(descriptor))
    finally:
        os.close(descriptor)


WAYS: dict[str, Callable[[Path], tuple[str, str]]] = {
    "clone": lambda image: (str(image), "true"),
    "bind": lambda image: ("/mnt/x.sif", f"mount --bind {image.parent} /mnt"),
    "read-only bind": lambda image: (
        "/mnt/x.sif",
        f"mount --bind {image.parent} /mnt && mount -o remount,bind,ro /mnt",
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flags", [["-m"], ["-U", "-r", "-m"]], ids=["root's", "a user's"])
def test_a_clone_of_a_mount_is_the_same_file(tmp_path: Path, way: str, flags: list[str]) -> None:
    """Another mount id, one file system: one key, in each job anew; so too in a user's own namespaces."""
    image = settled_file(tmp_path / "x.sif", b"x")
    path, prepare = WAYS[way](image)
    mounts = Mounts(tuple(MAGIC), ())
    memo = Memo(mounts, 1, 0.0)
    with image.open("rb") as own:
        reading = Reading(own.fileno(), mounts)
        reading.close()
        memo.keep(reading, "content", 60.0)
        foreign = from_namespace(path, *flags, prepare=prepare)
        try:
            assert identify(foreign).mount != identify(own.fileno()).mount
            assert memo.recall(foreign) is None  # nobody has judged this mount yet
            mounts.judge(foreign, identify(foreign))
            assert memo.recall(foreign) == "content"
        finally:
            os.close(foreign)


@pytest.mark.parametrize("flags", [["-m"], ["-U", "-r", "-m"]], ids=["root's", "a user's"])
def test_a_file_system_of_a_foreign_namespace_is_not_believed(flags: list[str]) -> None:
    """What was mounted where the agent cannot see it belongs to whoever mounted it."""
    prepare = "mount -t tmpfs mine /mnt && echo x > /mnt/x.sif"
    trait = judged(from_namespace("/mnt/x.sif", *flags, prepare=prepare))
    assert (trait.believed, trait.why_not) == (False, "not mounted in the agent's own namespace")


def test_an_overlay_of_a_user_is_not_believed(tmp_path: Path) -> None:
    """Its layers are on a believed file system, the file that it shows is not that one's."""
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    settled_file(tmp_path / "lower/x.sif", b"x")
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    prepare = f"mount -t overlay mine /mnt -o {options}"
    assert not judged(from_namespace("/mnt/x.sif", "-U", "-r", "-m", prepare=prepare)).believed


def test_an_image_is_read_once_for_all_namespaces(
    agent: RunningAgent, server: FakeServer, tmp_path: Path
) -> None:
    """Launches from three namespaces: one reading; a file bound over the path in one of them is another one."""
    server.know(clean_verdict(digest_of(b"good")))
    server.know(bad_verdict(digest_of(b"evil")))
    image, other = settled_file(tmp_path / "x.sif", b"good"), settled_file(tmp_path / "y.sif", b"evil")

    def launch(prepare: str) -> str:
        ask = [sys.executable, "-I", "-c", CHECK, str(SOURCE), str(agent.agent.socket_path), str(image)]
        command = ["unshare", "-m", "sh", "-c", f'{prepare} && exec "$@"', "sh", *ask]
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout.strip()

    assert [launch("true") for _ in range(3)] == ["allow"] * 3
    assert agent.worker.runs == 1
    assert launch(f"mount --bind {other} {image}") == "block"
    assert launch("true") == "allow"
    assert agent.worker.runs == 2
