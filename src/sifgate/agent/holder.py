# SPDX-License-Identifier: Apache-2.0
"""The policy in force: the last good one of its files, and what the agent must know beside it.

Whoever can write one of the files decides what runs on the node. So the policy, VEX documents and the key ring must
be root's alone; exceptions may be written by the one user or group that the root-owned policy names.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import syslog
from pathlib import Path

from sifgate import fsguard
from sifgate.agent.lastgood import Found, LastGood
from sifgate.errors import ConfigError, PolicyError
from sifgate.policy.document import Policy
from sifgate.policy.fallback import fallback_policy
from sifgate.policy.load import load_with_sources, policy_files
from sifgate.policy.settings import Writers
from sifgate.policy.sources import PolicySources, Role

IMAGE = "image."
"""Beginning of the launch fields that are facts of the image file."""


class KeyRing:
    """The site's public keys, as bytes; empty: there are none."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.digest = hashlib.sha256(data).hexdigest() if data else ""


class PolicyHolder:
    """The last good policy of a file; a bad reload keeps it and says so."""

    def __init__(self, path: Path, posture: Path, last: LastGood | None = None) -> None:
        self._path = path
        self._posture = posture
        self._last = last
        self.policy: Policy = fallback_policy()
        self.sources = PolicySources(())
        """The files of the policy in force, as they were read."""
        self.ring = KeyRing()
        self.image_fields: frozenset[str] = frozenset()
        """Facts of an image file that the policy reads: `owner`, `created`, `digest`, `signers`."""
        self.problem = "no policy has been loaded yet"
        """Why the files as they are cannot be used; empty: they are in force."""
        self.loaded_once = False
        self.posture_problem = ""

    def reload(self) -> str:
        """Read the files anew; return the problem, empty if they are in force now."""
        try:
            policy, sources = self._checked()
            ring = _ring(self._path, policy.signatures.keyring)
        except (PolicyError, ConfigError) as error:
            self.problem = str(error)
            syslog.syslog(
                syslog.LOG_ALERT | syslog.LOG_DAEMON, f"sifgate: policy_invalid: {first_line(error)}"
            )
            if not self.loaded_once and self._last is not None:
                self._take_over(self._last.find())
            return self.problem
        self._adopt(policy, sources, ring)
        self.problem = ""
        if self._last is not None:
            self._last.keep(policy, sources, ring.data)
        return ""

    def _take_over(self, found: Found | None) -> None:
        """Go on with what was in force before this start."""
        if found is not None:
            self._adopt(found.policy, found.sources, KeyRing(found.ring))

    def _adopt(self, policy: Policy, sources: PolicySources, ring: KeyRing) -> None:
        self.ring = ring
        self.image_fields = frozenset(
            name.removeprefix(IMAGE) for name in policy.launch_fields if name.startswith(IMAGE)
        )
        self.policy, self.sources, self.loaded_once = policy, sources, True
        self._write_posture()

    def _checked(self) -> tuple[Policy, PolicySources]:
        """Return the policy of files that only those could have written who may; raises PolicyError, ConfigError."""
        for file in policy_files(self._path):
            fsguard.check(file, owner_uid=os.geteuid())
        sources, policy = load_with_sources(self._path)
        own = os.geteuid()
        if sources.exception_directory:
            uid, gid = ids_of(sources.writable_by)
            files = [Path(file.path) for file in sources.of(Role.EXCEPTION)]
            fsguard.check_shared(Path(sources.exception_directory), files, owner_uid=own, uid=uid, gid=gid)
        if sources.vex_directory:
            for place in (sources.vex_directory, *(file.path for file in sources.of(Role.VEX))):
                fsguard.check(Path(place), owner_uid=own)
        return policy, sources

    def _write_posture(self) -> None:
        """Put the posture file in place whole or not at all; shims read it when no agent answers."""
        content = self.policy.posture().encode()
        temporary = self._posture.with_name(f".{self._posture.name}.{os.getpid()}")
        try:
            if self._posture.exists() and self._posture.read_bytes() == content:
                self.posture_problem = ""
                return
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o644)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(self._posture)
            self.posture_problem = ""
        except OSError as error:
            temporary.unlink(missing_ok=True)
            self.posture_problem = f"{self._posture}: {error.strerror or error}"
            text = f"sifgate: posture not written: {self.posture_problem}"
            syslog.syslog(syslog.LOG_WARNING | syslog.LOG_DAEMON, text)


def beside(policy: Path, name: str) -> Path:
    """Return a path of the policy: absolute, or from the directory of the policy file."""
    return policy.parent / name


def ids_of(writers: Writers) -> tuple[int, int]:
    """Return uid and gid of who may write exceptions, -1 for nobody; raises PolicyError for a name that is none."""
    try:
        uid = pwd.getpwnam(writers.user).pw_uid if writers.user else -1
        gid = grp.getgrnam(writers.group).gr_gid if writers.group else -1
    except KeyError as error:
        raise PolicyError(
            f"exceptions.writable_by: {error.args[0]}", hint="create it, or correct the name"
        ) from error
    return uid, gid


def _ring(policy: Path, name: str) -> KeyRing:
    """Return the key ring of the site; raises ConfigError where others can write it, PolicyError where it is none."""
    if not name:
        return KeyRing()
    from sifgate.image.signature import RING_LIMIT, usable_keys

    path = beside(policy, name)
    fsguard.check(path, owner_uid=os.geteuid())
    try:
        with path.open("rb") as file:
            data = file.read(RING_LIMIT + 1)
        usable_keys(data)
    except OSError as error:
        raise PolicyError(f"signatures.keyring: {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise PolicyError(f"signatures.keyring: {path}: {error}", hint="gpg --export KEY… > FILE") from error
    except ImportError as error:
        raise PolicyError(
            f"signatures.keyring: {error}", hint="install the Python package pysequoia"
        ) from error
    return KeyRing(data)


def first_line(error: object) -> str:
    """Return the first line of an error's text."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
