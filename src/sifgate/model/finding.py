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


class Rating(msgspec.Struct, frozen=True):
    """What one source says of a vulnerability's severity."""

    source: str
    """`distro`, `ghsa`, `cna`, `nvd`: a word of the policy's `severity.source_order`."""
    severity: Severity


class Score(msgspec.Struct, frozen=True):
    """One CVSS base score."""

    version: str
    """`2.0`, `3.0`, `3.1`, `4.0`."""
    score: float


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
    ratings: tuple[Rating, ...] = ()
    """Severity by source, sorted by source, one each; `severity` is the one that the server's own order gives."""
    scores: tuple[Score, ...] = ()
    """CVSS base scores by version, sorted, the highest of each; `cvss` is the highest of all."""
    epss: float = -1.0
    """Probability of exploitation within 30 days (FIRST EPSS), 0 to 1; -1 where none is known."""
    fix_available: str = ""
    """ISO date since when a fix is known: the advisory's where it says, else when this site first saw one."""
    first_seen_image: str = ""
    """ISO date at which this site first found it in an image of this fingerprint."""
    first_seen_site: str = ""
    """ISO date at which this site first found it in any image."""
    support_ended: bool | None = None
    """Whether the distribution has ended security support for this very package; None: no table says."""

    @property
    def fixable(self) -> bool:
        """Whether a fixed version is known."""
        return bool(self.fixed_version)
