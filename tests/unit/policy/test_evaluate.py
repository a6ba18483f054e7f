# SPDX-License-Identifier: Apache-2.0
"""Laws of the evaluator that hold for any policy, image and launch."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.policy.builders import NOON, ROOT, finding, launch, policy, standing

from sifgate.model.decision import MAX_SHOWN, Action
from sifgate.model.finding import Finding, Severity
from sifgate.model.launch import Door, JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import EndOfLife, FailureCause, ScanState, Standing, UnscannableCause
from sifgate.policy.document import Mode, Policy, sealed
from sifgate.policy.evaluate import evaluate
from sifgate.policy.load import load_policy

LAW = settings(max_examples=100, deadline=None, database=None)
"""A machine that is busy for a moment breaks no law; nothing is left on disk."""

CONDITIONS = (
    'severity: ">= high"',
    'severity: "= low"',
    "severity: [unknown, medium]",
    "fixable: true",
    "fixable: false",
    "kev: true",
    "kev: false",
    'package: "lib*"',
    'count: {severity: ">= medium", over: 2}',
    "count: {fixable: true, over: 1}",
    "distro: {eol: true}",
    'distro: {eol: true, for: "20d"}',
    "distro: {eol: false}",
)
ACTIONS = ("allow", "log", "warn", "block")

findings = st.builds(
    finding,
    vulnerability=st.sampled_from(["CVE-1", "CVE-2", "CVE-3", "CVE-4"]),
    package=st.sampled_from(["git", "libssl3", "linux-libc-dev"]),
    source=st.sampled_from(["", "linux"]),
    severity=st.sampled_from(list(Severity)),
    fixed_version=st.sampled_from(["", "2"]),
    kev=st.booleans(),
)
dates = st.sampled_from(["", "2026-08-31", "2026-09-01", "2026-09-20", "2026-08-12", "9999-12-31", "no date"])
standings = st.builds(
    lambda found, state, eol, lts: standing(*found, state=state, end_of_life=EndOfLife(eol=eol, lts=lts)),
    st.lists(findings, max_size=6),
    st.sampled_from([ScanState.KNOWN, ScanState.PARTIAL, ScanState.STALE, ScanState.INCONSISTENT]),
    dates,
    dates,
)
launches = st.builds(
    lambda user, groups, trusted, account, partition, injected: launch(
        requester=Requester(uid=1, user=user, groups=groups, trusted=trusted),
        job=JobFacts(account=account, partition=partition),
        content_injected=injected,
    ),
    st.sampled_from(["alice", "bob"]),
    st.sampled_from([(), ("bio",), ("bio", "oncall")]),
    st.booleans(),
    st.sampled_from(["", "a1", "a2"]),
    st.sampled_from(["", "batch", "secure"]),
    st.sampled_from([(), ("/x:/usr",)]),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Make a policy of random rules and scopes; no rule about findings is weaker than the default."""
    lines = [f"mode: {draw(st.sampled_from(['audit', 'warn', 'enforce']))}"]
    default = draw(st.sampled_from(ACTIONS[:3]))
    lines.append(f"default_action: {default}")
    lines.append(f"content_injected: {draw(st.sampled_from(ACTIONS))}")
    lines.append("rules:")
    for number in range(draw(st.integers(1, 4))):
        chosen = draw(
            st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=2, unique_by=lambda c: c[:4])
        )
        action = draw(st.sampled_from(ACTIONS[ACTIONS.index(default) :]))
        unknown = draw(st.sampled_from(["skip", "match"]))
        when = ", ".join(chosen)
        lines.append(f"- {{id: r{number}, when: {{{when}}}, action: {action}, on_unknown: {unknown}}}")
    scopes = [
        f"- {{id: s{number}, match: {match}, set: {{mode: {draw(st.sampled_from(['audit', 'warn', 'enforce']))}}}}}"
        for number, match in enumerate(
            draw(
                st.lists(
                    st.sampled_from(["{user: bob}", "{group: oncall}", "{account: a1, partition: secure}"])
                )
            )
        )
    ]
    if scopes:
        lines += ["scopes:", *scopes]
    return policy("\n".join(lines))


