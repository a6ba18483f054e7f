# SPDX-License-Identifier: Apache-2.0
"""`cve: [CVE-2021-44228, GHSA-jfh8-c2jp-5v3q]`: vulnerabilities by any of their names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sifgate.model.finding import Finding
from sifgate.policy.conditions.column import Column
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node, quoted

MAX_NAME = 100
_NAME = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9.:_]+)+", re.ASCII)
_FORMS = {
    "CVE": re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}", re.ASCII),
    "GHSA": re.compile(r"GHSA(-[0-9A-Z]{4}){3}", re.ASCII),
    "PYSEC": re.compile(r"PYSEC-[0-9]{4}-[0-9]+", re.ASCII),
    "GO": re.compile(r"GO-[0-9]{4}-[0-9]+", re.ASCII),
}
"""Names whose form is known; a slip in one would be a rule that never speaks."""
_EXAMPLES = {
    "CVE": "CVE-2021-44228",
    "GHSA": "GHSA-jfh8-c2jp-5v3q",
    "PYSEC": "PYSEC-2021-19",
    "GO": "GO-2021-0113",
}
_SHOWN = 3


class CveCondition(Condition, frozen=True):
    """Whether the vulnerability or one of its aliases is among the names; case does not count."""

    key = "cve"
    of_findings = True

    names: frozenset[str]
    """Upper case."""

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> CveCondition:
        """Return the condition for one name or a list of them."""
        del vocabulary
        return cls(names=frozenset(node.one_or_more(read_vulnerability)))

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the finding is known by one of the names."""
        del situation
        return self._of((finding.vulnerability, finding.aliases))

    def reads(self) -> frozenset[str]:
        """Return `vulnerability` and `aliases`."""
        return frozenset({"vulnerability", "aliases"})

    def columns(self, situation: Situation) -> tuple[Column, ...]:
        """Return whether it is one of those named."""
        del situation
        return (Column(("vulnerability", "aliases"), self._of),)

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `among CVE-2021-44228, CVE-2024-3094`."""
        del situation
        named = sorted(self.names)
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        return Phrase(after=f"among {', '.join(named[:_SHOWN])}{more}")

    def _of(self, known: tuple[str, tuple[str, ...]]) -> Truth:
        name, aliases = known
        return Truth.of(name.upper() in self.names or not self.names.isdisjoint(map(str.upper, aliases)))


def read_vulnerability(node: Node) -> str:
    """Return the name of a vulnerability in upper case; patterns and misspelt forms are errors."""
    text = node.text(maximum=MAX_NAME)
    name = text.upper()
    if "*" in name or "?" in name:
        raise node.error(f"names are exact here, got {quoted(text)}")
    if not text.isascii() or not _NAME.fullmatch(name):
        raise node.error(f"expected a name such as CVE-2021-44228, got {quoted(text)}")
    kind = name.partition("-")[0]
    if kind in _FORMS and not _FORMS[kind].fullmatch(name):
        raise node.error(f"expected a name such as {_EXAMPLES[kind]}, got {quoted(text)}")
    return name
