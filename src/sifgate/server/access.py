# SPDX-License-Identifier: Apache-2.0
"""Who may do what: bearer tokens, kept as hashes, each with one role."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path

import msgspec
from starlette.requests import Request

from sifgate.errors import ConfigError
from sifgate.server.refusal import Refused

_HASH = re.compile(r"[0-9a-f]{64}")
_WORDS = 3
_LONGEST = 512


class Role(str, Enum):
    """What a token is for."""

    NODE = "node"
    """An agent: uploads layers, reads verdicts, keeps steps, ships records."""
    VIEWER = "viewer"
    """Reads verdicts, records and status."""
    ADMIN = "admin"
    """Everything."""


class Holder(msgspec.Struct, frozen=True):
    """One line of the tokens file."""

    name: str
    role: Role
    token_hash: bytes


def read_tokens(path: Path) -> tuple[Holder, ...]:
    """Return the holders in a file of lines `name role sha256-of-token`; raises ConfigError naming file and line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    holders = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != _WORDS or words[1] not in set(Role) or not _HASH.fullmatch(words[2]):
            raise ConfigError(
                f"{path}:{number}: is not `name role sha256-of-token`", hint="roles: node, viewer, admin"
            )
        holders.append(Holder(name=words[0], role=Role(words[1]), token_hash=bytes.fromhex(words[2])))
    if not holders:
        raise ConfigError(f"{path}: names no token", hint="nobody could use this server")
    return tuple(holders)


class Access:
    """Checks the token of each request."""

    def __init__(self, holders: tuple[Holder, ...]) -> None:
        self._holders = holders

    def needs(self, *roles: Role) -> Callable[[Request], Awaitable[None]]:
        """Return a check that passes for these roles and `admin`; 401 without a known token, 403 with another role.

        Who asked is `request.state.holder` from then on.
        """
        allowed = {*roles, Role.ADMIN}

        async def check(request: Request) -> None:  # a plain function would be sent to a thread
            holder = self._holder(request.headers.get("Authorization", ""))
            if holder is None:
                raise Refused(401, "unauthorized", "no token, or one that is not known here")
            if holder.role not in allowed:
                raise Refused(403, "forbidden", f"a token of role {holder.role.value} may not do this")
            request.state.holder = holder

        return check

    def _holder(self, header: str) -> Holder | None:
        """Return who sent the token; every hash is compared, so that time tells nothing."""
        scheme, _, token = header.partition(" ")
        given = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        found = None
        for holder in self._holders:
            if hmac.compare_digest(given, holder.token_hash):
                found = holder
        return found if scheme.lower() == "bearer" and 0 < len(token) <= _LONGEST else None
