# SPDX-License-Identifier: Apache-2.0
"""A verdict with everything that a report has to show, hostile names included."""

from __future__ import annotations

from sifgate.model.decision import Action, Decision
from sifgate.model.finding import Finding, Severity
from sifgate.model.image import CoverageFacts, OsRelease
from sifgate.model.verdict import Coverage, EndOfLife, Generation, ScanState, Standing, Verdict

FINGERPRINT = "9f2c41a7" * 8
FINDINGS = (
    Finding("CVE-2024-1", "zlib1g", "1:1.2.11", Severity.LOW, manager="dpkg", arch="amd64"),
    Finding(
        "CVE-2025-48384",
        "git",
        "1:2.30.2-1+deb11u2",
        Severity.HIGH,
        aliases=("DSA-1",),
        source="git",
        arch="amd64",
        manager="dpkg",
        fixed_version="1:2.30.2-1+deb11u5",
        kev=True,
        kev_added="2025-08-25",
        cvss=8.1,
        published="2025-07-08",
        link="https://security-tracker.debian.org/tracker/CVE-2025-48384",
    ),
    Finding(
        "CVE-2025-2",
        "evil\x1b[2J\x1b]0;pwned\x07[red]pkg[/red]",
        "1\u202e2\n",
        Severity.HIGH,
        fixed_version="3\r",
    ),
    Finding("CVE-2025-3", "openssl", "3.0.1", Severity.CRITICAL, fixed_version="3.0.7", manager="dpkg"),
    Finding("CVE-2025-4", "linux-libc-dev", "5.10", Severity.HIGH, manager="dpkg"),
)
VERDICT = Verdict(
    fingerprint=FINGERPRINT,
    state=ScanState.KNOWN,
    findings=FINDINGS,
    coverage=Coverage(
        distribution="Debian GNU/Linux 11 (bullseye)",
        advisories=True,
        packages={"dpkg": 330, "python": 3},
        updaters={"debian/updater": "2026-11-20T00:00:00Z"},
    ),
    os_release=OsRelease("debian", "11", "bullseye", "Debian GNU/Linux 11 (bullseye)"),
    end_of_life=EndOfLife("debian 11", "2024-08-14", "2026-08-31"),
    facts=CoverageFacts(managers=("dpkg",)),
    clair_version="v4.9.0",
    generation=Generation("g1", "2026-11-20T00:00:00Z", "2026-11-19", "2026-11-01"),
    scanned_at="2026-11-22T12:00:00Z",
)
STANDING = Standing(
    state=ScanState.KNOWN, verdict=VERDICT, fingerprint=FINGERPRINT, digest="sha256:" + "ab" * 32
)
SUPPRESSED = (4,)
DECISION = Decision(Action.LOG, Action.BLOCK)
