# SPDX-License-Identifier: Apache-2.0
"""One vulnerability in one package."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Severity(IntEnum):
    """Clair's normalised severities, ordered (claircore severity.go)."""

    UNKNOWN = 0
    NEGLIGIBLE = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5

    @property
    def label(self) -> str:
        """Return the word that people read: `Critical`, `High` and so on."""
        return self.name.capitalize()

    @classmethod
    def parse(cls, word: str) -> Severity:
        """Return the severity that `word` names, whatever its case; `UNKNOWN` for any other word."""
        return cls.__members__.get(word.upper(), cls.UNKNOWN)


class Finding(msgspec.Struct, frozen=True):
    """One vulnerability in one installed package, joined with the feeds."""

    vulnerability: str
    """The identifier that people know: a CVE where there is one, else the advisory's name."""
    package: str
    version: str
    severity: Severity = Severity.UNKNOWN
    aliases: tuple[str, ...] = ()
    """Other identifiers of the same vulnerability, sorted."""
    source: str = ""
    """Source package, where the ecosystem has one."""
    arch: str = ""
    manager: str = ""
    """`dpkg`, `rpm`, `apk`, `python`, `go`, `java`, `ruby`."""
    fixed_version: str = ""
    """Empty: no fix is known."""
    kev: bool = False
    kev_added: str = ""
    """ISO date at which CISA listed it."""
    cvss: float = -1.0
    """Highest base score known, -1 where none is."""
    published: str = ""
    """ISO date, empty where unknown."""
    link: str = ""
    path: str = ""
    """Package database or file that told of the package."""
    updater: str = ""
    """Clair's updater that brought the advisory."""

    @property
    def fixable(self) -> bool:
        """Whether a fixed version is known."""
        return bool(self.fixed_version)
