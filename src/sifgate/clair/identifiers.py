# SPDX-License-Identifier: Apache-2.0
"""Names of vulnerabilities and fixed versions out of Clair's texts (clair.md §4.2); pure."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

_CVE = re.compile(r"\bCVE-\d{4}-\d{4,19}\b", re.IGNORECASE)
_ADVISORY = re.compile(
    r"\b(?:GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|PYSEC-\d{4}-\d+|GO-\d{4}-\d+|RUSTSEC-\d{4}-\d+|"
    r"(?:DSA|DLA|USN)-\d+-\d+|ALAS\d*-\d{4}-\d+|ELSA-\d{4}-\d+|RH[SBE]A-\d{4}:\d+)\b"
)
_QUERY_KEYS = ("fixed", "introduced", "lastAffected")


def cves(text: str) -> tuple[str, ...]:
    """Return the CVE identifiers in `text`, upper case, each once, in order."""
    return tuple(dict.fromkeys(match.upper() for match in _CVE.findall(text)))


def name_and_aliases(name: str, links: str) -> tuple[str, tuple[str, ...]]:
    """Return the identifier that people know and the others, sorted.

    A CVE in the advisory's name wins (Ubuntu: `CVE-… on Ubuntu 22.04 LTS (jammy) - low`); else the single CVE
    that its links name; an advisory of several CVEs keeps its own name, with the CVEs as aliases.
    """
    named, linked = cves(name), cves(links)
    others = _ADVISORY.findall(f"{name} {links}")
    own = others[0] if others and name.startswith(others[0]) else name.strip()
    if named:
        chosen = named[0]
    elif len(linked) == 1:
        chosen = linked[0]
    else:
        chosen = own
    everything = {*named, *(linked if not named else ()), *([own] if not named else []), *_same(others, name)}
    return chosen, tuple(sorted(everything - {chosen, ""}))


def _same(others: list[str], name: str) -> list[str]:
    """Return identifiers of the same flaw: advisories of language ecosystems speak of one flaw each."""
    if not name.startswith(("GHSA-", "PYSEC-", "GO-", "CVE-")):
        return []
    return [other for other in others if other.startswith(("GHSA-", "PYSEC-", "GO-"))]


def fixed_version(text: str) -> str:
    """Return the version that repairs, empty if none is known.

    OSV updaters write a query string (`fixed=2.20.0&introduced=0`), all others the plain version; `0` means that no
    version is affected (Debian, Alpine).
    """
    if text in {"", "0"}:
        return ""
    if "=" in text and text.partition("=")[0] in _QUERY_KEYS:
        members = (member.partition("=") for member in text.split("&"))
        return next((unquote_plus(value) for name, _, value in members if name == "fixed"), "")
    return text
