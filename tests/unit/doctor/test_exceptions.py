# SPDX-License-Identifier: Apache-2.0
"""`sifgate doctor` announces exceptions that end soon: jobs that ran until then may be refused."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import msgspec
from tests.unit.cli.test_policy import GOOD

from sifgate.config import Places
from sifgate.doctor import judging
from sifgate.doctor.finding import Health
from sifgate.policy.exceptions.document import PolicyException
from sifgate.policy.load import load_policy

NOON = datetime(2026, 9, 1, 12, tzinfo=timezone.utc)


def exception(name: str, expires: date) -> PolicyException:
    """Return an exception with this end."""
    return PolicyException(name, "r", "alice", date(2026, 8, 1), expires, ("CVE-2026-1",))


def test_an_end_that_is_near_is_a_problem(tmp_path: Path) -> None:
    """Those that end within the site's days are named, the first to end first; expired ones are not."""
    (tmp_path / "policy.yaml").write_text(GOOD)
    policy = load_policy(tmp_path / "policy.yaml")
    gone, later = exception("gone", date(2026, 8, 2)), exception("later", date(2026, 12, 1))
    soon, sooner = exception("soon", date(2026, 9, 9)), exception("sooner", date(2026, 9, 8))
    calm = judging.exceptions(msgspec.structs.replace(policy, exceptions=(gone, later)), NOON)
    assert (calm.health, calm.detail) == (Health.FINE, "1 of 2 in force, none ends within 14 days")
    told = judging.exceptions(msgspec.structs.replace(policy, exceptions=(gone, soon, later, sooner)), NOON)
    assert (told.health, told.detail) == (
        Health.PROBLEM,
        "end soon: sooner (2026-09-08), soon (2026-09-09)",
    )
    assert told.remedy == "sifgate exceptions list --expiring 14d"


def test_a_policy_with_exceptions_has_a_line_for_them(tmp_path: Path) -> None:
    """And one without has none."""
    places = Places.under(tmp_path)
    directory = places.etc / "exceptions.d"
    directory.mkdir(parents=True)
    (places.etc / "policy.yaml").write_text(GOOD + "exceptions: {directory: exceptions.d}\n")
    assert "exceptions" not in {each.subject for each in judging.policy(places, None)}
    day = datetime.now(timezone.utc).date()
    dates = f"created: {day}, expires: {day + timedelta(days=2)}"
    (directory / "a.yaml").write_text(
        "schema: sifgate.exceptions/v1\nexceptions:\n"
        f"- {{id: a, vulnerability: CVE-2026-1, reason: r, author: b, {dates}}}\n"
    )
    (found,) = [each for each in judging.policy(places, None) if each.subject == "exceptions"]
    assert found.health is Health.PROBLEM
