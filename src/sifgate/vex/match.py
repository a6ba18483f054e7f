# SPDX-License-Identifier: Apache-2.0
"""Which statement holds for a finding of an image; pure.

Of all statements of trusted authors on the finding's flaw and package the latest holds; of those of one time the most
cautious. Only `not_affected`, and `fixed` in exactly this version, set a finding aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sifgate.model.finding import Finding
from sifgate.model.image import OsRelease
from sifgate.model.launch import LaunchEvent
from sifgate.model.naming import speaks_of, spellings
from sifgate.model.purl import PACKAGE_FACTS, Purl, package_of, parse_purl
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
    """What is said of one flaw, by product; package URLs are parsed when the first image has the flaw."""

    __slots__ = ("of_images", "of_packages")

    def __init__(self, statements: Iterable[VexStatement]) -> None:
        self.of_packages: dict[str, list[_Said]] = {}
        self.of_images: dict[str, list[_Said]] = {}
        for statement in statements:
            self._add(statement)

    def _add(self, statement: VexStatement) -> None:
        """Put a statement where its products are looked up; those of which nothing follows are left out."""
        names = frozenset[str]().union(*map(spellings, statement.vulnerabilities))
        components = tuple(map(parse_purl, statement.subcomponents))
        for product in statement.products:
            if product.startswith("sha256:"):
                self.of_images.setdefault(product, []).append(_Said(statement, names, None, components))
            elif not components:
                purl = parse_purl(product)
                if purl.version or statement.status is not VexStatus.FIXED:
                    said = _Said(statement, names, purl, ())
                    self.of_packages.setdefault(_key(purl.package), []).append(said)


class _Flaws:
    """All that is said, by name of the flaw."""

    def __init__(self, statements: Iterable[VexStatement]) -> None:
        self.said: dict[str, list[VexStatement]] = {}
        self._flaws: dict[str, _Flaw] = {}
        for statement in statements:
            for name in frozenset[str]().union(*map(spellings, statement.vulnerabilities)):
                self.said.setdefault(name, []).append(statement)

    def of(self, name: str) -> _Flaw | None:
        """Return what is said of a flaw with this name."""
        flaw = self._flaws.get(name)
        if flaw is None and name in self.said:
            flaw = self._flaws[name] = _Flaw(self.said[name])
        return flaw


class Statements:
    """The statements of those whom the site trusts, ready to be asked."""

    def __init__(self, statements: Iterable[VexStatement], trusted: Iterable[str]) -> None:
        patterns = tuple(trusted)
        self._flaws = _Flaws(each for each in statements if is_trusted(each.author, patterns))

    def of(self, finding: Finding, verdict: Verdict, launch: LaunchEvent) -> VexStatement | None:
        """Return the statement that sets the finding aside, None for none."""
        _, settled = self.partition((finding,), verdict, launch)
        return settled[0][1] if settled else None

    def partition(
        self, findings: Iterable[Finding], verdict: Verdict, launch: LaunchEvent
    ) -> tuple[list[Finding], Settled]:
        """Return the findings that count, and those that are settled with their statement, in their order."""
        flaws = self._flaws.said
        if not flaws:
            return list(findings), []
        question = _Question(self._flaws, verdict.os_release, launch.image.digest)
        strangers = flaws.keys().isdisjoint
        counted: list[Finding] = []
        settled: Settled = []
        for finding in findings:  # 5,000 of them: most are told apart here, without a call
            aliases = finding.aliases
            if finding.vulnerability in flaws or (aliases and not strangers(aliases)):
                statement = question.latest(finding)
                if statement is not None and statement.status in SETTLING:
                    settled.append((finding, statement))
                    continue
            counted.append(finding)
        return counted, settled


class _Target(NamedTuple):
    """A package of the image: what it is, and under which names it is spoken of."""

    package: Purl
    names: tuple[str, ...]


class _Question:
    """One image about whose findings is asked."""

    def __init__(self, flaws: _Flaws, system: OsRelease, digest: str) -> None:
        self._flaws = flaws
        self._system = system
        self._digest = digest
        self._targets: dict[object, _Target] = {}

    def latest(self, finding: Finding) -> VexStatement | None:
        """Return the statement that holds, whatever it says; None where there is none on this package."""
        facts = PACKAGE_FACTS(finding)
        target = self._targets.get(facts)
        if target is None:
            target = self._targets[facts] = _target(package_of(finding, self._system))
        said: list[_Said] = []
        for name in (finding.vulnerability, *finding.aliases):
            flaw = self._flaws.of(name)
            if flaw is None:
                continue
            for package in target.names:
                if package in flaw.of_packages:
                    said += self._covering(flaw.of_packages[package], target.package)
            if self._digest in flaw.of_images:
                said += self._within(flaw.of_images[self._digest], target.package)
        if not said:
            return None
        holding = (each.statement for each in said if speaks_of(each.names, finding))
        return max(holding, key=_weight, default=None)

    def _covering(self, entries: list[_Said], package: Purl) -> Iterator[_Said]:
        for said in entries:
            if said.product is not None and covers(said.product, package, self._system):
                yield said

    def _within(self, entries: list[_Said], package: Purl) -> Iterator[_Said]:
        """Yield what is said of the whole image, or of this package in it."""
        for said in entries:
            if not said.components or any(covers(part, package, self._system) for part in said.components):
                yield said


def _target(package: Purl) -> _Target:
    return _Target(package, tuple({_key(package.package), _key(source_package(package))}))


def _key(package: tuple[str, str, str]) -> str:
    """Return type, namespace and name as one text, whose hash Python keeps."""
    return "\0".join(package)


def _weight(statement: VexStatement) -> tuple[str, int, str]:
    return statement.timestamp, _CAUTION.index(statement.status), statement.document


def launch_fields(statements: Iterable[VexStatement], trusted: Iterable[str]) -> frozenset[str]:
    """Return the attributes of a launch on which it depends what is settled."""
    patterns = tuple(trusted)
    of_images = (
        any(product.startswith("sha256:") for product in each.products) and is_trusted(each.author, patterns)
        for each in statements
    )
    return frozenset({"image.digest"}) if any(of_images) else frozenset()
