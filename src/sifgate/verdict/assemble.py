# SPDX-License-Identifier: Apache-2.0
"""Findings + coverage + facts + feeds → verdict: the state, the joins, the order; pure."""

from __future__ import annotations

import msgspec

from sifgate.model.clocks import Clocks
from sifgate.model.finding import Finding
from sifgate.model.image import CoverageFacts
from sifgate.model.verdict import Coverage, EndOfLife, Generation, ScanState, Verdict
from sifgate.verdict.joins import Feeds, Joins
from sifgate.verdict.merge import one_each

_DATE = len("2026-01-02")
_NO_CLOCKS = Clocks()


class Scan(msgspec.Struct, frozen=True):
    """What the scanner said of one fingerprint, in sifgate's words."""

    fingerprint: str
    facts: CoverageFacts
    coverage: Coverage = Coverage()
    findings: tuple[Finding, ...] = ()
    clair_version: str = ""
    index_state: str = ""


def assemble(
    scan: Scan, feeds: Feeds, generation: Generation, now: str, clocks: Clocks = _NO_CLOCKS
) -> Verdict:
    """Return the verdict of a scan that ended; `now` is its ISO time, `clocks` are the dates kept for it."""
    state, detail = _state(scan)
    system = scan.facts.os_release
    join = Joins(feeds, clocks, system, now[:_DATE]).of
    return Verdict(
        fingerprint=scan.fingerprint,
        state=state,
        findings=tuple(map(join, one_each(scan.findings))),
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
