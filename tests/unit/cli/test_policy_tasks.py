# SPDX-License-Identifier: Apache-2.0
"""`sifgate policy` on the way from nothing to enforcing: init, simulate, baseline, lint, test."""

from __future__ import annotations

import gzip
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run
from tests.unit.policy.builders import finding, standing
from tests.unit.whatif.conftest import Node, by, image

from sifgate.verdict.digest import canonical

STRICT = """\
schema: sifgate.policy/v1
mode: enforce
exceptions: {directory: exceptions.d, max_days: 60}
rules:
  - {id: kev, when: {kev: true, fixable: true}, action: block}
"""
CASES = """\
text: |
  schema: sifgate.policy/v1
  mode: enforce
  rules: [{id: kev, when: {kev: true}, action: block}]
cases:
  - {name: exploited, image: &bad {findings: [{cve: CVE-2026-1, kev: true}]}, expect: {action: block, rules: [kev]}}
  - {name: "wrong <&> expectation", image: *bad, expect: {action: warn}}
"""


@pytest.fixture
def node(root: Path) -> Node:
    """Return a node with launches of two images, one of which is exploited."""
    node = Node(root)
    bad = node.keep(image(standing(finding(kev=True)), "bad"))
    good = node.keep(image(standing(finding()), "good"))
    for user in ("alice", "bob"):
        node.record(bad, by(user))
        node.record(good, by(user))
    return node


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    """Return a candidate with an empty directory of exceptions."""
    (tmp_path / "exceptions.d").mkdir()
    path = tmp_path / "strict.yaml"
    path.write_text(STRICT)
    return path


SINCE = ("--since", "2026-08-01", "--format", "json")


@pytest.mark.usefixtures("node")
def test_a_simulation_says_whom_a_candidate_would_stop(strict: Path, sifgate: Run) -> None:
    """Numbers, rules, images and users; exit code 1 for launches that would newly be refused."""
    done = sifgate("policy", "simulate", *SINCE, str(strict))
    assert done.code == 1, done.err
    counts = done.document
    assert counts["judged"] == {"launches": 4, "users": 2, "accounts": 2, "images": 2}
    assert counts["newly_refused"] == {"launches": 2, "users": 2, "accounts": 2, "images": 1}
    assert counts["rules"][0]["rule"] == "kev"
    assert counts["affected"][0]["users"] == ["alice", "bob"]
    shown = sifgate("policy", "simulate", "--since", "2026-08-01", str(strict))
    assert "Refused that passed before: 2 launches of 2 users, 2 accounts, 1 images" in shown.out


def test_rotated_and_packed_logs_are_read(node: Node, strict: Path, sifgate: Run) -> None:
    """A month is more than one file."""
    packed = node.log.with_name("audit.jsonl.1.gz")
    packed.write_bytes(gzip.compress(node.log.read_bytes()))
    node.log.write_bytes(b"")
    assert sifgate("policy", "simulate", *SINCE, str(strict)).document["judged"]["launches"] == 4


def test_what_cannot_be_judged_is_no_success(node: Node, strict: Path, sifgate: Run) -> None:
    """Without its verdict a launch is neither refused nor allowed."""
    for file in (node.evidence / "verdicts").iterdir():
        file.write_bytes(b"damaged")
    done = sifgate("policy", "simulate", *SINCE, str(strict))
    assert done.code == 3
    assert sum(done.document["unjudged"].values()) == 4
    assert "NOT JUDGED: 4 launches" in sifgate("policy", "simulate", "--since", "2026-08-01", str(strict)).out


@pytest.mark.parametrize(
    "words", [("missing.yaml",), ("--at", "soon", "x"), ("--reports", "/nowhere", "observe")]
)
def test_a_question_that_makes_no_sense_is_exit_code_2(words: tuple[str, ...], sifgate: Run) -> None:
    """Nothing was simulated, so nothing is said."""
    done = sifgate("policy", "simulate", *words)
    assert (done.code, done.out) == (2, "")


def test_without_a_log_the_remedy_is_named(strict: Path, sifgate: Run) -> None:
    """A node that has recorded nothing is not a clean one."""
    done = sifgate("policy", "simulate", str(strict))
    assert done.code == 2
    assert "--site" in done.err


