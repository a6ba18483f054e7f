# SPDX-License-Identifier: Apache-2.0
"""Break-glass grants: who is not refused, and until when; kept in a file that only the agent's uid can read or write.

A grant ends by the clock alone; a restart keeps those that still hold. What cannot be read back is no grant.
"""

from __future__ import annotations

import os
import threading
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from sifgate import fsguard
from sifgate.errors import ConfigError, UnsafeFile
from sifgate.model.launch import Grant

LIMIT = 1000
"""Grants that may be in force at a time."""
PER_USER = 8
"""Of these, one user's: nobody takes the room that root may need for somebody else."""


class Grants:
    """The grants of this node; changed from threads, read from the loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.problem = ""
        """Why the grants of before could not be taken over; empty: they were."""
        self._held: tuple[Grant, ...] = self._read()

    def __len__(self) -> int:
        return len(self._held)

    def of(self, uid: int, at: float) -> Grant | None:
        """Return the grant in force for a user at `at` (seconds since 1970), the one that lasts longest."""
        if not self._held:
            return None
        mine = [grant for grant in self._held if grant.uid == uid and is_in_force(grant, at)]
        return max(mine, key=lambda grant: grant.ends, default=None)

    def in_force(self, at: float) -> tuple[Grant, ...]:
        """Return all grants in force."""
        return tuple(grant for grant in self._held if is_in_force(grant, at))

    def add(self, grant: Grant, at: float) -> None:
        """Keep one more, durably; raises ConfigError where it cannot be kept, or there are too many."""
        with self._lock:
            held = self.in_force(at)
            mine = sum(each.uid == grant.uid for each in held)
            if len(held) >= LIMIT or mine >= PER_USER:
                text = f"{len(held)} grants are in force already, {mine} of them for uid {grant.uid}"
                raise ConfigError(text, hint="end some: sifgate break-glass list, sifgate break-glass end ID")
            self._write((*held, grant))

    def end(self, identifier: str, at: float) -> None:
        """Drop one, durably, and those that are over; raises ConfigError where the file cannot be written."""
        with self._lock:
            self._write(tuple(grant for grant in self.in_force(at) if grant.id != identifier))

    def _read(self) -> tuple[Grant, ...]:
        try:
            if not self._path.exists():
                return ()
            fsguard.check(self._path, owner_uid=os.geteuid())
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[Grant, ...])
        except (OSError, UnsafeFile, msgspec.DecodeError, UnicodeDecodeError) as error:
            self.problem = f"{self._path}: {error}"
            return ()

    def _write(self, grants: tuple[Grant, ...]) -> None:
        temporary = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(grants))
                file.flush()
                os.fsync(descriptor)
            temporary.replace(self._path)
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror or error}") from error
        self._held = grants
        self.problem = ""


def is_in_force(grant: Grant, at: float) -> bool:
    """Return whether a grant holds at `at` (seconds since 1970); one whose times cannot be read never does."""
    try:
        return _seconds(grant.begins) <= at < _seconds(grant.ends)
    except ValueError:
        return False


def time_text(at: float) -> str:
    """Return a moment (seconds since 1970) as grants keep it: ISO, UTC, whole seconds."""
    return datetime.fromtimestamp(int(at), timezone.utc).isoformat().replace("+00:00", "Z")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