@LAW
@given(policies(), standings, findings, launches)
def test_one_more_finding_never_weakens(
    site: Policy, known: Standing, more: Finding, event: LaunchEvent
) -> None:
    """A vulnerability more leads to the same action or a stronger one."""
    assert known.verdict is not None
    verdict = msgspec.structs.replace(known.verdict, findings=(*known.verdict.findings, more))
    worse = msgspec.structs.replace(known, verdict=verdict)
    assert evaluate(site, worse, event, NOON).action >= evaluate(site, known, event, NOON).action


@LAW
@given(policies(), standings, launches)
def test_stricter_mode_never_allows_more(site: Policy, known: Standing, event: LaunchEvent) -> None:
    """From audit to warn to enforce the action grows, and what would be done stays."""
    site = msgspec.structs.replace(site, scopes=())
    decisions = []
    for mode in (Mode.AUDIT, Mode.WARN, Mode.ENFORCE):
        stance = msgspec.structs.replace(site.stance, mode=mode)
        decisions.append(evaluate(msgspec.structs.replace(site, stance=stance), known, event, NOON))
    assert decisions[0].action <= decisions[1].action <= decisions[2].action
    assert len({decision.would_be for decision in decisions}) == 1
    assert decisions[0].action <= Action.LOG
    assert decisions[1].action <= Action.WARN
    assert decisions[2].action == decisions[2].would_be


@LAW
@given(policies(), standings, launches, launches)
def test_decision_depends_only_on_launch_fields(
    site: Policy, known: Standing, one: LaunchEvent, other: LaunchEvent
) -> None:
    """Launches that agree in the fields that the policy names get equal decisions, so a memo may keep them."""
    other = msgspec.structs.replace(
        other, door=Door.CLI, cwd="/elsewhere", argv=("x",), claimed={"partition": "secure"}
    )
    if site.launch_key(one) == site.launch_key(other):
        assert evaluate(site, known, one, NOON) == evaluate(site, known, other, NOON)


@LAW
@given(policies(), standings, launches, st.integers(-60, 60), st.integers(0, 86_399))
def test_decision_holds_until_it_says(
    site: Policy, known: Standing, event: LaunchEvent, days: int, seconds: int
) -> None:
    """Until `valid_until` a decision does not change, but for that date itself."""
    now = NOON + timedelta(days=days, seconds=seconds)
    decision = evaluate(site, known, event, now)
    end = datetime.fromisoformat((decision.valid_until or "2999-01-01T00:00:00Z").replace("Z", "+00:00"))
    assert end > now
    just_before = evaluate(site, known, event, end - timedelta(microseconds=1))
    assert just_before == msgspec.structs.replace(decision, reasons=just_before.reasons)
    assert [r.rule for r in just_before.reasons] == [r.rule for r in decision.reasons]


@LAW
@given(policies(), standings, launches)
def test_order_of_findings_does_not_count(site: Policy, known: Standing, event: LaunchEvent) -> None:
    """The same findings in another order lead to the same action and the same rules."""
    assert known.verdict is not None
    verdict = msgspec.structs.replace(known.verdict, findings=known.verdict.findings[::-1])
    turned = evaluate(site, msgspec.structs.replace(known, verdict=verdict), event, NOON)
    straight = evaluate(site, known, event, NOON)
    assert turned.action == straight.action
    assert [(r.rule, r.count) for r in turned.reasons] == [(r.rule, r.count) for r in straight.reasons]


@LAW
@given(
    st.sampled_from([*ScanState, None]),
    st.sampled_from([*FailureCause, None]),
    st.sampled_from([*UnscannableCause, None]),
)
def test_no_standing_without_a_verdict_is_clean(
    state: ScanState | None, cause: FailureCause | None, unscannable: UnscannableCause | None
) -> None:
    """Whatever stands in place of a verdict gives a reason, so nothing unknown passes as clean."""
    site = load_policy(ROOT / "etc/sifgate/policy.yaml")
    decision = evaluate(site, Standing(state=state, cause=cause, unscannable=unscannable), launch(), NOON)
    assert decision.reasons


@pytest.mark.parametrize(
    ("moment", "ended"),
    [
        ("2026-08-31T23:59:59.999999+00:00", False),
        ("2026-09-01T00:00:00+00:00", True),
        ("2026-09-01T01:59:59+02:00", False),
        ("2026-09-01T02:00:00+02:00", True),
        ("2026-08-31T16:59:59-07:00", False),
        ("2026-08-31T17:00:00-07:00", True),
    ],
)
def test_end_of_life_begins_at_midnight_utc(moment: str, *, ended: bool) -> None:
    """The day after the last day of support begins at 00:00 UTC wherever the node's clock stands."""
    site = policy("mode: enforce\nrules: [{id: eol, when: {distro: {eol: true}}, action: block}]")
    known = standing(end_of_life=EndOfLife(eol="2024-08-14", lts="2026-08-31"))
    decision = evaluate(site, known, launch(), datetime.fromisoformat(moment))
    assert (decision.action is Action.BLOCK) is ended
    assert decision.valid_until == ("" if ended else "2026-09-01T00:00:00Z")


