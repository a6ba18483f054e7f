# SPDX-License-Identifier: Apache-2.0
"""The head of a node's audit chain, and the server's countersignature under it."""

from __future__ import annotations

import msgspec

KEY_BYTES = 32
"""Bytes of an Ed25519 public key."""
_DOMAIN = "sifgate-head/1"


class Head(msgspec.Struct, frozen=True):
    """How far a node's log had come: the number of its last line and that line's hash."""

    node: str
    chain: str
    """Names the chain; a log that begins anew gets another one."""
    seq: int
    head: str
    """Hash of the line `seq`."""
    time: str
    """ISO time by the node's clock."""


class Countersigned(msgspec.Struct, frozen=True):
    """A head that the server has seen, with its signature."""

    node: str
    chain: str
    seq: int
    head: str
    time: str
    received: str
    """ISO time, UTC, by the server's clock: the line is no younger than this."""
    key: str
    """Id of the server's key: the first 16 hex digits of the SHA-256 of its 32 bytes."""
    signature: str
    """Base64 of the Ed25519 signature over `signed_bytes`."""


def signed_bytes(seen: Countersigned) -> bytes:
    """Return what the signature covers: domain and members in order, one a line; none of them may hold a newline."""
    members = (seen.node, seen.chain, str(seen.seq), seen.head, seen.time, seen.received, seen.key)
    return "\n".join((_DOMAIN, *members, "")).encode()
