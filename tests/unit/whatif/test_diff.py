# SPDX-License-Identifier: Apache-2.0
"""What changed between two policies is said, all of it, and nothing else."""

from __future__ import annotations

import pytest
from tests.unit.policy.builders import EVERYTHING, policy

from sifgate.whatif.diff import differences

BASE = """\
mode: warn
contact: a@b
rules:
  - {id: kev, when: {kev: true}, action: block}
  - {id: old, when: {severity: ">= high"}, action: warn}
scopes:
  - {id: s, match: {user: x}, set: {default_action: log}}
  - {id: t, match: {user: y}, set: {mode: audit}}
"""


def said(new: str, old: str = BASE) -> list[str]:
    """Return the differences, one a line."""
    return [f"{each.kind} {each.what}: {each.text}" for each in differences(policy(old), policy(new))]


def test_equal_policies_do_not_differ() -> None:
    """Comments and order of keys are no difference."""
    assert not said("# why\n" + BASE)
    everything = EVERYTHING.partition("\n")[2]
    assert not said(everything, everything)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("mode: warn\n", "mode: enforce\n", ["changed mode: warn → enforce"]),
        ("a@b", "c@d", ["changed contact: a@b → c@d"]),
        (
            "action: block",
            "action: {now: log, 2027-01-01: block}",
            ["changed action of rule kev: block → {now: log, 2027-01-01: block}"],
        ),
        (
            "{kev: true}",
            "{kev: false}",
            [
                "changed when of rule kev: {findings: [kev {wanted: true}]} → {findings: [kev {wanted: false}]}"
            ],
        ),
        (
            '  - {id: old, when: {severity: ">= high"}, action: warn}\n',
            "",
            ["removed rule old: asks for warn"],
        ),
        (
            "scopes:",
            "  - {id: new, when: {kev: false}, action: log}\nscopes:",
            ["added rule new: asks for log"],
        ),
        ("{user: x}", "{user: z}", ["changed match of scope s: {user: [x]} → {user: [z]}"]),
        ("default_action: log", "default_action: allow", ["changed default_action of scope s: log → allow"]),
        (
            "rules:",
            "failure: {server_unreachable: block}\nrules:",
            ["changed failure.server_unreachable: log → block"],
        ),
    ],
)
def test_each_change_is_one_sentence(old: str, new: str, expected: list[str]) -> None:
    """Also where scopes inherit it."""
    assert said(BASE.replace(old, new, 1)) == expected


def test_scopes_in_another_order_are_a_change() -> None:
    """The first that matches wins."""
    *head, first, second = BASE.splitlines(keepends=True)
    assert said("".join([*head, second, first])) == ["changed order of scopes: s, t → t, s"]
