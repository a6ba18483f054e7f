# SPDX-License-Identifier: Apache-2.0
"""What decides beside rules: scopes, trust, ages, budget, grants, ceilings; and what never loosens anything."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest
from tests.unit.policy.builders import NOON, finding, launch, policy, standing

from sifgate.model.decision import Action, Decision
from sifgate.model.finding import Rating, Severity
from sifgate.model.image import ImageFacts, ImageReference, ReferenceKind
from sifgate.model.launch import Door, Grant, LaunchEvent, Requester
from sifgate.model.verdict import FailureCause, Generation, ScanState, Standing
from sifgate.policy.aside import set_aside
from sifgate.policy.evaluate import evaluate

RULE = "rules: [{id: kev, when: {kev: true}, action: block}]\n"
KEY = "1" * 40
EXPLOITED = standing(finding(kev=True))
PENDING = Standing(state=ScanState.PENDING)


def at_path(path: str, *, trusted: bool = True, **facts: Any) -> LaunchEvent:
    """Return alice's launch of a file at `path`, of which these facts are known."""
    return launch(
        reference=ImageReference(path, ReferenceKind.PATH, path),
        requester=Requester(uid=1000, user="alice", trusted=trusted),
        image=ImageFacts(**facts),
    )


def decided(text: str, known: Standing, event: LaunchEvent | None = None, now: datetime = NOON) -> Decision:
    """Return the decision of a policy given as text."""
    return evaluate(policy(f"mode: enforce\n{text}{RULE}"), known, event or launch(), now)


STORE = "trust: [{id: store, match: {path: '/apps/**', owner: root}, skip: SKIP}]\n"


@pytest.mark.parametrize(
    ("skip", "known", "action", "reasons"),
    [
        ("rules", EXPLOITED, Action.ALLOW, []),
        ("all", EXPLOITED, Action.ALLOW, []),
        ("rules", Standing(state=ScanState.FAILED), Action.WARN, ["state:failed"]),
        ("all", Standing(state=ScanState.FAILED), Action.ALLOW, []),
        ("all", Standing(cause=FailureCause.SERVER_UNREACHABLE), Action.LOG, ["cause:server_unreachable"]),
        ("all", Standing(cause=FailureCause.AUDIT_UNWRITABLE), Action.ALLOW, ["cause:audit_unwritable"]),
    ],
)
def test_trusted_store_skips_what_it_says_and_no_failure(
    skip: str, known: Standing, action: Action, reasons: list[str]
) -> None:
    """Rules, or states as well; what is broken in sifgate itself is no matter of trust."""
    decision = decided(STORE.replace("SKIP", skip), known, at_path("/apps/x.sif", owner="root"))
    assert (decision.action, [reason.rule for reason in decision.reasons]) == (action, reasons)
    assert decision.trust == "store"


def test_trusted_store_leaves_injected_content_and_the_default_aside() -> None:
    """What is bound over the image is not the store's; `default_action` is about rules, and these are skipped."""
    event = msgspec.structs.replace(
        at_path("/apps/x.sif", owner="root"), content_injected=("/tmp/lib:/usr/lib",)
    )
    decision = decided(STORE.replace("SKIP", "all") + "default_action: warn\n", standing(), event)
    assert [reason.rule for reason in decision.reasons] == ["content_injected"]


@pytest.mark.parametrize(
    "event",
    [
        at_path("/apps/x.sif", owner="alice"),
        at_path("/apps/x.sif"),
        at_path("/tmp/x.sif", owner="root"),
        at_path("/apps/../tmp/x.sif", owner="root"),
        at_path("", owner="root"),
    ],
)
def test_store_does_not_vouch_for_other_files(event: LaunchEvent) -> None:
    """Another owner, one that is not known, another place, a place written in a roundabout way."""
    assert decided(STORE.replace("SKIP", "rules"), EXPLOITED, event).action is Action.BLOCK


def test_signature_that_nobody_has_checked_vouches_for_nothing() -> None:
    """`None` is not looked at, `()` is none of ours; neither opens anything."""
    text = f"signatures: {{keyring: k}}\ntrust: [{{id: s, match: {{signed_by: '{KEY}'}}, skip: all}}]\n"
    for signers, action in ((None, Action.BLOCK), ((), Action.BLOCK), ((KEY,), Action.ALLOW)):
        assert decided(text, EXPLOITED, at_path("/x.sif", signers=signers)).action is action


