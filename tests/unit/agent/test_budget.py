# SPDX-License-Identifier: Apache-2.0
"""The fail-open budget: so many launches pass on failures of sifgate in an hour, and then the site is told."""

from __future__ import annotations

import syslog
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.agent import POLICY, RunningAgent, settled_file, write_policy
from tests.fakes.server import FakeServer

from sifgate.agent.budget import Budget

BUDGET = "fail_open_budget: {per_hour: 2, then: block}\n"
HOUR = 1_800_000_000.0 // 3600 * 3600


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The agent's clock: the last of these."""
    held = [HOUR + 10.5]
    monkeypatch.setattr("sifgate.agent.judge.moment", lambda: held[-1])
    return held


@pytest.fixture
def agent(start: Callable[..., RunningAgent], server: FakeServer, root: Path) -> RunningAgent:
    """An agent whose server is away and whose policy has a budget of two."""
    write_policy(root, POLICY + BUDGET)
    server.close()
    return start()


def test_launches_pass_until_the_budget_is_used_up(
    agent: RunningAgent, root: Path, moments: list[float]
) -> None:
    """Then they are refused, the record says why, and the site is told once an hour; the next hour is a new one."""
    told: list[tuple[int, str]] = []
    agent.agent.alarms._tell = lambda priority, text: told.append((priority, text))
    image = settled_file(root / "x.sif", b"x")
    assert [agent.action(image) for _ in range(4)] == ["log", "log", "block", "block"]
    records = agent.records()
    assert [record.budget_spent for record in records] == [False, False, True, True]
    assert records[-1].alarms == ("fail_open_budget",)
    assert [priority for priority, _ in told] == [syslog.LOG_ALERT | syslog.LOG_AUTHPRIV]
    status = agent.query("status")
    assert status["alarms"] == {"fail_open_budget": 2}
    assert status["fail_open_budget"] == {
        "passed": 0,
        "per_hour": 2,
        "used_up": False,
    }  # in the hour of today's clock
    assert agent.agent.judge.budget.passed(HOUR + 11) == 2
    moments.append(HOUR + 3600)
    assert [agent.action(image) for _ in range(3)] == ["log", "log", "block"]
    assert len(told) == 2


def test_questions_use_nothing_up(agent: RunningAgent, root: Path, moments: list[float]) -> None:
    """Only what starts is counted: `sifgate check` may be asked for ever."""
    del moments
    image = settled_file(root / "x.sif", b"x")
    assert [agent.action(image, door="cli") for _ in range(5)] == ["log"] * 5
    assert agent.action(image) == "log"


def test_launches_that_meet_no_failure_are_not_counted(
    start: Callable[..., RunningAgent], root: Path, moments: list[float]
) -> None:
    """States of images are not failures of sifgate, whatever a user brings about."""
    del moments
    write_policy(root, POLICY + BUDGET)
    agent = start()
    assert [agent.action(root / "missing.sif") for _ in range(4)] == ["warn"] * 4
    assert agent.query("status")["fail_open_budget"]["passed"] == 0


def test_budget_is_of_the_hour_of_the_clock() -> None:
    """An hour that is over counts no more; a clock that was set back begins a new count."""
    budget = Budget()
    budget.count(HOUR)
    budget.count(HOUR + 3599.999)
    assert (budget.passed(HOUR + 1), budget.is_spent(2, HOUR + 1)) == (2, True)
    assert (budget.passed(HOUR + 3600), budget.is_spent(1, HOUR + 3600)) == (0, False)
    assert budget.is_spent(0, HOUR)
    budget.count(HOUR - 1)
    assert budget.passed(HOUR - 1) == 1
