# SPDX-License-Identifier: Apache-2.0
"""The name of a package set: what is cached, asked and judged under (docs/protocol.md §2)."""

from __future__ import annotations

import hashlib
import json

import msgspec

from sifgate.model.image import CoverageFacts

_DOMAIN = b"sifgate-fingerprint\x001\x00"


def fingerprint(slim_version: int, layer_digest: str, facts: CoverageFacts) -> str:
    """Return 64 lower-case hex digits over the slim version, the layer and the canonical coverage facts."""
    whole = hashlib.sha256(_DOMAIN)
    whole.update(b"%d\x00%s\x00" % (slim_version, layer_digest.encode("ascii")))
    whole.update(canonical_facts(facts))
    return whole.hexdigest()


def canonical_facts(facts: CoverageFacts) -> bytes:
    """Return the facts as JSON with sorted keys, no spaces and ASCII escapes: equal facts, equal bytes."""
    value = msgspec.to_builtins(facts)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