def test_claimed_path_alone_chooses_no_scope() -> None:
    """From a peer that is not Slurm a path counts only beside what the file itself tells."""
    alone = "scopes: [{id: s, match: {path: '/apps/**'}, set: {mode: audit}}]\n"
    beside = "scopes: [{id: s, match: {path: '/apps/**', owner: root}, set: {mode: audit}}]\n"
    for text, trusted, scope in ((alone, True, "s"), (alone, False, ""), (beside, False, "s")):
        event = at_path("/apps/x.sif", trusted=trusted, owner="root")
        assert decided(text, EXPLOITED, event).scope == scope


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30T00:00:00Z"])
def test_age_that_nobody_knows_is_not_fresh(text: str) -> None:
    """A date that is missing or none is past the first limit."""
    known = standing(scanned_at=text, generation=Generation(kev="2026-08-01", advisories=text))
    decision = decided("freshness: {scan_max_age: {warn: 7d, block: 9d}, advisories_max_age: 2d}\n", known)
    assert {reason.rule: reason.action for reason in decision.reasons} == {
        "freshness:scan": Action.WARN,
        "freshness:advisories": Action.WARN,
    }


def test_age_in_the_future_is_fresh_until_its_time() -> None:
    """A server whose clock is ahead stops nobody, and is asked again when its limit comes."""
    known = standing(scanned_at="2026-09-02T00:00:00Z")
    decision = decided("freshness: {scan_max_age: 7d}\n", known)
    assert (decision.reasons, decision.valid_until) == ((), "2026-09-09T00:00:00Z")


def test_ages_are_not_asked_of_images_without_a_verdict() -> None:
    """The state says already that nothing is known."""
    decision = decided("freshness: {scan_max_age: {block: 7d}}\n", PENDING)
    assert [reason.rule for reason in decision.reasons] == ["state:pending"]


def test_budget_makes_failures_stricter_and_nothing_weaker() -> None:
    """`then` holds where it is stricter than the cause's own action."""
    event = launch(budget_spent=True)
    for then, own, action in (("block", "log", Action.BLOCK), ("log", "block", Action.BLOCK)):
        text = f"fail_open_budget: {{per_hour: 1, then: {then}}}\nfailure: {{server_unreachable: {own}}}\n"
        decision = decided(text, Standing(cause=FailureCause.SERVER_UNREACHABLE), event)
        assert (decision.action, decision.alarms) == (action, ("fail_open_budget",))
    assert decided("", Standing(cause=FailureCause.SERVER_UNREACHABLE), event).alarms == ()


@pytest.mark.parametrize(
    ("begins", "ends", "action", "until"),
    [
        ("2026-09-01T11:00:00Z", "2026-09-01T13:00:00Z", Action.WARN, "2026-09-01T13:00:00Z"),
        ("2026-09-01T09:00:00Z", "2026-09-09T00:00:00Z", Action.WARN, "2026-09-01T13:00:00Z"),
        ("2026-09-01T08:00:00Z", "2026-09-09T00:00:00Z", Action.BLOCK, ""),
        ("2026-09-01T12:00:01Z", "2026-09-01T13:00:00Z", Action.BLOCK, "2026-09-01T12:00:01Z"),
        ("2026-09-01T13:00:00Z", "2026-09-01T11:00:00Z", Action.BLOCK, "2026-09-01T13:00:00Z"),
        ("", "2026-09-01T13:00:00Z", Action.BLOCK, ""),
        ("2026-09-01T11:00:00Z", "", Action.BLOCK, ""),
        ("2026-09-01T11:00:00Z", "never", Action.BLOCK, ""),
    ],
)
def test_grant_holds_for_its_time_and_the_policys(begins: str, ends: str, action: Action, until: str) -> None:
    """Longer than the policy allows, over, ahead, turned round or unreadable: then the refusal stays."""
    grant = Grant(id="g1", uid=1000, reason="r", by="olga", begins=begins, ends=ends)
    decision = decided("break_glass: {groups: [a], max_duration: 4h}\n", EXPLOITED, launch(grant=grant))
    assert (decision.action, decision.valid_until) == (action, until)
    assert decision.grant == ("g1" if action is Action.WARN else "")


