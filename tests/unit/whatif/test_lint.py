# SPDX-License-Identifier: Apache-2.0
"""Lint says what does nothing, where, and what to do; and keeps silent about what is in order."""

from __future__ import annotations

from datetime import datetime, timezone

import msgspec
import pytest
from tests.unit.policy.builders import EVERYTHING, ROOT

from sifgate.policy.load import load_with_sources, policy_of
from sifgate.policy.preset import PRESETS, preset_path
from sifgate.policy.sources import PolicySources, Role, SourceFile
from sifgate.whatif.lint.complaint import Complaint
from sifgate.whatif.lint.run import lint

NOW = datetime(2026, 9, 1, 12, tzinfo=timezone.utc)
HEAD = "schema: sifgate.policy/v1\nmode: enforce\n"
EXCEPTION = "{id: E1, vulnerability: CVE-2026-0001, reason: r, author: a, created: 2026-08-01, expires: %s}"


def complaints(
    text: str, exceptions: str = "", vex: object = None, used: frozenset[str] | None = None
) -> list[Complaint]:
    """Return what lint says of a policy, its exceptions and one VEX document."""
    files = [SourceFile("policy.yaml", Role.POLICY, (HEAD + text).encode())]
    if exceptions:
        content = "schema: sifgate.exceptions/v1\nexceptions:\n" + exceptions
        files.append(SourceFile("exceptions.d/a.yaml", Role.EXCEPTION, content.encode()))
    if vex is not None:
        files.append(SourceFile("vex/a.json", Role.VEX, msgspec.json.encode(vex)))
    sources = PolicySources(files=tuple(files))
    return lint(policy_of(sources), sources, NOW, used)


def rules(*lines: str) -> str:
    """Return a policy with these rules, one a line from line 4 on."""
    return "rules:\n" + "".join(f"  - {line}\n" for line in lines)


ONE = "{id: one, when: {severity: '>= high'}, action: block}"


@pytest.mark.parametrize("path", [ROOT / "etc/sifgate/policy.yaml", *map(preset_path, PRESETS)])
def test_nothing_is_wrong_with_what_is_shipped(path: object) -> None:
    """No preset does anything in vain."""
    sources, policy = load_with_sources(path)  # type: ignore[arg-type]
    assert not lint(policy, sources, NOW)


@pytest.mark.parametrize(
    ("text", "check", "line"),
    [
        (rules(ONE, "{id: two, when: {severity: '>= critical'}, action: warn}"), "rule-shadowed", 5),
        (
            rules(ONE, "{id: two, when: {severity: '= high', fixable: true}, action: block}"),
            "rule-shadowed",
            5,
        ),
        (rules("{id: two, when: {severity: '>= high'}, action: block}", ONE), "rule-shadowed", 5),
        (
            rules(ONE, "{id: two, when: {severity: '= high'}, action: {now: log, 2027-01-01: block}}"),
            "rule-shadowed",
            5,
        ),
        (
            rules(
                "{id: a, when: {count: {over: 5}}, action: warn}",
                "{id: b, when: {count: {severity: '= high', over: 9}}, action: warn}",
            ),
            "rule-shadowed",
            5,
        ),
        (rules("{id: a, when: {all: [{kev: true}, {kev: false}]}, action: warn}"), "rule-never-matches", 4),
        (
            rules("{id: a, when: {all: [{epss: '>= 0.5'}, {epss: '< 0.5'}]}, action: warn}"),
            "rule-never-matches",
            4,
        ),
        (
            rules("{id: a, when: {severity: '= low', not: {severity: '<= high'}}, action: warn}"),
            "rule-never-matches",
            4,
        ),
        (
            rules("{id: a, when: {scan_state: [pending], severity: '= low'}, action: warn}"),
            "rule-never-matches",
            4,
        ),
        (
            rules("{id: a, when: {fixable: false}, grace: {after: fix_available, days: 3}, action: warn}"),
            "rule-never-matches",
            4,
        ),
        (rules("{id: a, when: {kev: true}, action: {now: log, 2026-09-01: warn}}"), "promotion-passed", 4),
        (
            rules("{id: a, when: {kev: true}, action: {now: log, 2026-08-01: warn, 2027-01-01: block}}"),
            "promotion-passed",
            4,
        ),
        (rules("{id: a, when: {kev: true}, action: allow}"), "rule-allows", 4),
        (
            rules(ONE)
            + "scopes:\n  - {id: a, match: {user: [x, y]}, set: {mode: warn}}\n"
            + "  - {id: b, match: {user: x, door: spank}, set: {mode: audit}}\n",
            "scope-never-matches",
            7,
        ),
        (
            rules(ONE) + "scopes:\n  - {id: a, match: {door: guard, point: submit}, set: {mode: warn}}\n",
            "scope-never-matches",
            6,
        ),
        (
            rules(ONE) + "scopes:\n  - {id: a, match: {user: x}, set: {mode: enforce}}\n",
            "scope-changes-nothing",
            6,
        ),
    ],
)
def test_what_does_nothing_is_named_with_its_place(text: str, check: str, line: int) -> None:
    """Each check, its line, and a remedy."""
    (complaint,) = complaints(text)
    assert (complaint.check, complaint.place) == (check, f"policy.yaml:{line}")
    assert complaint.text
    assert complaint.remedy


