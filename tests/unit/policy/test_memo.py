# SPDX-License-Identifier: Apache-2.0
"""Remembered decisions: the same as fresh ones, for every launch and at every moment."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from tests.unit.policy.builders import NOON, finding, launch, policy, standing

from sifgate.model.launch import Door, Grant, JobFacts
from sifgate.model.verdict import FailureCause, ScanState, Standing
from sifgate.policy.evaluate import evaluate
from sifgate.policy.memo import Memo

SITE = policy(
    "mode: enforce\nbreak_glass: {groups: [a], max_duration: 4h}\nfail_open_budget: {per_hour: 1, then: block}\n"
    "enforcement_points: {submit: warn}\n"
    "rules: [{id: kev, when: {kev: true}, grace: {after: kev_added, days: 14}, action: block}]\n"
    "scopes: [{id: s, match: {qos: debug}, set: {mode: warn}}]\n"
)
KNOWN = standing(finding(kev=True, kev_added="2026-08-20"))
GRANT = Grant("g1", 1000, "r", "olga", "2026-09-03T00:00:00Z", "2026-09-03T01:00:00Z")


def test_remembered_is_fresh_for_any_launch_at_any_moment() -> None:
    """Also where time runs backwards, and across the end of a grace and of a grant."""
    memo = Memo(SITE)
    events = [
        launch(),
        launch(door=Door.SUBMIT),
        launch(job=JobFacts(qos="debug")),
        launch(grant=GRANT),
        launch(budget_spent=True),
    ]
    stands = [KNOWN, Standing(cause=FailureCause.SERVER_UNREACHABLE), Standing(state=ScanState.PENDING)]
    for hours in (0, 1, 35, 36, 36.5, 37, 12, -400, 0, 36):
        now = NOON + timedelta(hours=hours)
        for known in stands:
            for event in events:
                assert memo.decide(known, event, now) == evaluate(SITE, known, event, now)


def test_launches_that_agree_in_what_is_read_are_judged_once() -> None:
    """What the policy does not read makes no difference."""
    memo = Memo(SITE)
    for number in range(5):
        memo.decide(KNOWN, launch(cwd=f"/{number}", argv=(str(number),)), NOON)
    assert memo.evaluations == 1
    assert SITE.launch_key(launch(cwd="/x")) == SITE.launch_key(launch())


def test_verdict_without_a_digest_is_never_remembered() -> None:
    """Two verdicts without a name could be taken for each other."""
    memo = Memo(SITE)
    nameless = msgspec.structs.replace(KNOWN, digest="")
    assert memo.decide(nameless, launch(), NOON).reasons == ()
    bad = msgspec.structs.replace(standing(finding(kev=True, kev_added="2026-01-01")), digest="")
    assert memo.decide(bad, launch(), NOON).reasons


def test_key_holds_one_value_for_each_field() -> None:
    """None, one or several fields: the key is a tuple as long as the list."""
    for text, fields in (
        ("content_injected: allow\n", 0),
        ("", 1),
        ("enforcement_points: {cli: log}\nbreak_glass: {groups: [a], max_duration: 1h}\n", 3),
    ):
        site = policy(f"mode: audit\nrules: [{{id: a, when: {{kev: true}}, action: log}}]\n{text}")
        assert len(site.launch_key(launch())) == len(site.launch_fields) == fields