def test_moment_without_time_zone_is_refused() -> None:
    """A naive clock would mean another instant on every node."""
    site = load_policy(ROOT / "etc/sifgate/policy.yaml")
    with pytest.raises(ValueError, match="time zone"):
        evaluate(site, standing(), launch(), datetime(2026, 9, 1))  # noqa: DTZ001  # the fault under test


def test_default_action_is_for_known_images_without_a_rule() -> None:
    """It speaks where no rule did, and never in place of a state's own action."""
    site = policy("mode: enforce\ndefault_action: warn\nrules: [{id: kev, when: {kev: true}, action: block}]")
    assert [r.rule for r in evaluate(site, standing(), launch(), NOON).reasons] == ["default_action"]
    pending = evaluate(site, Standing(state=ScanState.PENDING), launch(), NOON)
    assert [r.rule for r in pending.reasons] == ["state:pending"]
    blocked = evaluate(site, standing(finding(kev=True)), launch(), NOON)
    assert [r.rule for r in blocked.reasons] == ["kev"]


def test_reason_shows_the_worst_vulnerabilities_once_each() -> None:
    """Exploited before severe before fixable, each identifier once, at most five, and all are counted."""
    many = [
        finding(vulnerability=f"CVE-{n}", package=p, severity=Severity.LOW) for n in range(9) for p in "ab"
    ]
    worst = [
        finding(vulnerability="CVE-X", severity=Severity.CRITICAL),
        finding(vulnerability="CVE-K", severity=Severity.LOW, kev=True),
    ]
    site = policy("mode: enforce\nrules: [{id: any, when: {count: {over: 0}}, action: block}]")
    reason = evaluate(site, standing(*many, *worst), launch(), NOON).reasons[0]
    assert [f.vulnerability for f in reason.findings[:2]] == ["CVE-K", "CVE-X"]
    assert len({f.vulnerability for f in reason.findings}) == MAX_SHOWN
    assert reason.count == 11


def test_counterfactual_needs_a_fix_in_every_package() -> None:
    """A vulnerability would be gone only if each package that has it has a fix."""
    site = load_policy(ROOT / "etc/sifgate/policy.yaml")
    known = standing(
        finding(vulnerability="CVE-1"),
        finding(vulnerability="CVE-1", package="b", fixed_version=""),
        finding(vulnerability="CVE-2"),
    )
    decision = evaluate(site, known, launch(), NOON)
    assert (decision.total, decision.clearable) == (2, 1)


@pytest.mark.usefixtures("untraced")
def test_largest_real_verdict_is_judged_in_time() -> None:
    """5,000 findings, all different, take at most 10 ms of processor time (the best of ten runs)."""
    site = load_policy(ROOT / "etc/sifgate/examples/enforcing.yaml")
    known = standing(
        *(
            finding(
                vulnerability=f"CVE-{n}", package=f"p{n % 300}", severity=Severity(n % 6), kev=n % 999 == 0
            )
            for n in range(5000)
        )
    )
    taken = []
    for _ in range(10):
        start = time.process_time()
        evaluate(site, known, launch(), NOON)
        taken.append(time.process_time() - start)
    assert min(taken) <= 0.010


@LAW
@given(policies())
def test_equal_content_gives_equal_digest(site: Policy) -> None:
    """The digest is over content alone: sealing again, or from elsewhere, changes nothing."""
    assert sealed(msgspec.structs.replace(site, files=("elsewhere",), digest="x")).digest == site.digest


def test_utc_is_the_clock_of_a_decision() -> None:
    """`valid_until` is UTC whatever zone the moment came in."""
    site = policy("mode: audit\nrules: [{id: eol, when: {distro: {eol: true}}, action: warn}]")
    known = standing(end_of_life=EndOfLife(eol="2026-12-31"))
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    assert evaluate(site, known, launch(), east).valid_until == "2027-01-01T00:00:00Z"
