# SPDX-License-Identifier: Apache-2.0
"""Findings + coverage + facts + feeds → verdict: the state, the joins, the order; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from sifgate.model.finding import Finding
from sifgate.model.image import CoverageFacts
from sifgate.model.verdict import Coverage, EndOfLife, Generation, ScanState, Verdict


class Scan(msgspec.Struct, frozen=True):
    """What the scanner said of one fingerprint, in sifgate's words."""

    fingerprint: str
    facts: CoverageFacts
    coverage: Coverage = Coverage()
    findings: tuple[Finding, ...] = ()
    clair_version: str = ""
    index_state: str = ""


class Feeds(msgspec.Struct, frozen=True):
    """What is joined to a scan."""

    kev: Mapping[str, str] = {}
    """ISO date of listing by CVE."""
    support: Mapping[tuple[str, str], EndOfLife] = {}
    """Support dates by (os-release ID, VERSION_ID)."""


def assemble(scan: Scan, feeds: Feeds, generation: Generation, now: str) -> Verdict:
    """Return the verdict of a scan that ended; `now` is its ISO time."""
    state, detail = _state(scan)
    system = scan.facts.os_release
    return Verdict(
        fingerprint=scan.fingerprint,
        state=state,
        findings=_sorted(_with_kev(finding, feeds.kev) for finding in scan.findings),
        coverage=scan.coverage,
        os_release=system,
        end_of_life=feeds.support.get((system.id, system.version_id), EndOfLife()),
        facts=scan.facts,
        clair_version=scan.clair_version,
        index_state=scan.index_state,
        generation=generation,
        scanned_at=now,
        detail=detail,
    )


def failed(scan: Scan, feeds: Feeds, generation: Generation, now: str, detail: str) -> Verdict:
    """Return the verdict of an image on which the scanner fails; `detail` says how."""
    verdict = assemble(scan, feeds, generation, now)
    return msgspec.structs.replace(verdict, state=ScanState.FAILED, detail=detail)


def _state(scan: Scan) -> tuple[ScanState, str]:
    """Return the state and the sentence for it; the gravest wins, since each lets less be believed than the next."""
    coverage, facts = scan.coverage, scan.facts
    if facts.contradictions:
        return ScanState.INCONSISTENT, "; ".join(facts.contradictions)
    if not coverage.distribution or not coverage.advisories or not coverage.packages:
        return ScanState.UNSUPPORTED, "; ".join(coverage.notes) or "no advisories for this image"
    if facts.omitted or coverage.notes:
        omitted = [f"left out: {entry}" for entry in facts.omitted]
        return ScanState.PARTIAL, "; ".join([*coverage.notes, *omitted])
    return ScanState.KNOWN, ""


def _with_kev(finding: Finding, kev: Mapping[str, str]) -> Finding:
    dates = [kev[name] for name in (finding.vulnerability, *finding.aliases) if name in kev]
    if not dates:
        return finding
    return msgspec.structs.replace(finding, kev=True, kev_added=min(dates))


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return one finding for each (package, vulnerability) pair, in the order that makes equal facts equal bytes."""
    pairs: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        key = (finding.vulnerability, finding.package, finding.version, finding.arch, finding.path)
        other = pairs.get(key)
        pairs[key] = finding if other is None else _merged(finding, other)
    return tuple(pairs[key] for key in sorted(pairs))


def _merged(one: Finding, two: Finding) -> Finding:
    """Return the graver of two advisories on one pair, with what only the other knows."""
    first, second = sorted((one, two), key=_rank)
    return msgspec.structs.replace(
        first,
        aliases=tuple(sorted({*first.aliases, *second.aliases})),
        fixed_version=first.fixed_version or second.fixed_version,
        cvss=max(first.cvss, second.cvss),
        published=first.published or second.published,
        link=first.link or second.link,
        kev=first.kev or second.kev,
        kev_added=first.kev_added or second.kev_added,
    )


def _rank(finding: Finding) -> tuple[int, bool, str, str]:
    return (-finding.severity, not finding.fixable, finding.updater, finding.fixed_version)
