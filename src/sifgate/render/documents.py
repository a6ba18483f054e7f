# SPDX-License-Identifier: Apache-2.0
"""The JSON documents of `scan` and `check`, as their schemas in `render/schemas/` promise them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from sifgate.audit.record import AuditRecord, ReasonLine
from sifgate.model.decision import Action, Decision
from sifgate.model.finding import Finding, Severity
from sifgate.model.verdict import Standing, Verdict

SCHEMA = 1


def dump(document: Any) -> str:
    """Return a document as indented JSON in printable ASCII: no byte of it can move a terminal."""
    return _ascii(json.dumps(msgspec.to_builtins(document), ensure_ascii=True, indent=2))


def line(document: Any) -> str:
    """Return a document as one line of JSON in printable ASCII."""
    return _ascii(json.dumps(msgspec.to_builtins(document), ensure_ascii=True, separators=(",", ":")))


def _ascii(text: str) -> str:
    return text.replace("\x7f", "\\u007f")


def finding_document(finding: Finding) -> dict[str, Any]:
    """Return one finding."""
    return {
        "vulnerability": finding.vulnerability,
        "aliases": list(finding.aliases),
        "package": finding.package,
        "version": finding.version,
        "fixed_version": finding.fixed_version,
        "severity": finding.severity.label,
        "ratings": {rating.source: rating.severity.label for rating in finding.ratings},
        "kev": finding.kev,
        "kev_added": finding.kev_added,
        "epss": finding.epss if finding.epss >= 0 else None,
        "cvss": finding.cvss if finding.cvss >= 0 else None,
        "scores": {score.version: score.score for score in finding.scores},
        "published": finding.published,
        "fix_available": finding.fix_available,
        "first_seen_image": finding.first_seen_image,
        "first_seen_site": finding.first_seen_site,
        "support_ended": finding.support_ended,
        "link": finding.link,
        "source": finding.source,
        "arch": finding.arch,
        "manager": finding.manager,
        "path": finding.path,
        "updater": finding.updater,
    }


def summary(findings: list[Finding], suppressed: int) -> dict[str, Any]:
    """Return the counts of a report."""
    by_severity = {severity.label: 0 for severity in sorted(Severity, reverse=True)}
    for finding in findings:
        by_severity[finding.severity.label] += 1
    return {
        "findings": len(findings),
        "vulnerabilities": len({finding.vulnerability for finding in findings}),
        "by_severity": by_severity,
        "fixable": sum(finding.fixable for finding in findings),
        "kev": len({finding.vulnerability for finding in findings if finding.kev}),
        "suppressed": suppressed,
    }


def divide(verdict: Verdict | None, suppressed: tuple[int, ...]) -> tuple[list[Finding], list[Finding]]:
    """Return the findings that count and those that are only listed, each worst first."""
    if verdict is None:
        return [], []
    hidden = set(suppressed)
    counted = [finding for index, finding in enumerate(verdict.findings) if index not in hidden]
    listed = [finding for index, finding in enumerate(verdict.findings) if index in hidden]
    return sorted(counted, key=worst_first), sorted(listed, key=worst_first)


def worst_first(finding: Finding) -> tuple[Any, ...]:
    """Return the sort key: severity, known exploited, fixable, score, then names."""
    return (
        -finding.severity,
        not finding.kev,
        not finding.fixable,
        -finding.cvss,
        finding.vulnerability,
        finding.package,
        finding.version,
        finding.arch,
        finding.path,
    )


def scan_document(
    image: str, standing: Standing, suppressed: tuple[int, ...], decision: Decision
) -> dict[str, Any]:
    """Return the document of `sifgate scan --format json` (schema: `scan.schema.json`)."""
    return {
        "schema": SCHEMA,
        "image": image,
        "fingerprint": standing.fingerprint,
        "state": standing.state.value if standing.state else None,
        "cause": standing.cause.value if standing.cause else None,
        "unscannable": standing.unscannable.value if standing.unscannable else None,
        "detail": standing.detail,
        "verdict": standing.digest,
        "decision": {
            "action": decision.action.word,
            "would_be": decision.would_be.word,
            "mode": decision.mode,
        },
        **_known(standing.verdict, suppressed),
    }


def _known(verdict: Verdict | None, suppressed: tuple[int, ...]) -> dict[str, Any]:
    """Return what only a verdict can tell; without one the counts are null, since nothing is not zero."""
    if verdict is None:
        nothing = dict.fromkeys(
            ("distribution", "end_of_life", "coverage", "generation", "clair", "scanned_at", "summary")
        )
        return {**nothing, "findings": [], "suppressed": []}
    counted, listed = divide(verdict, suppressed)
    facts = verdict.facts
    return {
        "distribution": msgspec.to_builtins(verdict.os_release),
        "end_of_life": msgspec.to_builtins(verdict.end_of_life),
        "coverage": {
            **msgspec.to_builtins(verdict.coverage),
            "contradictions": list(facts.contradictions),
            "omitted": list(facts.omitted),
        },
        "generation": msgspec.to_builtins(verdict.generation),
        "clair": {"version": verdict.clair_version, "state": verdict.index_state},
        "scanned_at": verdict.scanned_at,
        "summary": summary(counted, len(listed)),
        "findings": [finding_document(finding) for finding in counted],
        "suppressed": [finding_document(finding) for finding in listed],
    }


def check_document(
    image: str, action: Action, notice: str, reference: str, record: AuditRecord | None
) -> dict[str, Any]:
    """Return the document of `sifgate check --format json` (schema: `check.schema.json`)."""
    known = record or AuditRecord(
        id="", time="", node="", door="cli", action=action.word, would_be=action.word
    )
    return {
        "schema": SCHEMA,
        "image": image or known.image,
        "action": action.word,
        "would_be": known.would_be,
        "mode": known.mode,
        "reference": reference,
        "state": known.state or None,
        "cause": known.cause or None,
        "unscannable": known.unscannable or None,
        "detail": known.detail,
        "fingerprint": known.fingerprint,
        "verdict": known.verdict,
        "generation": known.generation,
        "policy": known.policy,
        "reasons": [_reason(reason) for reason in known.reasons],
        "content_injected": list(known.content_injected),
        "suppressed": known.suppressed,
        "notice": notice,
    }


def _reason(reason: ReasonLine) -> dict[str, Any]:
    return {
        "rule": reason.rule,
        "action": reason.action,
        "message": reason.message,
        "count": reason.count,
        "findings": list(reason.findings),
    }
