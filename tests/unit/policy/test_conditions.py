# SPDX-License-Identifier: Apache-2.0
"""Single conditions and suppressions where the case tables would be long."""

from __future__ import annotations

from itertools import product

import pytest
from tests.unit.policy.builders import NOON, finding, launch, policy, standing

from sifgate.model.decision import Action
from sifgate.model.finding import Severity
from sifgate.model.verdict import EndOfLife
from sifgate.policy.conditions.distro import last_day
from sifgate.policy.conditions.family import Truth
from sifgate.policy.conditions.vocabulary import FAMILIES, VOCABULARY
from sifgate.policy.evaluate import evaluate
from sifgate.policy.suppress import is_kernel_header, partition

SCALE = [Severity.NEGLIGIBLE, Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL]
OPERATORS = {
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
    "=": lambda a, b: a == b,
}
BEYOND = {(">", Severity.CRITICAL), ("<", Severity.NEGLIGIBLE)}
"""Nothing is there; the loader refuses it."""
BORDERS = [pair for pair in product(OPERATORS, SCALE) if pair not in BEYOND]


@pytest.mark.parametrize(("sign", "border"), BORDERS, ids=str)
def test_severity_compares_at_every_border(sign: str, border: Severity) -> None:
    """Each sign with each border against each severity, and unknown never matches a comparison."""
    expected = [severity for severity in SCALE if OPERATORS[sign](severity, border)]
    text = f"mode: enforce\nrules: [{{id: s, when: {{severity: '{sign} {border.name.lower()}'}}, action: block}}]"
    site = policy(text)
    for severity in Severity:
        decision = evaluate(site, standing(finding(severity=severity)), launch(), NOON)
        assert (decision.action is Action.BLOCK) is (severity in expected), severity
        assert decision.undecided == (("s",) if severity is Severity.UNKNOWN else ())


@pytest.mark.parametrize(
    ("package", "source", "manager", "hidden"),
    [
        ("linux-libc-dev", "linux", "dpkg", True),
        ("linux-libc-dev", "", "dpkg", True),
        ("linux-libc-dev-arm64-cross", "linux", "dpkg", True),
        ("linux-headers-amd64", "linux-signed-amd64", "dpkg", True),
        ("linux-headers-5.10.0-9-common", "linux", "dpkg", True),
        ("linux-aws-headers-5.4.0-1009", "linux-aws", "dpkg", True),
        ("linux-headers", "", "apk", True),
        ("kernel-headers", "kernel", "rpm", True),
        ("kernel-devel", "kernel", "rpm", True),
        ("kernel-default-devel", "kernel-default", "rpm", True),
        ("linux-glibc-devel", "linux-glibc-devel", "rpm", True),
        ("linux-image-amd64", "linux", "dpkg", False),
        ("linux-perf", "linux", "dpkg", False),
        ("kernel", "kernel", "rpm", False),
        ("kernel-core", "kernel", "rpm", False),
        ("libc6-dev", "glibc", "dpkg", False),
        ("linux-libc-dev", "openssl", "dpkg", False),
        ("linux-headers", "", "python", False),
        ("not-linux-headers", "linux", "dpkg", False),
        ("util-linux", "util-linux", "dpkg", False),
    ],
)
def test_kernel_headers_are_known_by_name_and_source(
    package: str, source: str, manager: str, *, hidden: bool
) -> None:
    """Headers, sources and manuals of the kernel; not the kernel's own programs, not a name that somebody borrowed."""
    assert is_kernel_header(package, source, manager) is hidden


def test_suppression_can_be_switched_off() -> None:
    """A site that builds kernel modules in containers may want them counted."""
    headers = finding(package="linux-libc-dev", source="linux")
    assert partition([headers], kernel_headers=True) == ([], [headers])
    assert partition([headers], kernel_headers=False) == ([headers], [])
    site = policy(
        "mode: enforce\nsuppress: {kernel_headers: false}\nrules: [{id: any, when: {count: {over: 0}}, action: block}]"
    )
    decision = evaluate(site, standing(headers), launch(), NOON)
    assert (decision.action, decision.suppressed) == (Action.BLOCK, 0)


@pytest.mark.parametrize(
    ("eol", "lts", "last"),
    [
        ("2024-08-14", "2026-08-31", "2026-08-31"),
        ("2026-08-31", "", "2026-08-31"),
        ("2026-08-31", "2024-08-14", "2026-08-31"),
        ("", "", None),
        ("soon", "", None),
        ("2026-02-30", "2026-01-01", "2026-01-01"),
        ("20260831", "", None),
        ("٢٠٢٦-08-31", "", None),
    ],
)
def test_end_of_life_is_the_later_date(eol: str, lts: str, last: str | None) -> None:
    """Long-term support counts; what is no date counts as missing."""
    day = last_day(EndOfLife(eol=eol, lts=lts))
    assert (None if day is None else day.isoformat()) == last


def test_support_without_end_never_ends() -> None:
    """The last day of the calendar is a way to say never, and overflows nothing."""
    site = policy("mode: enforce\nrules: [{id: eol, when: {distro: {eol: true, for: 9999d}}, action: block}]")
    decision = evaluate(site, standing(end_of_life=EndOfLife(eol="9999-12-31")), launch(), NOON)
    assert (decision.action, decision.valid_until) == (Action.ALLOW, "")


def test_logic_is_three_valued() -> None:
    """Conjunction is the least of its parts."""
    assert min(Truth.TRUE, Truth.UNKNOWN) is Truth.UNKNOWN
    assert min(Truth.UNKNOWN, Truth.FALSE) is Truth.FALSE


def test_families_are_registered_once() -> None:
    """Each word of `when` has one family."""
    assert len(VOCABULARY) == len(FAMILIES)


def test_condition_reads_what_it_says() -> None:
    """What a family about findings reads is an attribute of a finding: grouping depends on it."""
    site = policy(
        "mode: audit\nrules:\n- {id: a, when: {severity: '> low', fixable: true, kev: true, package: x}, action: log}\n"
        "- {id: b, when: {count: {package: y, over: 1}}, action: log}\n"
    )
    read = frozenset[str]().union(*(rule.when.reads() for rule in site.rules))
    assert read == {"severity", "fixable", "kev", "package", "source", "manager"}
    assert all(hasattr(finding(), name) for name in read)
