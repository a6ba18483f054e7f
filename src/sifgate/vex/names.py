# SPDX-License-Identifier: Apache-2.0
"""Which identifiers of a VEX document name its one flaw; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FLAW = re.compile(r"(?:CVE|GHSA|PYSEC|GO|RUSTSEC|MAL)-[A-Za-z0-9-]{1,60}", re.ASCII | re.IGNORECASE)
_OTHER = re.compile(r"[A-Za-z][A-Za-z0-9]*-[A-Za-z0-9:._-]{1,60}", re.ASCII)


def flaw_names(name: str, aliases: Iterable[str]) -> tuple[str, ...]:
    """Return the identifiers of the flaw, upper case, each once, the main one first; empty where none is one.

    Aliases that name an advisory (USN, RHSA) are left out: an advisory repairs several flaws, and what is said of one
    of them is not said of the others. So are links and bare numbers.
    """
    own = (name,) if _FLAW.fullmatch(name) or _OTHER.fullmatch(name) else ()
    return tuple(dict.fromkeys(word.upper() for word in (*own, *filter(_FLAW.fullmatch, aliases))))
