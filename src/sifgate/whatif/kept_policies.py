# SPDX-License-Identifier: Apache-2.0
"""Policies that a node or the server keeps as evidence, loaded again by digest; another digest is another policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import zstandard

from sifgate.errors import PolicyError
from sifgate.policy.document import Policy
from sifgate.policy.load import policy_of
from sifgate.policy.sources import PolicySources

MOST_BYTES = 256 << 20
"""Of the sources of one policy."""
Sources = Callable[[str], bytes | None]
"""Returns the sources of a policy (JSON of `PolicySources`) by its digest; None where they are not to be had."""


class KeptPolicies:
    """Policies by digest, each loaded once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._held: dict[str, Policy | str] = {}

    def __call__(self, digest: str) -> Policy | str:
        """Return the policy, or why it cannot be had, in words."""
        if digest not in self._held:
            self._held[digest] = self._load(digest)
        return self._held[digest]

    def _load(self, digest: str) -> Policy | str:
        body = self._sources(digest)
        if body is None:
            return "its sources are not kept"
        try:
            policy = policy_of(msgspec.json.decode(body, type=PolicySources))
        except (PolicyError, msgspec.DecodeError, UnicodeDecodeError) as error:
            return f"its sources cannot be loaded: {str(error).partition(chr(10))[0]}"
        if policy.digest != digest:
            return f"its sources make another policy, {policy.digest}"
        return policy


def node_sources(evidence: Path) -> Sources:
    """Return what reads the policies of a node's evidence directory."""

    def read(digest: str) -> bytes | None:
        try:
            packed = (evidence / "policies" / f"{digest.removeprefix('sha256:')}.json.zst").read_bytes()
            return zstandard.ZstdDecompressor().decompress(packed, max_output_size=MOST_BYTES)
        except (OSError, ValueError, zstandard.ZstdError):
            return None

    return read
