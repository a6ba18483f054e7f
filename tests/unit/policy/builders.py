# SPDX-License-Identifier: Apache-2.0
"""Values for the policy's tests: policies from text, standings and launches from plain mappings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.model.finding import Finding, Severity
from sifgate.model.image import ImageReference, OsRelease, ReferenceKind
from sifgate.model.launch import Door, JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import (
    Coverage,
    EndOfLife,
    Generation,
    ScanState,
    Standing,
    Verdict,
)
from sifgate.policy.document import Policy
from sifgate.policy.read import policy_from

ROOT = Path(__file__).resolve().parents[3]
NOON = datetime(2026, 9, 1, 12, tzinfo=timezone.utc)
FINGERPRINT = "9f2c41a7" * 8
EVERYTHING = """\
schema: sifgate.policy/v1
mode: enforce
default_action: log
content_injected: warn
contact: security@site.example
scan_wait: 10s
pending_passes: 3
prolog_refuse: true
suppress: {kernel_headers: false}
scan_states: {pending: log, unscannable: {malformed: block}}
failure: {agent_unreachable: block}
metadata: {name: n, owner: security@site.example, revision: "2026-11-22.1"}
severity: {source_order: [vex, distro, nvd], unknown_as: medium}
freshness: {scan_max_age: 7d, advisories_max_age: {log: 1h, warn: 48h, block: 30d}}
extended_support: [debian, ubuntu]
vex: {directory: vex, trusted_authors: ["security@site.example", "Red Hat*"]}
exceptions: {directory: e, writable_by: {group: g}, max_days: 90, announce: 14d, require: [ticket], self_approval: true}
signatures: {keyring: keys.gpg}
fail_open_budget: {per_hour: 50, then: block}
enforcement_points: {submit: warn, prolog: inherit, launch: block, guard: log, cli: allow}
break_glass: {groups: [oncall], max_duration: 4h, require_reason: true}
trust:
  - {id: t, match: {path: "/apps/containers/**", owner: [root]}, skip: rules}
  - {id: u, match: {signed_by: "1111 1111 1111 1111 1111 1111 1111 1111 1111 1111"}, skip: all}
rules:
  - {id: a, when: {severity: ">= high", fixable: true, kev: false, package: [a, "b*"]}, action: warn, message: m}
  - {id: b, when: {count: {severity: [low], kev: true, over: 3}, distro: {eol: true, for: ">= 9d"}}, action: block}
  - {id: c, when: {package: {name: x, source: [y], manager: [dpkg, rpm]}}, on_unknown: match, action: log}
  - {id: d, when: {distro: {eol: true, within: 5d, id: [debian, ubuntu], version: "11"}}, action: log}
  - {id: e, when: {severity: " = Unknown "}, action: log}
  - id: f
    when: {any: [{cvss: ">= 7.0"}, {cvss: {score: "< 4.0", version: ["3.x", "2.0"]}, epss: ">= 0.1"}]}
    action: log
  - {id: g, when: {all: [{cve: CVE-2021-44228}, {not: {cve: [GHSA-jfh8-c2jp-5v3q], support_ended: true}}]}, action: log}
  - {id: h, when: {published: {for: 30d}, fix_age: {within: 9d}, first_seen: {of: site, for: ">= 7d"}}, action: log}
  - {id: i, when: {image_age: ">= 365d", scan_age: "> 7d", advisories_age: "< 48h", owner: [root, a]}, action: log}
  - id: j
    when: {scan_state: [partial], coverage: {advisories: false, distribution: true, managers: dpkg}}
    action: log
  - {id: k, when: {distro: {eol: true, support: extended}}, action: log}
  - {id: l, when: {package: {ecosystem: [deb], purl: "pkg:deb/debian/a*", path: ["/opt/**"]}}, action: log}
  - {id: m, when: {count: {any: [{kev: true}, {epss: "> 0.5"}], not: {fixable: false}, over: 2}}, action: log}
  - id: n
    when: {kev: true}
    grace: {after: kev_added, days: 14}
    action: {now: log, 2026-10-01: warn, "2026-12-01": block}
scopes:
  - id: s
    match: {user: a, group: [b], account: [c], partition: d}
    set: {mode: audit, default_action: allow, scan_states: {unscannable: log}, failure: {}, rules: {a: block}}
  - id: t
    match:
      {qos: q, reservation: [r], door: [guard, spank], point: cli, path: "/a/*", owner: o,
       signed_by: ["2222222222222222222222222222222222222222"]}
    set:
      enforcement_points: {submit: inherit}
      freshness: {scan_max_age: {block: 9d}}
      rules: {n: {now: warn, 2027-01-01: block}}
"""
"""A policy that uses every key of the vocabulary."""


def policy(text: str, *more: str) -> Policy:
    """Return the policy of a main file, and drop-ins, with these contents; `schema` is put on top."""
    names = ("policy.yaml", *(f"policy.d/{number}.yaml" for number in range(len(more))))
    contents = (f"schema: sifgate.policy/v1\n{content}".encode() for content in (text, *more))
    pairs = zip(names, contents, strict=True)
    return policy_from([yamlfile.parse(content, name, failure=PolicyError) for name, content in pairs])


def finding(**fields: Any) -> Finding:
    """Return a finding of git 1.0; `fixed_version=""` for one without a fix."""
    given: dict[str, Any] = {
        "vulnerability": "CVE-2025-48384",
        "package": "git",
        "version": "1.0",
        "severity": Severity.HIGH,
        "source": "git",
        "manager": "dpkg",
        "fixed_version": "1.1",
    }
    return Finding(**(given | fields))


def standing(*findings: Finding, state: ScanState = ScanState.KNOWN, **fields: Any) -> Standing:
    """Return the standing of a Debian 11 image with these findings; `fields` go into its verdict."""
    given: dict[str, Any] = {
        "coverage": Coverage(distribution="Debian GNU/Linux 11 (bullseye)", advisories=True),
        "os_release": OsRelease(id="debian", version_id="11", codename="bullseye"),
        "end_of_life": EndOfLife(product="debian", eol="2024-08-14", lts="2026-08-31"),
        "generation": Generation(id="g1", kev="2026-08-01"),
    }
    verdict = Verdict(fingerprint=FINGERPRINT, state=state, findings=findings, **(given | fields))
    return Standing(state=state, verdict=verdict, fingerprint=FINGERPRINT, digest="sha256:" + "0" * 64)


def launch(**fields: Any) -> LaunchEvent:
    """Return alice's launch of her image through SPANK; `fields` replace or add."""
    given: dict[str, Any] = {
        "door": Door.SPANK,
        "requester": Requester(uid=1000, user="alice", groups=("alice", "bio"), trusted=True),
        "reference": ImageReference("sci.sif", ReferenceKind.PATH, "/scratch/alice/sci.sif"),
        "job": JobFacts(job_id=7, step_id=0, partition="batch", account="bio01"),
    }
    return LaunchEvent(**(given | fields))


def words(actions: Iterable[Any]) -> list[str]:
    """Return the ids of the rules that gave reasons, in order."""
    return [reason.rule for reason in actions]
