# SPDX-License-Identifier: Apache-2.0
"""Strategies for whole situations: policies with every kind of clock and scope, verdicts, launches, moments.

Values come from small pools on purpose, so that rules, exceptions and findings meet, and moments fall on borders.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import strategies as st
from tests.unit.policy.builders import FINGERPRINT

from sifgate.model.finding import Finding, Rating, Score, Severity
from sifgate.model.image import ImageFacts, ImageReference, OsRelease, ReferenceKind
from sifgate.model.launch import Door, Grant, JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import (
    Coverage,
    EndOfLife,
    FailureCause,
    Generation,
    ScanState,
    Standing,
    Verdict,
)
from sifgate.policy.document import Policy
from sifgate.policy.load import policy_of
from sifgate.policy.sources import PolicySources, Role, SourceFile
from sifgate.verdict import digest

ACTIONS = ("allow", "log", "warn", "block")
KEY = "1" * 40
DAYS = ("2026-08-31", "2026-09-01", "2026-09-02", "2026-09-08", "2026-09-30", "2026-10-01")
MOMENTS = tuple(
    datetime.fromisoformat(day).replace(tzinfo=timezone.utc) + timedelta(milliseconds=shift)
    for day in DAYS
    for shift in (-1, 0, 1, 43_200_000)
)
ZONES = tuple(timezone(timedelta(hours=hours)) for hours in (-12, -5, 0, 2, 14))
OF_FINDINGS: tuple[dict[str, Any], ...] = (
    {"severity": ">= high"},
    {"severity": ["unknown"]},
    {"fixable": True},
    {"kev": True},
    {"cvss": ">= 7.0"},
    {"cvss": {"score": ">= 7.0", "version": "3.1"}},
    {"epss": ">= 0.1"},
    {"cve": ["CVE-2025-0001", "GHSA-2222-2222-2222"]},
    {"package": "git*"},
    {"package": {"manager": "dpkg"}},
    {"published": {"for": ">= 1d"}},
    {"fix_age": {"within": "7d"}},
    {"first_seen": {"of": "site", "for": ">= 7d"}},
    {"support_ended": True},
    {"not": {"package": "git"}},
    {"any": [{"kev": True}, {"epss": ">= 0.1"}]},
)
OF_IMAGES: tuple[dict[str, Any], ...] = (
    {"count": {"severity": ">= high", "over": 1}},
    {"distro": {"eol": True}},
    {"distro": {"eol": True, "within": "7d"}},
    {"image_age": ">= 1d"},
    {"scan_state": ["partial", "stale"]},
    {"coverage": {"advisories": False}},
    {"all": [{"distro": {"id": "debian"}}, {"kev": True}]},
)
GRACES = ("published", "fix_available", "first_seen_image", "first_seen_site", "kev_added")
MATCHES: tuple[dict[str, Any], ...] = (
    {"user": "alice"},
    {"group": ["bio"]},
    {"account": ["a1"]},
    {"partition": "secure"},
    {"qos": "debug"},
    {"reservation": "maint"},
    {"door": "wrapper"},
    {"point": "submit"},
    {"path": "/apps/**"},
    {"owner": "root"},
    {"signed_by": KEY},
)


@st.composite
def rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw one to four rules."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        when: dict[str, Any] = {}
        for pool in (OF_FINDINGS, OF_IMAGES):
            for part in draw(st.lists(st.sampled_from(pool), max_size=2)):
                when |= part
        rule: dict[str, Any] = {
            "id": f"r{number}",
            "when": when or {"kev": True},
            "action": draw(schedules()),
            "on_unknown": draw(st.sampled_from(("skip", "match"))),
        }
        about_findings = any(key in part for part in OF_FINDINGS for key in rule["when"])
        if about_findings and draw(st.booleans()):
            rule["grace"] = {
                "after": draw(st.sampled_from(GRACES)),
                "days": draw(st.sampled_from((1, 7, 30))),
            }
        found.append(rule)
    return found


@st.composite
def schedules(draw: st.DrawFn) -> Any:
    """Draw an action, or one that is promoted by date."""
    first, second = sorted(draw(st.tuples(st.integers(0, 3), st.integers(0, 3))))
    if draw(st.booleans()) or first == second:
        return ACTIONS[second]
    return {"now": ACTIONS[first], draw(st.sampled_from(DAYS)): ACTIONS[second]}


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw a policy with scopes, trust, ceilings, break-glass, a budget and exceptions."""
    ruled = draw(rules())
    document: dict[str, Any] = {
        "schema": "sifgate.policy/v1",
        "mode": draw(st.sampled_from(("audit", "warn", "enforce"))),
        "rules": ruled,
        "signatures": {"keyring": "keys.gpg"},
        "enforcement_points": {"submit": draw(st.sampled_from(("warn", "inherit")))},
        "suppress": {"kernel_headers": draw(st.booleans())},
    }
    if draw(st.booleans()):
        document["severity"] = {"source_order": ["nvd", "distro"], "unknown_as": "high"}
    if draw(st.booleans()):
        document["break_glass"] = {"groups": ["oncall"], "max_duration": "4h"}
    if draw(st.booleans()):
        document["fail_open_budget"] = {"per_hour": 1, "then": "block"}
    if draw(st.booleans()):
        document["freshness"] = {"scan_max_age": "7d", "advisories_max_age": {"warn": "1d", "block": "30d"}}
    if draw(st.booleans()):
        match = {"path": "/apps/**", "owner": "root"}
        document["trust"] = [{"id": "t", "match": match, "skip": draw(st.sampled_from(("rules", "all")))}]
    scopes = draw(st.lists(st.sampled_from(MATCHES), max_size=3))
    if scopes:
        document["scopes"] = [
            {"id": f"s{number}", "match": match, "set": {"mode": draw(st.sampled_from(("audit", "enforce")))}}
            for number, match in enumerate(scopes)
        ]
    files = [SourceFile("p.yaml", Role.POLICY, json.dumps(document).encode())]
    entries = draw(exceptions())
    if entries:
        content = json.dumps({"schema": "sifgate.exceptions/v1", "exceptions": entries})
        files.append(SourceFile("e.yaml", Role.EXCEPTION, content.encode()))
    return policy_of(PolicySources(tuple(files)))


