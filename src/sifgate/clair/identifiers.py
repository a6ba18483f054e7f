# SPDX-License-Identifier: Apache-2.0
"""Names of vulnerabilities and fixed versions out of Clair's texts (clair.md §4.2); pure."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

import msgspec

_CVE = re.compile(r"\bCVE-\d{4}-\d{4,19}\b", re.IGNORECASE)
_ADVISORY = re.compile(
    r"\b(?:GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|PYSEC-\d{4}-\d+|GO-\d{4}-\d+|RUSTSEC-\d{4}-\d+|"
    r"(?:DSA|DLA|USN)-\d+-\d+|ALAS\d*-\d{4}-\d+|ELSA-\d{4}-\d+|RH[SBE]A-\d{4}:\d+)\b"
)
_LANGUAGES = ("GHSA-", "PYSEC-", "GO-")
_OSV = "https://osv.dev/vulnerability/"
_OSV_ALIAS = re.compile(
    r"(?:^|\s)https://osv\.dev/vulnerability/([A-Za-z][\w.:-]{1,98}\w)[,;.]*(?=\s|$)", re.ASCII
)
"""How Clair's OSV updaters write an advisory's aliases among its links (claircore updater/osv); some end in a comma."""
_NAME = re.compile(r"[A-Za-z][\w.:-]{2,99}", re.ASCII)
_QUERY_KEYS = ("fixed", "introduced", "lastAffected")


class _Alias(msgspec.Struct, frozen=True):
    space: str = ""
    name: str = ""


_ALIASES = msgspec.json.Decoder(list[_Alias] | None)


def cves(text: str) -> tuple[str, ...]:
    """Return the CVE identifiers in `text`, upper case, each once, in order."""
    return tuple(dict.fromkeys(match.upper() for match in _CVE.findall(text)))


def name_and_aliases(name: str, links: str, told: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...]]:
    """Return the identifier that people know and the others, sorted.

    A CVE in the advisory's name wins (Ubuntu: `CVE-… on Ubuntu 22.04 LTS (jammy) - low`); else the single CVE among
    its aliases, or where these have none, among its links; else its single GHSA alias, so that the advisories of two
    databases on one flaw have one name. An advisory of several CVEs keeps its own name, with the CVEs as aliases.
    `told` are aliases that Clair tells apart from the links.
    """
    same = (*told, *_OSV_ALIAS.findall(links)) if _OSV in links else told
    named = cves(name)
    if named and not same and not any(each in links for each in _LANGUAGES):  # a distribution's, nearly all
        return named[0], tuple(sorted({*named} - {named[0]}))
    linked = cves(" ".join(same)) or cves(links)
    others = _ADVISORY.findall(f"{name} {links}")
    own = others[0] if others and name.startswith(others[0]) else name.strip()
    if named:
        chosen = named[0]
    elif len(linked) == 1:
        chosen = linked[0]
    else:
        chosen = own if linked else _known_to_all(own, same)
    everything = {*named, *(() if named and not same else linked), *([] if named else [own])}
    # aliases that are told leave nothing to guess: the other advisories that links name may be of other flaws
    everything |= {each for each in same if not _CVE.fullmatch(each)} if same else set(_same(others, name))
    return chosen, tuple(sorted(everything - {chosen, ""}))


def _known_to_all(own: str, same: tuple[str, ...]) -> str:
    """Return the single GHSA number among the aliases of another database's advisory, else its own name."""
    numbers = {each for each in same if each.startswith("GHSA-")}
    return numbers.pop() if len(numbers) == 1 and own.startswith(_LANGUAGES[1:]) else own


def aliases_told(raw: bytes | msgspec.Raw) -> tuple[str, ...]:
    """Return the names in a vulnerability's member `Aliases` (claircore ≥ 1.5.52); none where it has another form.

    Clair writes them in two parts, `{"space": "CVE", "name": "2024-3094"}`; a space that is an address is left out.
    """
    if not raw:
        return ()
    try:
        found = _ALIASES.decode(raw) or []
    except msgspec.DecodeError:
        return ()
    whole = (each.name if "://" in each.space else f"{each.space}-{each.name}" for each in found)
    return tuple(word for word in whole if _NAME.fullmatch(word))


def _same(others: list[str], name: str) -> list[str]:
    """Return identifiers of the same flaw: advisories of language ecosystems speak of one flaw each."""
    if not name.startswith((*_LANGUAGES, "CVE-")):
        return []
    return [other for other in others if other.startswith(_LANGUAGES)]


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
