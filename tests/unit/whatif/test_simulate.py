# SPDX-License-Identifier: Apache-2.0
"""A simulation counts what the evaluator says of each recorded launch, whatever order and number they come in."""

from __future__ import annotations

from multiprocessing import resource_tracker

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.policy.builders import NOON, finding, launch, policy, standing
from tests.unit.whatif.conftest import Node, Quiet, by, image

from sifgate.audit.files import lines
from sifgate.model.decision import Action
from sifgate.model.finding import Severity
from sifgate.model.launch import Door, JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import ScanState, Standing
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate
from sifgate.whatif.launches import Intake
from sifgate.whatif.likeness import Likeness
from sifgate.whatif.simulate import NO_VERDICT, NOT_UNDERSTOOD, Question
from sifgate.whatif.tally import Tally
from sifgate.whatif.workers import simulate_unordered

BLOCKING = policy("""\
mode: enforce
rules:
  - {id: kev, when: {kev: true}, action: block}
  - {id: high, when: {severity: ">= high"}, action: warn}
scopes: [{id: carol, match: {user: carol}, set: {mode: warn}}]
""")


def simulated(node: Node, question: Question, quiet: Quiet, processes: int = 1) -> tuple[Tally, Intake]:
    """Return the counts over a node's log."""
    intake = Intake()
    found = (line for _, line in lines(node.log))
    return (
        simulate_unordered(question, found, intake, node.kept, progress=quiet, processes=processes),
        intake,
    )


def fill(node: Node) -> None:
    """Record launches of two images by three users, mixed."""
    bad = node.keep(image(standing(finding(kev=True)), "bad"))
    good = node.keep(image(standing(finding(severity=Severity.LOW)), "good"))
    for user in ("alice", "bob", "carol") * 2:
        node.record(bad, by(user))
        node.record(good, by(user))
    node.record(bad, by("alice", door=Door.CLI), outcome="asked")


def test_launches_are_counted_by_what_the_candidate_does(node: Node, quiet: Quiet) -> None:
    """Launches, users, accounts and images; questions that started nothing are no launches."""
    fill(node)
    tally, _ = simulated(node, Question(BLOCKING, at=NOON), quiet)
    assert tally.judged.launches == 12
    refused = tally.by_action[Action.BLOCK]
    assert (refused.launches, refused.users, refused.accounts) == (
        4,
        {"alice", "bob"},
        {"of-alice", "of-bob"},
    )
    assert len(refused.images) == 1
    assert tally.by_action[Action.WARN].users == {"carol"}
    assert tally.rules["kev"].newly.launches == 4
    assert tally.newly_refused == 4
    assert {name: hit.share.launches for name, hit in tally.affected.items()} == dict.fromkeys(
        refused.images, 4
    )


def test_the_present_policy_is_judged_at_the_same_moment(node: Node, quiet: Quiet) -> None:
    """A policy beside itself changes nothing, whatever happened then."""
    fill(node)
    tally, _ = simulated(node, Question(BLOCKING, BLOCKING, at=NOON), quiet)
    assert not tally.changes
    assert tally.happened[Action.LOG, Action.BLOCK] == 4


def test_promotions_are_due_at_the_moment_asked_for(node: Node, quiet: Quiet) -> None:
    """`--at` moves the clock, and `then` leaves each launch at its own."""
    fill(node)
    dated = policy(
        "mode: enforce\nrules: [{id: kev, when: {kev: true}, action: {now: log, 2026-10-01: block}}]"
    )
    later = NOON.replace(month=10, day=1, hour=0)
    refused = [simulated(node, Question(dated, at=at), quiet)[0].newly_refused for at in (NOON, None, later)]
    assert refused == [0, 0, 6]


def test_what_mode_enforce_would_do_can_be_counted(node: Node, quiet: Quiet) -> None:
    """A candidate in mode audit shows what it would refuse."""
    fill(node)
    watching = policy("mode: audit\nrules: [{id: kev, when: {kev: true}, action: block}]")
    capped, _ = simulated(node, Question(watching, at=NOON), quiet)
    assert (capped.newly_refused, capped.by_would_be[Action.BLOCK].launches) == (0, 6)
    assert simulated(node, Question(watching, at=NOON, capped=False), quiet)[0].newly_refused == 6


def test_what_cannot_be_judged_is_counted_apart(node: Node, quiet: Quiet) -> None:
    """A verdict that is gone, words of another version, torn lines: none of them passes for allowed."""
    node.record(standing(finding(kev=True)), by("alice"))
    node.record(Standing(state=ScanState.PENDING), by("bob"))
    strange = node.log.read_bytes().splitlines()[1].replace(b'"pending"', b'"tomorrow"')
    with node.log.open("ab") as file:
        file.write(strange + b"\n" + b'{"id":"torn\n\xff\n[]\n')
    tally, intake = simulated(node, Question(BLOCKING, at=NOON), quiet)
    assert tally.judged.launches == 1
    assert tally.unjudged == {NO_VERDICT: 1, NOT_UNDERSTOOD: 1}
    assert intake.unreadable == 3


def test_several_processes_count_what_one_does(
    node: Node, quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts judged elsewhere add up to the whole."""
    fill(node)
    monkeypatch.setattr("sifgate.whatif.workers.WORTH_A_PROCESS", 1)
    alone, _ = simulated(node, Question(BLOCKING, BLOCKING, at=NOON), quiet)
    try:
        shared, _ = simulated(node, Question(BLOCKING, BLOCKING, at=NOON), quiet, processes=2)
    finally:
        resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]  # it lives as long as its maker
    assert msgspec.structs.asdict(alone) == msgspec.structs.asdict(shared)


USERS = st.sampled_from(["alice", "bob", "carol"])
WORDS = st.sampled_from(["", "a", "b"])
EVENTS: st.SearchStrategy[LaunchEvent] = st.builds(
    lambda user, account, partition, door, trusted, spoiled: launch(
        requester=Requester(uid=1, user=user, groups=(account,), trusted=trusted),
        job=JobFacts(account=account, partition=partition),
        door=door,
        content_injected=("--overlay x",) * spoiled,
    ),
    USERS,
    WORDS,
    WORDS,
    st.sampled_from([Door.SPANK, Door.SUBMIT, Door.GUARD]),
    st.booleans(),
    st.booleans(),
)
SCOPED = policy("""\
mode: enforce
enforcement_points: {submit: warn}
rules: [{id: kev, when: {kev: true}, action: block}, {id: high, when: {severity: ">= high"}, action: warn}]
trust: [{id: store, match: {path: "/apps/**", owner: root}, skip: rules}]
scopes:
  - {id: one, match: {user: [alice], account: [a]}, set: {mode: audit}}
  - {id: two, match: {group: [b], door: [spank]}, set: {rules: {kev: log}}}
""")


@given(st.lists(EVENTS, min_size=2, max_size=2), st.sampled_from([SCOPED, BLOCKING]))
@settings(max_examples=300)
def test_launches_that_are_taken_for_alike_are_judged_alike(events: list[LaunchEvent], rules: Policy) -> None:
    """What a simulation remembers is what it would find anew."""
    one, other = (event for event in events)
    likeness = Likeness(rules)
    judged = standing(finding(kev=True))
    if likeness.key(one) == likeness.key(other):
        decisions = [evaluate(rules, judged, event, NOON) for event in (one, other)]
        assert decisions[0] == decisions[1]