def test_grant_of_a_policy_without_break_glass_is_nothing() -> None:
    """A grant from before the policy changed opens nothing."""
    grant = Grant("g1", 1000, "r", "olga", "2026-09-01T11:00:00Z", "2026-09-01T13:00:00Z")
    assert decided("", EXPLOITED, launch(grant=grant)).action is Action.BLOCK


@pytest.mark.parametrize("door", list(Door))
def test_every_door_belongs_to_one_enforcement_point(door: Door) -> None:
    """Submission, prolog, guard and command line are their own; all others are launches."""
    point = door.value if door.value in {"submit", "prolog", "guard", "cli"} else "launch"
    decision = decided(f"enforcement_points: {{{point}: log}}\n", EXPLOITED, launch(door=door))
    assert (decision.action, decision.would_be) == (Action.LOG, Action.BLOCK)


def test_ceiling_that_does_not_bind_changes_nothing() -> None:
    """The mode stays the ceiling where the point's is higher."""
    site = policy(f"mode: audit\nenforcement_points: {{launch: warn}}\n{RULE}")
    assert evaluate(site, EXPLOITED, launch(), NOON).action is Action.LOG


@pytest.mark.parametrize(
    ("ratings", "order", "severity"),
    [
        ({"distro": Severity.LOW, "nvd": Severity.CRITICAL}, "[nvd, distro]", Severity.CRITICAL),
        ({"distro": Severity.LOW, "nvd": Severity.UNKNOWN}, "[nvd, distro]", Severity.LOW),
        ({"cna": Severity.CRITICAL}, "[nvd, distro]", Severity.UNKNOWN),
        ({}, "[nvd, distro]", Severity.HIGH),
        ({"distro": Severity.LOW}, "[vex, distro]", Severity.LOW),
    ],
)
def test_severity_is_that_of_the_first_source_that_has_one(
    ratings: dict[str, Severity], order: str, severity: Severity
) -> None:
    """Sources outside the order say nothing; without any rating the server's word counts."""
    rated = tuple(Rating(source, word) for source, word in sorted(ratings.items()))
    known = standing(finding(kev=True, severity=Severity.HIGH, ratings=rated))
    decision = decided(f"severity: {{source_order: {order}}}\n", known)
    assert decision.reasons[0].findings[0].severity is severity


def test_promotion_is_announced_and_then_silent() -> None:
    """The reason says what is to come, and nothing once the last date has come."""
    dates = "{now: log, 2026-10-01: warn, 2026-12-01: block}"
    text = f"mode: enforce\nrules: [{{id: a, when: {{kev: true}}, action: {dates}}}]\n"
    for moment, clock, action in (
        ("2026-09-30T23:59:59", "warned of from 2026-10-01", Action.LOG),
        ("2026-10-01T00:00:00", "refused from 2026-12-01", Action.WARN),
        ("2026-12-01T00:00:00", "", Action.BLOCK),
    ):
        now = datetime.fromisoformat(moment).replace(tzinfo=timezone.utc)
        decision = evaluate(policy(text), EXPLOITED, launch(), now)
        assert (decision.reasons[0].clock, decision.action) == (clock, action)


def test_scope_may_promote_at_another_pace() -> None:
    """Dates of a scope replace those of the rule, and the clock of the decision is theirs."""
    text = "scopes: [{id: s, match: {user: alice}, set: {rules: {kev: {now: log, 2026-10-01: block}}}}]\n"
    decision = decided(text, EXPLOITED)
    assert (decision.action, decision.valid_until) == (Action.LOG, "2026-10-01T00:00:00Z")


def test_places_are_those_of_the_verdict() -> None:
    """What is listed and not counted is told by where it stands, also where severities are read otherwise."""
    site = policy(f"mode: enforce\nseverity: {{source_order: [nvd], unknown_as: low}}\n{RULE}")
    header = finding(package="linux-libc-dev", source="linux", severity=Severity.UNKNOWN)
    known = standing(finding(), header, finding(vulnerability="CVE-2"), header)
    assert known.verdict is not None
    assert set_aside(site, known.verdict, launch(), NOON).places() == [1, 3]
