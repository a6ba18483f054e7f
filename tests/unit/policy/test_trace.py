# SPDX-License-Identifier: Apache-2.0
"""`explain`: the decision of `evaluate`, and for each rule what came of it and why."""

from __future__ import annotations

from datetime import date, datetime, timezone

import msgspec
import pytest
from tests.unit.policy.builders import EVERYTHING, NOON, finding, launch, policy, standing

from sifgate.model.decision import Action
from sifgate.model.finding import Severity
from sifgate.model.image import ImageFacts
from sifgate.model.launch import Door, Grant
from sifgate.model.verdict import ScanState, Standing
from sifgate.policy.evaluate import evaluate
from sifgate.policy.exceptions.document import PolicyException
from sifgate.policy.trace import Explanation, RuleState, explain

TEXT = """\
mode: enforce
metadata: {name: site, revision: "3"}
enforcement_points: {submit: warn}
break_glass: {groups: [oncall], max_duration: 4h}
trust: [{id: store, match: {owner: root}, skip: rules}]
rules:
  - {id: kev, when: {kev: true}, grace: {after: kev_added, days: 14}, action: block}
  - {id: critical, when: {severity: ">= critical"}, action: {now: log, 2026-10-01: block}}
  - {id: likely, when: {epss: ">= 0.5"}, action: warn}
  - {id: many, when: {count: {over: 100}}, action: warn}
  - {id: state, when: {scan_state: [pending]}, action: warn}
scopes:
  - {id: bio, match: {group: bio}, set: {rules: {many: log}}}
"""
GRANT = Grant("g1", 1000, "r", "olga", "2026-09-01T11:00:00Z", "2026-09-01T13:00:00Z")


def states(explanation: Explanation) -> dict[str, RuleState]:
    """Return what came of each rule."""
    return {rule.id: rule.state for rule in explanation.rules}


def test_every_rule_says_what_came_of_it_and_why() -> None:
    """Matched, in grace, unknown, not; with counts, dates and who changed the action."""
    known = standing(
        finding(vulnerability="CVE-1", kev=True, kev_added="2026-08-30"),
        finding(vulnerability="CVE-2", kev=True, kev_added="2026-08-25"),
        finding(vulnerability="CVE-3", severity=Severity.CRITICAL),
    )
    explained = explain(policy(TEXT), known, launch(), NOON)
    rules = {rule.id: rule for rule in explained.rules}
    assert states(explained) == {
        "kev": RuleState.IN_GRACE,
        "critical": RuleState.MATCHED,
        "likely": RuleState.UNKNOWN,
        "many": RuleState.NOT_MATCHED,
        "state": RuleState.NOT_MATCHED,
    }
    assert (rules["kev"].in_grace, rules["kev"].grace_until) == (2, "2026-09-08T00:00:00Z")
    assert rules["kev"].why == (
        "2 vulnerabilities are in grace, 14 days after kev_added; the first until 2026-09-08"
    )
    assert (rules["critical"].count, rules["critical"].clock) == (1, "refused from 2026-10-01")
    assert (rules["many"].action, rules["many"].changed) == (Action.LOG, 'scope "bio"')
    assert explained.scope == "bio"
    assert explained.metadata.revision == "3"
    assert explained.at == "2026-09-01T12:00:00Z"


def test_rule_that_matched_says_how_many_are_still_in_grace() -> None:
    """One finding in grace does not shield another, and is not forgotten either."""
    known = standing(
        finding(vulnerability="CVE-1", kev=True, kev_added="2026-08-30"),
        finding(vulnerability="CVE-2", kev=True, kev_added="2026-01-01"),
        finding(vulnerability="CVE-3", kev=False, kev_added="2026-08-31"),
    )
    rule = explain(policy(TEXT), known, launch(), NOON).rules[0]
    assert (rule.state, rule.count, rule.in_grace) == (RuleState.MATCHED, 1, 1)


def test_what_was_set_aside_is_named_at_the_rules_that_it_would_meet() -> None:
    """An admin sees which exception keeps which rule silent."""
    site = policy(
        "mode: enforce\nrules:\n- {id: kev, when: {kev: true}, action: block}\n"
        "- {id: two, when: {count: {over: 1}}, action: warn}\n- {id: git, when: {package: git}, action: log}\n"
    )
    excepting = PolicyException(
        id="SEC-1",
        reason="r",
        author="a",
        created=date(2026, 8, 1),
        expires=date(2026, 9, 30),
        vulnerabilities=("CVE-1",),
    )
    known = standing(
        finding(vulnerability="CVE-1", kev=True),
        finding(vulnerability="CVE-2", package="linux-libc-dev", source="linux"),
    )
    explained = explain(msgspec.structs.replace(site, exceptions=(excepting,)), known, launch(), NOON)
    assert {rule.id: (rule.state.value, rule.aside) for rule in explained.rules} == {
        "kev": ("not", ("exception:SEC-1",)),
        "two": ("not", ("suppressed:kernel_headers", "exception:SEC-1")),
        "git": ("not", ("exception:SEC-1",)),
    }


def test_ceilings_and_grant_are_named_in_order() -> None:
    """What weakened the action is said in words."""
    known = standing(finding(kev=True, kev_added="2026-01-01"))
    site = policy(TEXT)
    assert explain(site, known, launch(), NOON).caps == ()
    assert explain(site, known, launch(door=Door.SUBMIT), NOON).caps == (
        'enforcement point "submit": at most warn',
    )
    assert explain(site, known, launch(grant=GRANT), NOON).caps == (
        'break-glass grant "g1": a warning in place of the refusal',
    )
    warned = policy(TEXT.replace("mode: enforce", "mode: audit"))
    assert explain(warned, known, launch(), NOON).caps == ('mode "audit": at most log',)


def test_rules_that_are_not_asked_say_why() -> None:
    """A trusted store answers for the image, or nobody has scanned it."""
    known = standing(finding(kev=True, kev_added="2026-01-01"))
    explained = explain(policy(TEXT), known, launch(image=ImageFacts(owner="root")), NOON)
    assert set(states(explained).values()) == {RuleState.NOT_ASKED}
    assert explained.rules[0].why == 'the image is in the trusted store "store": rules are not applied'
    pending = explain(policy(TEXT), Standing(state=ScanState.PENDING), launch(), NOON)
    assert states(pending)["state"] is RuleState.MATCHED
    assert states(pending)["kev"] is RuleState.NOT_ASKED
    assert "nobody has scanned" in pending.rules[0].why


@pytest.mark.parametrize(
    "known",
    [standing(finding(kev=True)), standing(), Standing(state=ScanState.PENDING), Standing()],
    ids=["finding", "clean", "pending", "nothing"],
)
def test_explanation_holds_the_very_decision(known: Standing) -> None:
    """The pass is the same one, and the explanation can be written as JSON."""
    site = policy(EVERYTHING.removeprefix("schema: sifgate.policy/v1\n"))
    explained = explain(site, known, launch(), NOON)
    assert explained.decision == evaluate(site, known, launch(), NOON)
    assert msgspec.json.decode(msgspec.json.encode(explained), type=Explanation) == explained
    assert {rule.id for rule in explained.rules} == {rule.id for rule in site.rules}


def test_explanation_needs_a_time_zone() -> None:
    """As the decision does."""
    with pytest.raises(ValueError, match="time zone"):
        explain(policy(TEXT), standing(), launch(), datetime(2026, 9, 1))  # noqa: DTZ001  # the fault under test
    aware = datetime(2026, 9, 1, tzinfo=timezone.utc)
    assert explain(policy(TEXT), standing(), launch(), aware).at == "2026-09-01T00:00:00Z"
