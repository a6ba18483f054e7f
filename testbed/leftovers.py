# SPDX-License-Identifier: Apache-2.0
"""Pytest plugin: a session gets a temporary directory of its own and must leave no process, mount or file behind.

Processes carry a mark in their environment, so one that left the process tree is found too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from testbed.cache import cache_root

MARK = "SIFGATE_TEST_SESSION"
GRACE = 10.0
"""Seconds that ending processes are waited for."""
PREFIX = "sifgate-test-"
FAILED_KEPT = 2
"""Directories of earlier, failed or killed, sessions that are kept to be looked at."""
KEPT = "pytest-of-"
"""Start of the names of pytest's own directories."""

session_key: pytest.StashKey[Session] = pytest.StashKey()


class Session:
    """The mark and the temporary directory of one test session."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.old_directory = tempfile.gettempdir()
        self.directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        if os.geteuid() == 0:
            self.directory.chmod(0o1777)  # as /tmp: tests start processes of other users
        os.environ[MARK] = self.mark
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.directory)

    def processes(self) -> list[str]:
        """Return the processes that carry the mark, beside this one and its parents."""
        mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
        return [
            f"process {process.pid}: {' '.join(process.info['cmdline'] or [])[:200]}"
            for process in psutil.process_iter(["cmdline", "status"])
            if process.pid not in mine
            and process.info["status"] != psutil.STATUS_ZOMBIE
            and self._is_marked(process)
        ]

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self.mark
        except (psutil.Error, OSError):
            return False

    def mounts(self) -> list[str]:
        """Return what is mounted below the session's directory or the cache."""
        places = (f"{self.directory}/", f"{cache_root()}/")
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
        return [f"mount {line.split()[4]}" for line in lines if line.split()[4].startswith(places)]

    def files(self) -> list[str]:
        """Return what lies in the session's directory beside pytest's own."""
        return [f"file {path}" for path in self.directory.iterdir() if not path.name.startswith(KEPT)]

    def close(self, *, remove: bool) -> None:
        """Give the environment back; remove the directory unless a failed test may want to be looked at."""
        os.environ.pop(MARK, None)
        os.environ.pop("TMPDIR", None)
        tempfile.tempdir = None
        if remove and not self.mounts():
            shutil.rmtree(self.directory, ignore_errors=True)
        for path in abandoned(self.directory.parent)[FAILED_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)


def abandoned(directory: Path) -> list[Path]:
    """Return what this user's ended sessions left in a directory, newest first; what is mounted in stays out of it."""
    mounts = Path("/proc/self/mountinfo").read_text(errors="replace")
    found = []
    for path in directory.glob(f"{PREFIX}*-*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        with contextlib.suppress(FileNotFoundError):  # another session removes it at this moment
            status = path.stat()
            ended = pid.isdecimal() and not psutil.pid_exists(int(pid))
            if ended and status.st_uid == os.geteuid() and f" {path}/" not in mounts:
                found.append((status.st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin the session before pytest picks its temporary directory."""
    config.stash[session_key] = Session()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the session; after a failure its files stay, and their place is said."""
    session = config.stash[session_key]
    failed = getattr(config, "sifgate_failed", False)
    session.close(remove=not failed)
    if failed:
        print(f"files of the failed tests: {session.directory}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember whether something failed."""
    session.config.sifgate_failed = exitstatus == pytest.ExitCode.TESTS_FAILED  # type: ignore[attr-defined]


@pytest.fixture(scope="session", autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the session (as an error of its last test) if it leaves something behind."""
    session = request.config.stash[session_key]
    mounted = set(session.mounts())
    yield
    left = leftovers(session, mounted)
    if left:
        pytest.fail("left behind by the tests:\n  " + "\n  ".join(left))


def leftovers(session: Session, mounted: set[str]) -> list[str]:
    """Return what the session has left behind; processes get some seconds to end."""
    end = time.monotonic() + GRACE
    while session.processes() and time.monotonic() < end:
        time.sleep(0.1)
    return [*session.processes(), *sorted(set(session.mounts()) - mounted), *session.files()]
