# SPDX-License-Identifier: Apache-2.0
"""`package: "openssl*"`, a list of such, or `{name, source, manager}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import lru_cache

from sifgate.model.finding import Finding
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node

MANAGERS = ("apk", "dpkg", "go", "java", "python", "rpm", "ruby")
MAX_PATTERN = 128


class PackageCondition(Condition, frozen=True):
    """Whether the package is one of those named; `*`, `?` and `[…]` are patterns, case counts."""

    key = "package"
    of_findings = True

    either: tuple[str, ...] = ()
    """Patterns for the package's name or its source package's."""
    name: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    manager: tuple[str, ...] = ()

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> PackageCondition:
        """Return the condition; an empty mapping is an error, it would name every package."""
        del vocabulary
        if not node.is_mapping:
            return cls(either=node.one_or_more(_pattern))
        fields = node.mapping(keys=("name", "source", "manager"))
        if not fields:
            raise node.error("names no package")
        return cls(
            name=fields["name"].one_or_more(_pattern) if "name" in fields else (),
            source=fields["source"].one_or_more(_pattern) if "source" in fields else (),
            manager=fields["manager"].one_or_more(_manager) if "manager" in fields else (),
        )

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether every given field fits."""
        del situation
        if self.either and not (_fits(self.either, finding.package) or _fits(self.either, finding.source)):
            return Truth.FALSE
        if self.name and not _fits(self.name, finding.package):
            return Truth.FALSE
        if self.source and not _fits(self.source, finding.source or finding.package):
            return Truth.FALSE
        if self.manager and not finding.manager:
            return Truth.UNKNOWN
        return Truth.of(not self.manager or finding.manager in self.manager)

    def reads(self) -> frozenset[str]:
        """Return the three names of a package."""
        return frozenset({"package", "source", "manager"})

    def phrase(self, situation: Situation) -> Phrase:
        """Return `in git, openssl*`."""
        del situation
        named = [*self.either, *self.name, *self.source, *(f"{word} packages" for word in self.manager)]
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""  # noqa: PLR2004  # three fit the line
        return Phrase(after=f"in {', '.join(named[:3])}{more}")


def _pattern(node: Node) -> str:
    return node.text(maximum=MAX_PATTERN)


def _manager(node: Node) -> str:
    return node.choice(MANAGERS)


def _fits(patterns: tuple[str, ...], name: str) -> bool:
    return bool(name) and _compiled(patterns).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))
