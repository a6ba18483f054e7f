# SPDX-License-Identifier: Apache-2.0
"""The moment that judged is the one in the record; what is remembered is keyed by all that a decision reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from tests.fakes.agent import POLICY, RunningAgent, digest_of, settled_file, write_policy
from tests.fakes.server import FakeServer, clean_verdict

from sifgate.agent.judge import clock, moment
from sifgate.audit.record import iso
from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.model.launch import Door, Grant, LaunchEvent, Requester
from sifgate.policy.load import load_policy

AGEING = """
freshness: {{scan_max_age: {age}}}
enforcement_points: {{submit: log}}
break_glass: {{groups: [wheel], max_duration: 4h}}
"""


@pytest.mark.parametrize(
    "milliseconds",
    [0, 1, 999, 1_000, 1_700_000_000_123, 1_763_845_199_999, 1_795_374_153_001, 4_102_444_799_998],
)
def test_moment_is_written_as_it_was_judged(milliseconds: int) -> None:
    """Through the float and back, no millisecond is lost or gained."""
    at = milliseconds / 1000
    expected = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=milliseconds)
    assert clock(at) == expected
    assert datetime.fromisoformat(iso(at).replace("Z", "+00:00")) == expected


def test_moment_is_whole_milliseconds() -> None:
    """Rounded down, so that nothing is judged in a future that the record does not tell of."""
    at = moment()
    assert abs(at * 1000 - round(at * 1000)) < 0.001


def test_remembered_decision_ends_to_the_millisecond(
    start: Callable[..., RunningAgent], server: FakeServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One millisecond before its clock it is remembered, at its clock it is made anew; the records say when."""
    verdict = msgspec.structs.replace(clean_verdict(digest_of(b"x")), scanned_at="2026-11-01T00:00:00Z")
    server.know(verdict)
    write_policy(root, POLICY + AGEING.format(age="{warn: 7d}"))
    image = settled_file(root / "x.sif", b"x")
    agent = start()
    end = datetime(2026, 11, 8, tzinfo=timezone.utc).timestamp()
    moments = [end - 60]
    monkeypatch.setattr("sifgate.agent.judge.moment", lambda: moments[-1])
    actions = [agent.action(image)]
    for at in (end - 0.001, end, end - 30):
        moments.append(at)
        actions.append(agent.action(image))
    assert actions == ["allow", "allow", "warn", "allow"]
    assert [record.time for record in agent.records()] == [
        "2026-11-07T23:59:00.000Z",
        "2026-11-07T23:59:59.999Z",
        "2026-11-08T00:00:00.000Z",
        "2026-11-07T23:59:30.000Z",
    ]
    assert agent.agent.judge.evaluations == 3  # the second was remembered; a clock set back remembers nothing


def test_enforcement_point_is_that_of_the_door(
    start: Callable[..., RunningAgent], server: FakeServer, root: Path
) -> None:
    """One remembered decision is not taken for another door's."""
    verdict = msgspec.structs.replace(clean_verdict(digest_of(b"x")), scanned_at="2020-01-01T00:00:00Z")
    server.know(verdict)
    write_policy(root, POLICY + AGEING.format(age="{block: 7d}"))
    image = settled_file(root / "x.sif", b"x")
    agent = start()
    actions = [agent.action(image, door=door) for door in ("spank", "submit", "spank", "submit", "guard")]
    assert actions == ["block", "log", "block", "log", "block"]


def test_key_holds_grant_and_budget(root: Path) -> None:
    """Whatever the agent adds to a launch tells its decisions apart."""
    write_policy(
        root, POLICY + AGEING.format(age="{block: 7d}") + "fail_open_budget: {per_hour: 1, then: block}\n"
    )
    policy = load_policy(root / "etc/policy.yaml")
    assert {"grant", "budget_spent", "door"} <= policy.launch_fields
    plain = _launch()
    granted = msgspec.structs.replace(plain, grant=Grant("g", 1, "r", "root", "a", "b"))
    spent = msgspec.structs.replace(plain, budget_spent=True)
    assert len({policy.launch_key(each) for each in (plain, granted, spent)}) == 3


def _launch() -> LaunchEvent:
    return LaunchEvent(Door.SPANK, Requester(1), ImageReference("x", ReferenceKind.PATH, "/x"))
