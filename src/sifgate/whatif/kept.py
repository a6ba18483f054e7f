# SPDX-License-Identifier: Apache-2.0
"""Verdicts that a node keeps as evidence, read back by digest; bytes that are not those of the digest are none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import zstandard

from sifgate.model.verdict import Verdict

MOST_BYTES = 256 << 20
"""Of one verdict."""


class Kept:
    """The evidence directory of a node, as `sifgate.whatif.recorded.Verdicts`; survives pickling."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "verdicts"

    def __call__(self, digest: str) -> Verdict | None:
        """Return the verdict; None where it is not kept, cannot be read, or is not what its name says."""
        name = digest.removeprefix("sha256:")
        try:
            body = (self._directory / f"{name}.json.zst").read_bytes()
            content = zstandard.ZstdDecompressor().decompress(body, max_output_size=MOST_BYTES)
        except (OSError, ValueError, zstandard.ZstdError):
            return None
        if hashlib.sha256(content).hexdigest() != name:
            return None
        try:
            return msgspec.json.decode(content, type=Verdict)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
