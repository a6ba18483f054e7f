# SPDX-License-Identifier: Apache-2.0
"""The last good policy on disk, so that a start with files that cannot be used does not disarm the node.

Without it, whoever may write exceptions could end all refusals by a file that cannot be read and the next restart.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from sifgate import fsguard
from sifgate.errors import ConfigError, PolicyError
from sifgate.policy.document import Policy
from sifgate.policy.load import policy_of
from sifgate.policy.sources import PolicySources


class Kept(msgspec.Struct, frozen=True):
    """What was in force."""

    digest: str
    sources: PolicySources
    ring: bytes = b""


class Found(NamedTuple):
    """What is in force again."""

    policy: Policy
    sources: PolicySources
    ring: bytes


class LastGood:
    """One file that only the agent's uid can write or read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = ""

    def keep(self, policy: Policy, sources: PolicySources, ring: bytes) -> None:
        """Write down what is in force; a disk that says no costs only the next start its memory."""
        key = f"{policy.digest} {hash(ring)}"
        if key == self._digest:
            return
        temporary = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(Kept(policy.digest, sources, ring)))
                file.flush()
                os.fsync(descriptor)
            temporary.replace(self._path)
            self._digest = key
        except OSError:
            temporary.unlink(missing_ok=True)

    def find(self) -> Found | None:
        """Return what was in force last; None where nothing was kept, or it is not what it was."""
        try:
            if not self._path.exists():
                return None
            fsguard.check(self._path, owner_uid=os.geteuid())
            kept = msgspec.json.decode(self._path.read_bytes(), type=Kept)
            policy = policy_of(kept.sources)
        except (OSError, ConfigError, PolicyError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return Found(policy, kept.sources, kept.ring) if policy.digest == kept.digest else None
