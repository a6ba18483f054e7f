# SPDX-License-Identifier: Apache-2.0
"""Puts a policy in force: validated where it will lie, replaced in one step; the posture file beside it.

The old policy stays in force until the new one has been read back from the directory where the agent will
find it, drop-ins of `policy.d` included. A crash at any moment leaves one whole policy.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sifgate import fsguard
from sifgate.config import Places
from sifgate.errors import ConfigError, PolicyError
from sifgate.policy.document import Policy
from sifgate.policy.load import draft_policy, load_policy

_READABLE = 0o644
"""The policy is no secret: users may read by what they are judged, and `policy validate` needs no root."""


def install(source: Path, places: Places) -> Policy:
    """Return the policy that is in force from now on; after PolicyError or ConfigError nothing changed."""
    if not source.is_file():
        raise ConfigError(f"{source}: no such policy file")
    draft_policy(source)  # the plain error first, with the name that the administrator typed
    try:
        places.etc.mkdir(parents=True, exist_ok=True, mode=0o755)
        fsguard.check(places.etc, owner_uid=os.geteuid())
        return _replace(source, places.etc)
    except OSError as error:
        hint = (
            "only root may install a policy of the whole node" if isinstance(error, PermissionError) else ""
        )
        raise ConfigError(f"{error.filename or places.etc}: {error.strerror}", hint=hint) from error


def _replace(source: Path, directory: Path) -> Policy:
    """Write the policy beside the one in force, read it back, rename it over; then the posture file."""
    temporary = _write(directory, source.read_bytes())
    try:
        policy = load_policy(temporary)
        temporary.replace(directory / "policy.yaml")
    except PolicyError as error:
        raise PolicyError(str(error).replace(str(temporary), str(source)), hint=error.hint) from error
    finally:
        temporary.unlink(missing_ok=True)
    _write(directory, policy.posture().encode()).replace(directory / "posture")
    _sync(directory)
    return policy


def _write(directory: Path, content: bytes) -> Path:
    """Return a new durable file in `directory` with `content`, readable by all, under a name of its own."""
    descriptor, name = tempfile.mkstemp(prefix=".new-", suffix=".yaml", dir=directory)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), _READABLE)
        os.fsync(file.fileno())
    return Path(name)


def _sync(directory: Path) -> None:
    """Make renames in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