def test_reports_can_stand_for_launches(strict: Path, tmp_path: Path, sifgate: Run) -> None:
    """Canonical verdicts and documents of `scan`; what is neither is named."""
    reports = tmp_path / "reports"
    reports.mkdir()
    bad = standing(finding(kev=True)).verdict
    assert bad is not None
    (reports / "verdict.json").write_bytes(canonical(bad))
    document = {
        "schema": 1,
        "image": "/images/a.sif",
        "fingerprint": "a" * 64,
        "state": "known",
        "coverage": {"distribution": "Debian", "advisories": True, "packages": {}, "contradictions": [], "omitted": []},
        "findings": [
            {"vulnerability": "CVE-1", "package": "p", "version": "1", "severity": "High", "kev": True, "cvss": None,
             "fixed_version": "2"}
        ],
        "suppressed": [],
    }  # fmt: skip
    (reports / "document.json").write_text(json.dumps(document))
    done = sifgate("policy", "simulate", "--format", "json", "--reports", str(reports), str(strict))
    assert done.code == 1, done.err
    assert done.document["newly_refused"]["launches"] == 2
    (reports / "torn.json").write_text('{"schema": 1, "ima')
    (reports / "check.json").write_text('{"schema": 1, "image": "x", "action": "allow"}')
    done = sifgate("policy", "simulate", "--format", "json", "--reports", str(reports), str(strict))
    assert done.document["unreadable"] == 2
    assert "torn.json" in done.err
    assert "check.json" in done.err


@pytest.mark.usefixtures("node")
def test_with_a_baseline_nothing_is_newly_refused(strict: Path, sifgate: Run) -> None:
    """The way of docs/enforcing.md: simulate, baseline, simulate."""
    output = strict.parent / "exceptions.d/baseline.yaml"
    words = (
        "policy",
        "baseline",
        *SINCE,
        "--ttl",
        "90d",
        "--author",
        "alice",
        "--output",
        str(output),
        str(strict),
    )
    done = sifgate(*words)
    assert done.code == 0, done.err
    assert (done.document["refused_before"], done.document["refused_after"]) == (2, 0)
    assert output.stat().st_mode & 0o777 == 0o644
    after = sifgate("policy", "simulate", *SINCE, "--against", "none", str(strict))
    assert after.code == 0, after.err
    assert after.document["newly_refused"]["launches"] == 0
    again = sifgate(*words)
    assert again.code == 2
    assert "--force" in again.err
    assert sifgate(*words, "--force").code == 0
    assert [path.name for path in output.parent.iterdir()] == ["baseline.yaml"]


@pytest.mark.usefixtures("node")
def test_a_baseline_obeys_what_the_site_asks_of_exceptions(strict: Path, sifgate: Run) -> None:
    """An approver that the policy wants is asked for before anything is written."""
    strict.write_text(STRICT.replace("max_days: 60", "max_days: 60, require: [approved_by]"))
    output = strict.parent / "base.yaml"
    words = ("policy", "baseline", *SINCE, "--author", "alice", "--output", str(output), str(strict))
    done = sifgate(*words)
    assert done.code == 2
    assert "approved_by" in done.out + done.err
    assert not output.exists()
    assert sifgate(*words, "--approved-by", "bob").code == 0


def test_a_first_policy_is_written_once(root: Path, sifgate: Run) -> None:
    """What is there stays, unless told otherwise."""
    done = sifgate("policy", "init", "--preset", "balanced", "--contact", "it's: us")
    assert done.code == 0, done.err
    assert sifgate("policy", "validate", "--format", "json").document["mode"] == "audit"
    before = (root / "etc/policy.yaml").read_bytes()
    assert b"contact: 'it''s: us'" in before
    assert sifgate("policy", "init").code == 2
    assert (root / "etc/policy.yaml").read_bytes() == before
    assert sifgate("policy", "init", "--force").code == 0
    assert (root / "etc/policy.yaml").read_bytes() != before
    assert sifgate("policy", "init", "--force", "--contact", "a\nb").code == 2


def test_lint_says_what_and_where(tmp_path: Path, sifgate: Run) -> None:
    """Exit code 1 for warnings, 0 where there are none, 2 for what cannot be read."""
    path = tmp_path / "p.yaml"
    twice = "  - {id: again, when: {kev: true, fixable: true}, action: warn}\n"
    path.write_text(STRICT.replace("exceptions: {directory: exceptions.d, max_days: 60}\n", "") + twice)
    done = sifgate("policy", "lint", str(path))
    assert done.code == 1, done.err
    assert f"{path}:5: warning: rule again changes nothing" in done.out
    (found,) = sifgate("policy", "lint", "--format", "json", str(path)).document["found"]
    assert (found["check"], found["weight"], found["place"]) == ("rule-shadowed", "warning", f"{path}:5")
    path.write_text(path.read_text().replace(twice, ""))
    assert sifgate("policy", "lint", str(path)).code == 0
    path.write_text("schema: [")
    assert sifgate("policy", "lint", str(path)).code == 2


