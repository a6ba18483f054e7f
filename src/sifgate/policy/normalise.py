# SPDX-License-Identifier: Apache-2.0
"""Severity as the policy wants it read: by its own order of sources, unrated ones as it says; pure.

Aliases are normalised before, by the server. The server's order gives `Finding.severity`; where the policy wants the
same, findings are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sifgate.model.finding import Finding, Severity
from sifgate.policy.settings import DEFAULT_ORDER, SeveritySettings


def normalised(findings: Sequence[Finding], settings: SeveritySettings) -> Sequence[Finding]:
    """Return the findings with the severity that the settings give them; the same objects where nothing changes."""
    if settings.is_default:
        return findings
    return [_with(finding, severity_of(finding, settings)) for finding in findings]


def severity_of(finding: Finding, settings: SeveritySettings) -> Severity:
    """Return the word of the first source of the order that has one; without ratings the server's."""
    severity = finding.severity
    if finding.ratings and settings.source_order != DEFAULT_ORDER:
        by_source = {rating.source: rating.severity for rating in finding.ratings}
        known = (by_source.get(source, Severity.UNKNOWN) for source in settings.source_order)
        severity = next(filter(None, known), Severity.UNKNOWN)
    return severity or settings.unknown_as


def _with(finding: Finding, severity: Severity) -> Finding:
    if severity is finding.severity:
        return finding
    return msgspec.structs.replace(finding, severity=severity)
