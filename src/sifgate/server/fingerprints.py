# SPDX-License-Identifier: Apache-2.0
"""Fingerprints as they come in addresses."""

from __future__ import annotations

import re

from sifgate.server.refusal import Refused

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def checked(text: str) -> str:
    """Return `text` if it is a fingerprint; raises Refused 400 otherwise."""
    if not _FINGERPRINT.fullmatch(text):
        raise Refused(400, "bad_request", "a fingerprint has 64 lower-case hex digits")
    return text