@st.composite
def exceptions(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw up to two exceptions."""
    found = []
    for number in range(draw(st.integers(0, 2))):
        entry: dict[str, Any] = {
            "id": f"E-{number}",
            "vulnerability": [
                draw(st.sampled_from(("CVE-2025-0001", "CVE-2025-0002", "GHSA-2222-2222-2222")))
            ],
            "reason": "r",
            "author": "a",
            "approved_by": "b",
            "ticket": "t",
            "created": "2026-08-01",
            "expires": draw(st.sampled_from(DAYS)),
        }
        if draw(st.booleans()):
            entry["scope"] = draw(
                st.sampled_from(({"user": ["alice"]}, {"account": ["a1"]}, {"path": "/apps/**"}))
            )
        if draw(st.booleans()):
            entry["until"] = "fix_available"
        found.append(entry)
    return found


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    """Draw a finding."""
    day = st.sampled_from(("", *DAYS))
    score = draw(st.sampled_from((-1.0, 6.9, 7.0, 10.0)))
    return Finding(
        vulnerability=draw(st.sampled_from(("CVE-2025-0001", "CVE-2025-0002", "CVE-2025-0003"))),
        package=draw(st.sampled_from(("git", "git-man", "linux-libc-dev"))),
        version="1",
        severity=draw(st.sampled_from(list(Severity))),
        aliases=draw(st.sampled_from(((), ("GHSA-2222-2222-2222",)))),
        manager=draw(st.sampled_from(("dpkg", "python"))),
        fixed_version=draw(st.sampled_from(("", "2"))),
        kev=draw(st.booleans()),
        kev_added=draw(day),
        cvss=score,
        scores=(Score("3.1", score),) if score >= 0 and draw(st.booleans()) else (),
        ratings=draw(st.sampled_from(((), (Rating("nvd", Severity.CRITICAL),)))),
        epss=draw(st.sampled_from((-1.0, 0.05, 0.1))),
        published=draw(day),
        fix_available=draw(day),
        first_seen_image=draw(day),
        first_seen_site=draw(day),
        support_ended=draw(st.sampled_from((None, True, False))),
    )


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """Draw a verdict, a state or a cause."""
    if draw(st.integers(0, 9)) == 0:
        return Standing(state=draw(st.sampled_from((ScanState.PENDING, ScanState.UNSUPPORTED))))
    if draw(st.integers(0, 9)) == 0:
        return Standing(
            cause=draw(st.sampled_from((FailureCause.SERVER_UNREACHABLE, FailureCause.CLAIR_UNAVAILABLE)))
        )
    return known(
        tuple(draw(st.lists(findings(), max_size=5))), draw(st.sampled_from(("2026-08-31", "2026-09-07", "")))
    )


def known(found: tuple[Finding, ...], lts: str = "2026-08-31") -> Standing:
    """Return the standing of a verdict with these findings."""
    verdict = Verdict(
        fingerprint=FINGERPRINT,
        state=ScanState.KNOWN,
        findings=found,
        coverage=Coverage(distribution="Debian 11", advisories=True, packages={"dpkg": 3}),
        os_release=OsRelease(id="debian", version_id="11"),
        end_of_life=EndOfLife(lts=lts),
        generation=Generation(id="g", advisories="2026-08-31T00:00:00Z", kev="2026-08-01", epss="2026-08-01"),
        scanned_at="2026-08-31T12:00:00Z",
    )
    body = digest.canonical(verdict)
    return Standing(
        state=ScanState.KNOWN, verdict=verdict, fingerprint=FINGERPRINT, digest=digest.digest(body)
    )


@st.composite
def launches(draw: st.DrawFn) -> LaunchEvent:
    """Draw a launch."""
    return LaunchEvent(
        door=draw(st.sampled_from(list(Door))),
        requester=Requester(
            uid=1000,
            user=draw(st.sampled_from(("alice", "bob"))),
            groups=draw(st.sampled_from(((), ("bio",)))),
            trusted=draw(st.booleans()),
        ),
        reference=ImageReference("x", ReferenceKind.PATH, draw(st.sampled_from(("/apps/x", "/tmp/x")))),
        job=JobFacts(
            partition=draw(st.sampled_from(("", "secure"))),
            account=draw(st.sampled_from(("", "a1"))),
            qos=draw(st.sampled_from(("", "debug"))),
            reservation=draw(st.sampled_from(("", "maint"))),
        ),
        image=ImageFacts(
            owner=draw(st.sampled_from(("", "root", "alice"))),
            created=draw(st.sampled_from(("", "2026-08-31T00:00:00Z"))),
            signers=draw(st.sampled_from((None, (), (KEY,)))),
        ),
        grant=draw(st.sampled_from((None, GRANT))),
        budget_spent=draw(st.booleans()),
    )


GRANT = Grant("g", 1000, "why", "olga", "2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z")


def moments() -> st.SearchStrategy[datetime]:
    """Draw a moment at or beside a border, in some time zone."""
    return st.builds(lambda at, zone: at.astimezone(zone), st.sampled_from(MOMENTS), st.sampled_from(ZONES))


def without(policy: Policy, **changes: Any) -> Policy:
    """Return a policy with some members replaced; its digest is not renewed."""
    return msgspec.structs.replace(policy, **changes)
