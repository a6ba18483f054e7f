# SPDX-License-Identifier: Apache-2.0
"""Starting a part as its own uid, and what is asked of ports and logs around that."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sifgate.engine.parts import MARK, Engine, Part
from sifgate.errors import EngineError


def spawn(what: Part, engine: Engine) -> subprocess.Popen[bytes]:
    """Start a part's process, its output appended to its log; raises `EngineError`."""
    log = engine.layout.log(what.name)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    command, identity = what.account.start(what.command)
    try:
        with _limited(what.data_limit):
            return subprocess.Popen(
                command, cwd="/", env={**what.environment, MARK: str(engine.layout.places.run)},
                stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, start_new_session=True,
                **identity,
            )  # fmt: skip
    except OSError as error:
        raise EngineError(
            f"{what.command[0]}: {error.strerror} (as {what.account.name})",
            hint="is it, with every directory above it, readable for that user?",
        ) from error
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _limited(data_bytes: int) -> Iterator[None]:
    """Let a child inherit a limit of private memory: setting it afterwards needs CAP_SYS_RESOURCE for a foreign uid."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if data_bytes:
        wanted = data_bytes if hard == resource.RLIM_INFINITY else min(data_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def free_port() -> int:
    """Return a loopback port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a part could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def last_words(log: Path, count: int = 400) -> str:
    """Return the last line of a part's log, at most `count` bytes of it."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - count))
            lines = stream.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip() if lines else ""