def test_exceptions_that_a_launch_used_are_known(node: Node, strict: Path, sifgate: Run) -> None:
    """`--used` looks into the log."""
    head = "schema: sifgate.exceptions/v1\nexceptions: [{reason: r, author: a, created: 2026-08-01"
    for name in ("E1", "E2"):
        text = f"{head}, expires: 2026-09-29, id: {name}, vulnerability: CVE-2026-{name}}}]\n"
        (strict.parent / f"exceptions.d/{name}.yaml").write_text(text)
    with node.log.open("a") as file:
        file.write('{"aside":[{"kind":"exception","id":"E1","count":1}]}\n')
    words = ("policy", "lint", "--format", "json", "--at", "2026-08-02", str(strict))
    assert "exception-unused" not in sifgate(*words).out
    found = sifgate(*words, "--used").document["found"]
    assert [(each["check"], "E2" in each["text"]) for each in found] == [("exception-unused", True)]


def test_cases_of_a_site_are_judged(tmp_path: Path, sifgate: Run) -> None:
    """What does not come out is named with its place; JUnit has it too."""
    path = tmp_path / "cases.yaml"
    path.write_text(CASES)
    junit = tmp_path / "out.xml"
    done = sifgate("policy", "test", "--junit", str(junit), str(tmp_path))
    assert done.code == 1, done.err
    assert f"{path}:7: wrong <&> expectation\n  action: expected warn, got block" in done.out
    suite = ET.parse(junit).getroot()[0]  # noqa: S314  # our own
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite] == ["exploited", "wrong <&> expectation"]
    path.write_text(CASES.replace("warn}", "block}"))
    assert sifgate("policy", "test", str(path)).code == 0


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("kev: true}]}", "kve: true}]}", 'cases.yaml:6:65: cases[0].image.findings[0]: unknown key "kve"'),
        ("expect: {action: warn}", "expect: {}", "the case expects nothing"),
        ("exploited", "wrong <&> expectation", "two cases are called"),
        ("rules: [{", "rulse: [{", 'cases.yaml:text:3:1: unknown key "rulse"'),
        ("text: |", "preset: strict\ntext: |", "one of policy, preset, text"),
        ("*bad", "*good", 'no value before this one is called "good"'),
    ],
)
def test_a_bad_table_is_a_located_error(
    old: str, new: str, expected: str, tmp_path: Path, sifgate: Run
) -> None:
    """A slip of the pen is never a case that passes."""
    path = tmp_path / "cases.yaml"
    text = CASES.replace('"wrong <&> expectation"', "wrong <&> expectation")
    path.write_text(text.replace(old, new, 1))
    done = sifgate("policy", "test", str(path))
    assert done.code == 2
    assert expected in done.err


def test_a_difference_is_told_in_words(tmp_path: Path, sifgate: Run) -> None:
    """Exit code 1 where there is one."""
    (tmp_path / "exceptions.d").mkdir()
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(STRICT)
    new.write_text(STRICT.replace("action: block", "action: warn"))
    done = sifgate("policy", "diff", str(old), str(new))
    assert (done.code, done.out) == (1, "changed  action of rule kev: block → warn\n")
    assert sifgate("policy", "diff", str(old), str(old)).code == 0


def test_validation_covers_exceptions_and_vex(strict: Path, sifgate: Run) -> None:
    """Their errors have file, line and column too, and what is there is counted."""
    strict.write_text(STRICT.replace("rules:", "vex: {directory: vex, trusted_authors: [me]}\nrules:"))
    (strict.parent / "vex").mkdir()
    exception = strict.parent / "exceptions.d/a.yaml"
    text = (
        "schema: sifgate.exceptions/v1\nexceptions:\n  - {id: E1, vulnerability: CVE-2026-0001, reason: r, author: a,"
        " created: 2026-08-01, expires: 2026-09-01}\n"
    )
    exception.write_text(text)
    done = sifgate("policy", "validate", str(strict))
    assert done.code == 0, done.err
    assert done.out.rstrip().endswith(", 1 exceptions")
    exception.write_text(text.replace("expires", "expire"))
    done = sifgate("policy", "validate", str(strict))
    assert done.code == 2
    assert f"{exception}:3:" in done.err
    assert 'did you mean "expires"?' in done.err
    exception.write_text(text)
    document = strict.parent / "vex/a.json"
    document.write_text('{"@context": "https://openvex.dev/ns/v0.2.0"')
    done = sifgate("policy", "validate", str(strict))
    assert done.code == 2
    assert str(document) in done.err