@pytest.mark.parametrize(
    "text",
    [
        rules(
            "{id: two, when: {severity: '>= high'}, action: warn}",
            "{id: one, when: {kev: true}, action: block}",
        ),
        rules(ONE, "{id: two, when: {severity: '= high'}, on_unknown: match, action: warn}"),
        rules(
            "{id: a, when: {kev: true}, grace: {after: kev_added, days: 9}, action: block}",
            "{id: b, when: {kev: true}, action: warn}",
        ),
        rules(
            "{id: a, when: {kev: true}, grace: {after: kev_added, days: 9}, action: warn}",
            "{id: b, when: {kev: true}, grace: {after: kev_added, days: 3}, action: log}",
        ),
        rules(
            "{id: a, when: {kev: true}, action: {now: log, 2027-01-01: block}}",
            "{id: b, when: {kev: true, fixable: true}, action: warn}",
        ),
        rules("{id: a, when: {all: [{kev: true}, {kev: false}]}, on_unknown: match, action: warn}"),
        rules("{id: a, when: {all: [{epss: '>= 0.5'}, {epss: '<= 0.5'}]}, action: warn}"),
        rules("{id: a, when: {severity: '>= high', not: {severity: '= high'}}, action: warn}"),
        rules("{id: a, when: {scan_state: [pending, partial], severity: '= low'}, action: warn}"),
        rules(ONE)
        + "scopes:\n  - {id: a, match: {user: x, door: spank}, set: {mode: warn}}\n"
        + "  - {id: b, match: {user: x}, set: {mode: audit}}\n",
    ],
)
def test_what_may_matter_is_left_alone(text: str) -> None:
    """Lint claims only what is certain."""
    assert not complaints(text)


def test_everything_at_once_can_be_linted() -> None:
    """A policy that uses every key."""
    body = EVERYTHING.partition("\n")[2].partition("\n")[2]
    assert complaints(body) is not None


@pytest.mark.parametrize(
    ("expires", "checks"),
    [
        ("2026-08-31", ["exception-expired"]),
        ("2026-09-01", ["exception-expiring"]),
        ("2026-09-14", ["exception-expiring"]),
        ("2026-09-15", []),
    ],
)
def test_exceptions_are_announced_before_they_end(expires: str, checks: list[str]) -> None:
    """The site's `announce` decides from when on."""
    text = "exceptions: {announce: 14d}\n" + rules(ONE)
    found = complaints(text, f"  - {EXCEPTION % expires}\n")
    assert [complaint.check for complaint in found] == checks
    assert all(complaint.place == "exceptions.d/a.yaml:3" for complaint in found)


def test_exceptions_that_nobody_used_are_named_if_that_is_known() -> None:
    """Without a log nothing is said of it."""
    entry = f"  - {EXCEPTION % '2027-01-01'}\n"
    assert [each.check for each in complaints(rules(ONE), entry, used=frozenset())] == ["exception-unused"]
    assert not complaints(rules(ONE), entry, used=frozenset({"E1"}))


def test_an_exception_inside_another_is_named() -> None:
    """The wider one does its work."""
    wide = EXCEPTION % "2027-01-01"
    narrow = wide.replace("E1", "E2").replace("reason", "scope: {user: x}, reason")
    (complaint,) = complaints(rules(ONE), f"  - {narrow}\n  - {wide}\n")
    assert (complaint.check, complaint.place) == ("exception-shadowed", "exceptions.d/a.yaml:3")


def test_documents_of_strangers_are_named() -> None:
    """They count for nothing."""
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://x.example/1",
        "author": "stranger",
        "timestamp": "2026-08-01T00:00:00Z",
        "version": 1,
        "statements": [
            {
                "vulnerability": {"name": "CVE-2026-0001"},
                "products": [{"@id": "pkg:deb/debian/git"}],
                "status": "not_affected",
                "justification": "component_not_present",
            }
        ],
    }
    text = "vex: {trusted_authors: [friend]}\n" + rules(ONE)
    (complaint,) = complaints(text, vex=document)
    assert (complaint.check, complaint.place) == ("vex-untrusted", "vex/a.json:1")
    assert not complaints(text.replace("friend", "stranger"), vex=document)
