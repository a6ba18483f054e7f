# SPDX-License-Identifier: Apache-2.0
"""What holds for every policy, verdict, launch and moment: remembered is fresh, stricter is stricter."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import msgspec
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.unit.policy import random_policies as some

from sifgate.admission.ports import Footing
from sifgate.agent.judge import Judge, Verdicts
from sifgate.agent.turns import Promise
from sifgate.model.decision import Action, Decision
from sifgate.model.finding import Finding
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Standing
from sifgate.policy.document import Policy, sealed
from sifgate.policy.evaluate import evaluate
from sifgate.policy.memo import Memo
from sifgate.policy.schedule import Schedule
from sifgate.policy.trace import explain

thorough = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # shrinking a policy takes minutes
)


@thorough
@given(some.policies(), st.lists(some.standings(), min_size=1, max_size=2), st.data())
def test_remembered_is_what_a_fresh_evaluation_says(
    policy: Policy, standings: list[Standing], data: st.DataObject
) -> None:
    """Law 1: in any order of time, whatever the launches have in common."""
    memo = Memo(policy)
    launches = data.draw(st.lists(some.launches(), min_size=1, max_size=4))
    asked = st.tuples(st.sampled_from(standings), st.sampled_from(launches), some.moments())
    for standing, launch, now in data.draw(st.lists(asked, min_size=2, max_size=12)):
        assert memo.decide(standing, launch, now) == evaluate(policy, standing, launch, now)


class _Held:
    """A policy in force, without files."""

    loaded_once = True
    problem = ""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy


class _Disk:
    """A node's cache that has lost nothing."""

    def __init__(self, standings: list[Standing]) -> None:
        self._verdicts = {each.digest: each.verdict for each in standings}

    def get(self, footing: Footing) -> object:
        """Return the verdict of a footing."""
        return self._verdicts.get(footing.digest)


@thorough
@given(some.policies(), st.lists(some.standings(), min_size=1, max_size=2), st.data())
def test_the_agents_memory_is_what_a_fresh_evaluation_says(
    policy: Policy, standings: list[Standing], data: st.DataObject
) -> None:
    """The same for the store that warm launches are answered from."""
    verdicts: Verdicts = _Disk(standings)  # type: ignore[assignment]  # what a judge asks of it
    judge = Judge(_Held(policy), verdicts, lambda work: Promise.kept(work()))  # type: ignore[arg-type]  # the same
    launches = data.draw(st.lists(some.launches(), min_size=1, max_size=4))
    asked = st.tuples(st.sampled_from(standings), st.sampled_from(launches), some.moments())
    for standing, launch, now in data.draw(st.lists(asked, min_size=2, max_size=12)):
        footing = Footing(
            standing.state, standing.cause, fingerprint=standing.fingerprint, digest=standing.digest
        )
        remembered = judge.decide(footing, launch, now.timestamp()).result()
        assert remembered == evaluate(policy, standing, launch, now)


@thorough
@given(some.policies(), some.standings(), some.launches(), some.moments())
def test_a_decision_holds_until_it_says(
    policy: Policy, standing: Standing, launch: LaunchEvent, now: datetime
) -> None:
    """Nothing changes before `valid_until`, to the last millisecond; the moment is one of time, not of a zone."""
    first = evaluate(policy, standing, launch, now)
    assert evaluate(policy, standing, launch, now.astimezone(timezone(timedelta(hours=9)))) == first
    if not first.valid_until:
        later = [now + timedelta(days=days) for days in (1, 40, 4000)]
    else:
        end = datetime.fromisoformat(first.valid_until.replace("Z", "+00:00"))
        assert end > now
        later = [end - timedelta(milliseconds=1), now + (end - now) / 2]
    assert all(evaluate(policy, standing, launch, at) == first for at in later)


@thorough
@given(
    some.policies(), st.lists(some.findings(), max_size=4), some.findings(), some.launches(), some.moments()
)
def test_one_more_finding_never_loosens(
    policy: Policy, found: list[Finding], more: Finding, launch: LaunchEvent, now: datetime
) -> None:
    """Without exceptions of one finding for another: what is added can only add reasons."""
    assume(policy.stance.default_action is Action.ALLOW)
    before = evaluate(policy, some.known(tuple(found)), launch, now)
    after = evaluate(policy, some.known((*found, more)), launch, now)
    assert after.would_be >= before.would_be
    assert {reason.rule for reason in before.reasons} <= {reason.rule for reason in after.reasons}


@thorough
@given(some.policies(), some.standings(), some.launches(), some.moments())
def test_an_exception_never_strengthens(
    policy: Policy, standing: Standing, launch: LaunchEvent, now: datetime
) -> None:
    """Without its exceptions the policy is at least as strict."""
    bare = sealed(some.without(policy, exceptions=()))
    with_them = evaluate(policy, standing, launch, now)
    assert evaluate(bare, standing, launch, now).would_be >= with_them.would_be


@thorough
@given(some.policies(), some.standings(), some.launches(), some.moments(), st.data())
def test_a_stricter_rule_never_allows_more(
    policy: Policy, standing: Standing, launch: LaunchEvent, now: datetime, data: st.DataObject
) -> None:
    """Whichever rule is made to refuse at once, without grace."""
    number = data.draw(st.integers(0, len(policy.rules) - 1))
    rule = policy.rules[number]
    refusing = msgspec.structs.replace(rule, action=Schedule(Action.BLOCK), grace=None, unknown_counts=True)
    rules = (*policy.rules[:number], refusing, *policy.rules[number + 1 :])
    stricter = sealed(some.without(policy, rules=rules))
    before, after = (evaluate(each, standing, launch, now) for each in (policy, stricter))
    assert after.would_be >= before.would_be
    assert after.action >= before.action


@thorough
@given(some.policies(), st.lists(some.findings(), max_size=6), some.launches(), some.moments(), st.randoms())
def test_order_of_findings_and_rules_does_not_matter(
    policy: Policy, found: list[Finding], launch: LaunchEvent, now: datetime, chance: random.Random
) -> None:
    """The same facts in another order: the same action, and the same rules speak."""

    def outcome(rules: Policy, findings: list[Finding]) -> tuple[Action, Action, frozenset[str], str]:
        decision = evaluate(rules, some.known(tuple(findings)), launch, now)
        spoke = frozenset(reason.rule for reason in decision.reasons)
        return decision.action, decision.would_be, spoke, decision.valid_until

    rules, shuffled = list(policy.rules), list(found)
    chance.shuffle(rules)
    chance.shuffle(shuffled)
    assert outcome(sealed(some.without(policy, rules=tuple(rules))), shuffled) == outcome(policy, found)


@thorough
@given(some.policies(), some.standings(), some.launches(), some.moments())
def test_explaining_is_judging(
    policy: Policy, standing: Standing, launch: LaunchEvent, now: datetime
) -> None:
    """The explanation holds the decision itself, and the rules that matched are those that spoke."""
    decision: Decision = evaluate(policy, standing, launch, now)
    assert explain(policy, standing, launch, now).decision == decision
