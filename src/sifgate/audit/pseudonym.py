# SPDX-License-Identifier: Apache-2.0
"""Personal data under pseudonyms: HMAC-SHA-256 with a key of the site, equal on all nodes, read back only with the key.

The node's own log stays in clear, since `explain` and a replay need it; exports and what goes to the server can be
disguised. A pseudonym also takes the place of the name inside paths and messages of the same record.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from sifgate import fsguard
from sifgate.audit.record import AuditRecord, decode, encode
from sifgate.errors import ConfigError

LEAST_KEY = 32
"""Bytes of the shortest key."""
MOST_KEY = 4096
HEX = 20
"""Hexadecimal digits of a pseudonym: 80 bits, so that a billion names do not meet by chance."""
_NUMBERS = 1 << 32
"""Pseudonyms of numbers lie above all real ones."""

READS = {
    "user": ("requester.user", "image.owner", "requester.uid"),
    "uid": ("requester.uid",),
    "gid": ("requester.gid",),
    "groups": ("requester.groups",),
    "account": ("job.account",),
    "image": (),
    "path": ("reference.path",),
    "name": (),
    "cwd": (),
    "argv": (),
    "content_injected": (),
    "user_reason": (),
    "claimed": (),
}
"""The launch fields that a policy could not read any more, by pseudonymised field (`config.PSEUDONYMS`)."""
_SHORTEST = 3
"""Characters of the shortest name that is looked for inside other texts."""


def touched(fields: Collection[str], reads: frozenset[str]) -> set[str]:
    """Return those of the launch fields `reads` that are pseudonymised with `fields`."""
    return {name for field in fields for name in READS.get(field, ()) if name in reads}


def read_key(path: Path) -> bytes:
    """Return the site's key; raises ConfigError where others can read or write it, or it is too short."""
    fsguard.check(path, owner_uid=os.geteuid())
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path}: others can read the key of pseudonyms", hint=f"chmod 0600 {path}")
        with path.open("rb") as file:
            key = file.read(MOST_KEY + 1).strip()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="head -c 48 /dev/urandom | base64") from error
    if not LEAST_KEY <= len(key) <= MOST_KEY:
        hint = f"head -c 48 /dev/urandom | base64 > {path}"
        raise ConfigError(f"{path}: a key has {LEAST_KEY} to {MOST_KEY} bytes", hint=hint)
    return key


class Disguise:
    """Lines of the log as they may leave the node; the key is read when it is needed, and again until it is good."""

    def __init__(self, fields: tuple[str, ...], key_file: Path) -> None:
        self._fields = fields
        self._key_file = key_file
        self._pseudonyms: Pseudonyms | None = None

    def __call__(self, line: bytes) -> bytes:
        """Return the line pseudonymised, empty for one that is no record; raises ConfigError without a good key."""
        if not self._fields:
            return line
        if self._pseudonyms is None:
            self._pseudonyms = Pseudonyms(read_key(self._key_file), self._fields)
        try:
            return encode(self._pseudonyms.disguise(decode(line)))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return b""


class Pseudonyms:
    """The pseudonyms of one key."""

    def __init__(self, key: bytes, fields: Iterable[str]) -> None:
        self._key = key
        self._fields = frozenset(fields)

    def of(self, text: str) -> str:
        """Return the pseudonym of a name, path or word; empty for an empty one."""
        return f"p:{self._digest(text)[:HEX]}" if text else ""

    def of_number(self, number: int) -> int:
        """Return the pseudonym of a user or group id, above all real ones; -1 stays."""
        return number if number < 0 else _NUMBERS + int(self._digest(f"#{number}")[:12], 16)

    def disguise(self, record: AuditRecord) -> AuditRecord:
        """Return the record with its fields pseudonymised; a second time changes nothing."""
        if record.pseudonymised or not self._fields:
            return record
        given = {name: getattr(record, name) for name in self._fields}
        changes: dict[str, object] = {name: self._value(name, value) for name, value in given.items()}
        changes["pseudonymised"] = tuple(sorted(self._fields))
        changes["raw"] = {}
        if "argv" in self._fields:
            changes["argv_sha256"] = self.of(record.argv_sha256)
        names = self._names(record)
        if names:
            for field in _TEXTS - self._fields:
                changes[field] = _replaced(getattr(record, field), names)
            changes["reasons"] = tuple(
                msgspec.structs.replace(reason, message=_replaced(reason.message, names))
                for reason in record.reasons
            )
        if "user" in self._fields:
            changes |= self._persons(record)
        return msgspec.structs.replace(record, **changes)

    def _value(self, name: str, value: object) -> object:
        if isinstance(value, int):
            return self.of_number(value)
        if isinstance(value, str):
            return self.of(value)
        if isinstance(value, tuple):
            return tuple(self.of(word) for word in value)
        assert isinstance(value, dict), name  # noqa: S101 - no other kind among the fields
        return {key: self.of(word) for key, word in value.items()}

    def _names(self, record: AuditRecord) -> list[tuple[str, str]]:
        """Return the names that must not stand in other texts of the record either, longest first."""
        names = {
            getattr(record, field)
            for field in ("user", "image", "path", "name", "cwd", "user_reason")
            if field in self._fields
        }
        if "user" in self._fields and record.facts is not None:
            names.add(record.facts.owner)
        long = sorted((name for name in names if len(name) >= _SHORTEST), key=len, reverse=True)
        return [(name, self.of(name)) for name in long]

    def _persons(self, record: AuditRecord) -> dict[str, object]:
        """Return the changes of the people that a record names beside its user."""
        changes: dict[str, object] = {}
        if record.facts is not None:
            changes["facts"] = msgspec.structs.replace(record.facts, owner=self.of(record.facts.owner))
        if record.grant is not None:
            changes["grant"] = msgspec.structs.replace(
                record.grant,
                uid=self.of_number(record.grant.uid),
                by=self.of(record.grant.by),
                reason=self.of(record.grant.reason),
            )
        return changes

    def _digest(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


_TEXTS = frozenset(
    {"detail", "image", "path", "name", "cwd", "argv", "content_injected", "user_reason", "claimed"}
)
"""Fields in which names of other fields may stand."""


def _replaced(value: object, names: list[tuple[str, str]]) -> object:
    if isinstance(value, tuple):
        return tuple(_replaced(word, names) for word in value)
    if isinstance(value, dict):
        return {key: _replaced(word, names) for key, word in value.items()}
    if isinstance(value, str):
        for name, pseudonym in names:
            value = value.replace(name, pseudonym)
    return value
