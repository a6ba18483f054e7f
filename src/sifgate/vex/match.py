# SPDX-License-Identifier: Apache-2.0
"""Which statement holds for a finding of an image; pure.

Of all statements of trusted authors on the finding's flaw and package the latest holds; of those of one time the most
cautious. Only `not_affected`, and `fixed` in exactly this version, set a finding aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sifgate.model.finding import Finding
from sifgate.model.launch import LaunchEvent
from sifgate.model.naming import speaks_of, spellings
from sifgate.model.purl import Purl, package_of, parse_purl
from sifgate.model.verdict import Verdict
from sifgate.model.vex import VexStatement, VexStatus
from sifgate.vex.product import covers, source_package
from sifgate.vex.trust import is_trusted

SETTLING = (VexStatus.NOT_AFFECTED, VexStatus.FIXED)
"""What sets a finding aside."""
_CAUTION = (VexStatus.NOT_AFFECTED, VexStatus.FIXED, VexStatus.UNDER_INVESTIGATION, VexStatus.AFFECTED)
Settled = list[tuple[Finding, VexStatement]]


class _Said(NamedTuple):
    """A statement on one product."""

    statement: VexStatement
    names: frozenset[str]
    product: Purl | None
    """None: the whole image, or its components."""
    components: tuple[Purl, ...]


class _Flaw:
    """What is said of one flaw."""

    __slots__ = ("of_images", "of_packages")

    def __init__(self) -> None:
        self.of_packages: dict[tuple[str, str, str], list[_Said]] = {}
        self.of_images: dict[str, list[_Said]] = {}


class Statements:
    """The statements of those whom the site trusts, ready to be asked."""

    def __init__(self, statements: Iterable[VexStatement], trusted: Iterable[str]) -> None:
        patterns = tuple(trusted)
        believed = [each for each in statements if is_trusted(each.author, patterns)]
        self._flaws: dict[str, _Flaw] = {}
        for statement in believed:
            self._add(statement)

    def of(self, finding: Finding, verdict: Verdict, launch: LaunchEvent) -> VexStatement | None:
        """Return the statement that sets the finding aside, None for none."""
        _, settled = self.partition((finding,), verdict, launch)
        return settled[0][1] if settled else None

    def partition(
        self, findings: Iterable[Finding], verdict: Verdict, launch: LaunchEvent
    ) -> tuple[list[Finding], Settled]:
        """Return the findings that count, and those that are settled with their statement, in their order."""
        flaws = self._flaws
        if not flaws:
            return list(findings), []
        counted: list[Finding] = []
        settled: Settled = []
        for finding in findings:
            touched = finding.vulnerability in flaws
            if not touched and finding.aliases:
                touched = not flaws.keys().isdisjoint(finding.aliases)
            statement = self._latest(finding, verdict, launch.image.digest) if touched else None
            if statement is not None and statement.status in SETTLING:
                settled.append((finding, statement))
            else:
                counted.append(finding)
        return counted, settled

    def launch_fields(self) -> frozenset[str]:
        """Return the attributes of a launch on which answers depend."""
        images = any(flaw.of_images for flaw in self._flaws.values())
        return frozenset({"image.digest"}) if images else frozenset()

    def _add(self, statement: VexStatement) -> None:
        """Put a statement where its flaw and product are looked up; products of which nothing follows are left out."""
        names = frozenset[str]().union(*map(spellings, statement.vulnerabilities))
        components = tuple(map(parse_purl, statement.subcomponents))
        for product in statement.products:
            if product.startswith("sha256:"):
                self._file(_Said(statement, names, None, components), product)
            elif not components:
                purl = parse_purl(product)
                if purl.version or statement.status is not VexStatus.FIXED:
                    self._file(_Said(statement, names, purl, ()), "")

    def _file(self, said: _Said, digest: str) -> None:
        for name in said.names:
            flaw = self._flaws.get(name)
            if flaw is None:
                flaw = self._flaws[name] = _Flaw()
            if said.product is None:
                flaw.of_images.setdefault(digest, []).append(said)
            else:
                flaw.of_packages.setdefault(said.product.package, []).append(said)

    def _latest(self, finding: Finding, verdict: Verdict, digest: str) -> VexStatement | None:
        holding = [
            said.statement
            for said in self._candidates(finding, verdict, digest)
            if speaks_of(said.names, finding)
        ]
        return max(holding, key=_weight, default=None)

    def _candidates(self, finding: Finding, verdict: Verdict, digest: str) -> Iterator[_Said]:
        """Yield what is said of one of the finding's names and of its package, or of the image."""
        actual = package_of(finding, verdict.os_release)
        system = verdict.os_release
        for name in (finding.vulnerability, *finding.aliases):
            flaw = self._flaws.get(name)
            if flaw is None:
                continue
            for package in {actual.package, source_package(actual)}:
                for said in flaw.of_packages.get(package, ()):
                    if said.product is not None and covers(said.product, actual, system):
                        yield said
            for said in flaw.of_images.get(digest, ()) if digest else ():
                if not said.components or any(covers(part, actual, system) for part in said.components):
                    yield said


def _weight(statement: VexStatement) -> tuple[str, int, str]:
    return statement.timestamp, _CAUTION.index(statement.status), statement.document


def launch_fields(statements: Iterable[VexStatement], trusted: Iterable[str]) -> frozenset[str]:
    """Return the attributes of a launch on which it depends what is settled."""
    return Statements(statements, trusted).launch_fields()
