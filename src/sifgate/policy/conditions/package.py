# SPDX-License-Identifier: Apache-2.0
"""`package: "openssl*"`, a list of such, or `{name, source, manager, ecosystem, purl, path}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import translate
from functools import lru_cache, partial
from typing import Any

from sifgate.model.finding import Finding
from sifgate.model.image import OsRelease
from sifgate.model.purl import Purl
from sifgate.policy.conditions.column import Column
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.policy.conditions.purl_pattern import ECOSYSTEMS, fits_purl, read_purl, say_purl
from sifgate.policy.pathglob import fits_any, read_path_pattern
from sifgate.yamlnode import Node

MANAGERS = ("apk", "dpkg", "go", "java", "python", "rpm", "ruby")
MAX_PATTERN = 128
FIELDS = ("name", "source", "manager", "ecosystem", "purl", "path")
_NAMES = ("manager", "package", "source")
_PURL = ("arch", "manager", "package", "source", "version")
_SHOWN = 3


class PackageCondition(Condition, frozen=True):
    """Whether the package is one of those named; `*`, `?` and `[…]` are patterns, case counts."""

    key = "package"
    of_findings = True

    either: tuple[str, ...] = ()
    """Patterns for the package's name or its source package's."""
    name: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    manager: tuple[str, ...] = ()
    """Managers; `ecosystem` is another way to name them."""
    purl: tuple[Purl, ...] = ()
    path: tuple[str, ...] = ()
    """Patterns for the file that told of the package."""

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> PackageCondition:
        """Return the condition; an empty mapping is an error, it would name every package."""
        del vocabulary
        if not node.is_mapping:
            return cls(either=node.one_or_more(_pattern))
        fields = node.mapping(keys=FIELDS)
        if not fields:
            raise node.error("names no package")
        if "manager" in fields and "ecosystem" in fields:
            raise node.key_error("ecosystem", '"manager" and "ecosystem" exclude each other')

        def words(key: str, read: Callable[[Node], Any]) -> tuple[Any, ...]:
            return fields[key].one_or_more(read) if key in fields else ()

        return cls(
            name=words("name", _pattern),
            source=words("source", _pattern),
            manager=words("manager", _manager) or words("ecosystem", _ecosystem),
            purl=words("purl", read_purl),
            path=words("path", read_path_pattern),
        )

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether every given field fits."""
        return self.fits(finding, situation.verdict.os_release)

    def fits(self, finding: Finding, release: OsRelease) -> Truth:
        """Return whether every given field fits a package of this distribution (which package URLs name)."""
        named = self._named((finding.manager, finding.package, finding.source))
        if named is Truth.FALSE:
            return named
        url = max((fits_purl(wanted, finding, release) for wanted in self.purl), default=Truth.FALSE)
        return min(named, url if self.purl else Truth.TRUE, self._placed(finding.path))

    def reads(self) -> frozenset[str]:
        """Return the three names of a package, and what package URLs and paths need if they are asked for."""
        more = {"path"} if self.path else set()
        return frozenset({*_NAMES, *(_PURL if self.purl else ()), *more})

    def columns(self, situation: Situation) -> tuple[Column, ...]:
        """Return the names as they are, and whether package URL and path fit."""
        found = [Column(_NAMES, self._named)]
        if self.purl:
            found.append(Column(_PURL, partial(self._fits_purl, situation.verdict.os_release)))
        if self.path:
            found.append(Column(("path",), self._placed))
        return tuple(found)

    def phrase(self, situation: Situation) -> Phrase:
        """Return `in git, openssl*`."""
        del situation
        named = [
            *self.either,
            *self.name,
            *self.source,
            *map(say_purl, self.purl),
            *(f"{word} packages" for word in self.manager),
        ]
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        what = f"in {', '.join(named[:_SHOWN])}{more}" if named else ""
        place = f"under {', '.join(self.path)}" if self.path else ""
        return Phrase(after=" ".join(filter(None, (what, place))))

    def _named(self, names: tuple[str, str, str]) -> Truth:
        manager, package, source = names
        if self.either and not (_fits(self.either, package) or _fits(self.either, source)):
            return Truth.FALSE
        if self.name and not _fits(self.name, package):
            return Truth.FALSE
        if self.source and not _fits(self.source, source or package):
            return Truth.FALSE
        if self.manager and not manager:
            return Truth.UNKNOWN
        return Truth.of(not self.manager or manager in self.manager)

    def _fits_purl(self, release: OsRelease, facts: tuple[str, ...]) -> Truth:
        arch, manager, package, source, version = facts
        finding = Finding("", package, version, source=source, arch=arch, manager=manager)
        return max((fits_purl(wanted, finding, release) for wanted in self.purl), default=Truth.FALSE)

    def _placed(self, path: str) -> Truth:
        """Return whether the path fits; scanners write it without the slash in front."""
        if not self.path:
            return Truth.TRUE
        return Truth.of(fits_any(self.path, f"/{path.lstrip('/')}")) if path else Truth.UNKNOWN


def _pattern(node: Node) -> str:
    return node.text(maximum=MAX_PATTERN)


def _manager(node: Node) -> str:
    return node.choice(MANAGERS)


def _ecosystem(node: Node) -> str:
    return ECOSYSTEMS[node.choice(ECOSYSTEMS)]


def _fits(patterns: tuple[str, ...], name: str) -> bool:
    return bool(name) and _compiled(patterns).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))
