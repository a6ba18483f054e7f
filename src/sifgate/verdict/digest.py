# SPDX-License-Identifier: Apache-2.0
"""The canonical bytes of a verdict, and their digest: its address everywhere."""

from __future__ import annotations

import hashlib

import msgspec

from sifgate.model.verdict import Verdict

_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(Verdict)


def canonical(verdict: Verdict) -> bytes:
    """Return the bytes that are stored, served and digested: members in declared order, keys of maps sorted."""
    return _ENCODER.encode(verdict)


def digest(body: bytes) -> str:
    """Return `sha256:` and 64 hex digits over canonical bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def decode(body: bytes) -> Verdict:
    """Return the verdict in `body`; raises `msgspec.DecodeError`."""
    return _DECODER.decode(body)
