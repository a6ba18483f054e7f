# SPDX-License-Identifier: Apache-2.0
"""What the supervisor says about itself in `<run>/engine.json`, read by `up`, `down` and `status`.

Imports nothing of the extra [engine]: `status` works on a node that has none.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import psutil


class Process(msgspec.Struct, frozen=True):
    """A process, told from a later one with the same pid by its start."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return the identity of a live process (raises `psutil.NoSuchProcess`)."""
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """Return the process if it is still there and not a zombie."""
        try:
            found = psutil.Process(self.pid)
            same = (
                abs(found.create_time() - self.created) < 1.0
            )  # the clock's ticks, and rounding in the file
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class Loaded(msgspec.Struct, frozen=True):
    """The advisories of one updater."""

    updater: str
    kind: str
    count: int
    loaded: datetime
    """When Clair took them in."""
    as_of: datetime
    """How old the data are, as far as it is known: the date of the shipped files or of the bundle, else `loaded`."""


class PartReport(msgspec.Struct, frozen=True):
    """One part."""

    state: str
    """`starting`, `up`, `down` (to be restarted), `failed` (given up), `yours` (the site runs it), `left out`."""
    process: Process | None = None
    restarts: int = 0
    version: str = ""
    address: str = ""
    detail: str = ""


class Report(msgspec.Struct, frozen=True):
    """The whole engine."""

    supervisor: Process
    phase: str
    """`starting`, `loading` (advisories), `up`, `stopping`, `failed`."""
    message: str
    since: datetime
    enforcing: bool
    """False when run as a user: nothing stops him from ending it."""
    parts: dict[str, PartReport]
    advisories: tuple[Loaded, ...] = ()
    clair_url: str = ""
    hint: str = ""
    """What to do about a `message` of failure."""


def read(file: Path) -> Report | None:
    """Return the last report, None where there is none or only a part of one."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError):
        return None


def alive(file: Path) -> Report | None:
    """Return the report of a supervisor that lives, else None."""
    found = read(file)
    return found if found and found.supervisor.find() else None
