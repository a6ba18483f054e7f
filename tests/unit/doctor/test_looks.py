# SPDX-License-Identifier: Apache-2.0
"""Each look of `sifgate doctor`: what is fine, what is wrong, and that every wrong thing has its remedy."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from tests.unit.cli.test_policy import GOOD

from sifgate.agent.remote import Remote
from sifgate.cli.doctor import verdict
from sifgate.config import Places, ServerSettings
from sifgate.doctor import agent, files, judging, server
from sifgate.doctor.finding import Finding, Health, fine, problem, roots, safely
from sifgate.errors import ServerUnreachable
from sifgate.policy.load import load_policy

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Return places whose directories are there."""
    found = Places.under(tmp_path)
    for path in (found.etc, found.run, found.state, found.log):
        path.mkdir()
    return found


def only(found: Iterator[Finding]) -> Finding:
    """Return the one finding."""
    (one,) = found
    return one


def sick(one: Finding, *words: str) -> bool:
    """Return whether it is a problem that says these words and has a remedy."""
    return one.health is Health.PROBLEM and bool(one.remedy) and all(word in one.detail for word in words)


def test_a_directory_that_others_can_write_is_a_problem(places: Places) -> None:
    """The remedy is the chmod; the others are fine."""
    assert {each.health for each in files.permissions(places)} == {Health.FINE}
    places.run.chmod(0o777)
    (wrong,) = [each for each in files.permissions(places) if each.health is not Health.FINE]
    assert sick(wrong, "others can write")
    assert wrong.remedy == f"chmod go-w {places.run}"


def test_a_missing_directory_and_a_writable_policy_are_problems(places: Places) -> None:
    """Files are looked at as their directories are."""
    places.log.rmdir()
    (places.etc / "policy.yaml").touch()
    (places.etc / "policy.yaml").chmod(0o666)
    wrong = [each for each in files.permissions(places) if each.health is not Health.FINE]
    assert [sick(each) for each in wrong] == [True, True]


def test_the_socket_is_roots_and_open_to_all(places: Places) -> None:
    """Missing, no socket, closed to users, fine."""
    path = places.run / "agent.sock"
    assert sick(only(files.socket(places)), "not there")
    path.touch()
    assert sick(only(files.socket(places)), "no socket")
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        assert sick(only(files.socket(places)), "users cannot ask")
        path.chmod(0o666)
        assert only(files.socket(places)).health is Health.FINE
        if os.geteuid() == 0:
            os.chown(path, 4711, 4711)
            assert sick(only(files.socket(places)), "uid 4711")


def test_a_full_disk_is_a_problem(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache and log each have their line."""
    assert len(list(files.disk(places))) == 2
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=1 << 20))
    assert all(sick(each, "1 MiB free") for each in files.disk(places))


def test_the_policy_the_agent_and_the_posture_say_the_same(places: Places) -> None:
    """None, broken, newer than the agent's, posture missing or other, all in step."""
    path = places.etc / "policy.yaml"
    assert sick(only(judging.policy(places, None)), "does not exist")
    path.write_text("nonsense: 1\n")
    assert sick(only(judging.policy(places, None)), "nonsense")
    path.write_text(GOOD)
    policy = load_policy(path)
    told: dict[str, Any] = {"policy": {"digest": "other", "problem": ""}}
    first, second = judging.policy(places, told)
    assert sick(first, "changed since")
    assert sick(second, "does not exist")
    (places.etc / "posture").write_text("sifgate-posture 1\nagent_unreachable block\n")
    told["policy"]["digest"] = policy.digest
    first, second = judging.policy(places, told)
    assert first.health is Health.FINE
    assert sick(second, "something else than the policy")
    (places.etc / "posture").write_text(policy.posture())
    assert [each.health for each in judging.policy(places, told)] == [Health.FINE, Health.FINE]
    told["policy"]["problem"] = "policy.yaml:3"
    assert sick(next(judging.policy(places, told)), "policy.yaml:3")


def test_settings_that_cannot_be_read_are_a_problem_with_the_line(places: Places) -> None:
    """The text of the error is the detail, its hint the remedy."""
    assert only(judging.settings(places)).health is Health.FINE
    (places.etc / "sifgate.yaml").write_text("agnet: {}\n")
    (found,) = safely("settings", lambda: judging.settings(places))
    assert found.health is Health.PROBLEM
    assert "agnet" in found.detail


@pytest.mark.parametrize(
    ("layers", "health"),
    [
        ({"seccomp": "active", "uid": "active"}, Health.FINE),
        ({"seccomp": "active", "landlock": "not in this kernel"}, Health.FINE),
        ({"seccomp": "not in this kernel"}, Health.PROBLEM),
        ({"worker": "does not start"}, Health.PROBLEM),
    ],
)
def test_the_sandbox_has_layers(
    monkeypatch: pytest.MonkeyPatch, layers: dict[str, str], health: Health
) -> None:
    """A worker that does not start, or has no layer at all, is a problem."""
    monkeypatch.setattr(judging, "sandbox_layers", lambda: layers)
    assert only(judging.sandbox()).health is health


def told(**audit: Any) -> agent.Answer:
    """Return the status of a healthy agent, with some of its audit log's facts changed."""
    log = {
        "path": "/l",
        "lines": 1,
        "unwritable": False,
        "ship_problem": "",
        "unshipped_bytes": 0,
        "skipped": 0,
    }
    return agent.Answer(
        {"version": metadata.version("sifgate"), "pid": 7, "enforces": True, "audit": log | audit}
    )


def test_the_agent_is_of_this_version_enforces_and_answers() -> None:
    """Another version, one run by a user, a silent one and none are problems, each with another text."""
    healthy = told()
    assert healthy.status is not None
    assert only(agent.life(healthy)).health is Health.FINE
    assert sick(only(agent.life(agent.Answer(healthy.status | {"version": "0"}))), "this command is")
    assert sick(only(agent.life(agent.Answer(healthy.status | {"enforces": False}))), "enforces nothing")
    assert sick(only(agent.life(agent.Answer(None, "x: no sign of life"))), "hangs")
    assert sick(only(agent.life(agent.Answer(None, "x: Connection refused"))), "does not answer")


def test_an_agent_that_hangs_is_left_after_two_seconds(places: Places) -> None:
    """A socket that accepts and says nothing."""
    path = places.run / "agent.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        answer = agent.ask(path)
    assert answer.status is None
    assert sick(only(agent.life(answer)), "hangs")


@pytest.mark.parametrize(
    ("audit", "word"),
    [
        ({"unwritable": True}, "cannot be written"),
        ({"ship_problem": "401", "unshipped_bytes": 9}, "9 bytes wait: 401"),
        ({"unshipped_bytes": 1 << 30}, "wait for the server"),
    ],
)
def test_records_that_do_not_get_away_are_a_problem(audit: dict[str, Any], word: str) -> None:
    """An unwritable log, a server that refuses, a long lag; a short one is ordinary."""
    assert sick(only(agent.audit(told(**audit))), word)
    assert only(agent.audit(told(unshipped_bytes=1000))).health is Health.FINE
    assert list(agent.audit(agent.Answer(None))) == []


STATUS = {
    "version": "0.1",
    "clair": {"reachable": True, "version": "4.9", "url": "https://c", "problem": ""},
    "advisories": {"updaters": {"debian": "2026-10-30T00:00:00+00:00", "osv": "2026-10-31T00:00:00Z"}},
}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand for a server; the test changes its status, its date, or what reaching it raises."""
    answer: dict[str, Any] = {"status": STATUS, "date": "Sun, 01 Nov 2026 00:00:02 GMT", "error": None}

    def status(_self: object) -> Any:
        if answer["error"]:
            raise answer["error"]
        return answer["status"]

    def get(*_words: object, **_named: object) -> Any:
        if not answer["date"]:
            raise requests.ConnectionError("away")
        return SimpleNamespace(headers={"Date": answer["date"]})

    monkeypatch.setattr(Remote, "status", status)
    monkeypatch.setattr(requests, "get", get)
    named = SimpleNamespace(server=ServerSettings(url="https://s", certificate_file=Path("/c")))
    monkeypatch.setattr(server, "read_settings", lambda _places: answer.get("settings", named))
    return answer


def look(places: Places) -> dict[str, Finding]:
    """Return the findings about the server by subject."""
    return {each.subject: each for each in server.look(places, None, NOW)}


def test_server_clair_advisories_and_clock_have_a_line_each(places: Places, site: dict[str, Any]) -> None:
    """All fine, with version, source and age."""
    found = look(places)
    assert {each.health for each in found.values()} == {Health.FINE}
    assert list(found) == ["server", "Clair", "advisories", "clock"]
    assert "2 days old" in found["advisories"].detail
    site["status"] = STATUS | {"clair": STATUS["clair"] | {"reachable": False, "problem": "401"}}  # type: ignore[operator]
    assert sick(look(places)["Clair"], "401")


def test_old_or_no_advisories_are_a_problem(places: Places, site: dict[str, Any]) -> None:
    """By the oldest source."""
    old = (NOW - timedelta(days=40)).isoformat()
    site["status"] = STATUS | {"advisories": {"updaters": {"debian": old, "osv": NOW.isoformat()}}}
    assert sick(look(places)["advisories"], "debian", "40 days")
    site["status"] = STATUS | {"advisories": {"updaters": {}}}
    assert sick(look(places)["advisories"], "none")


def test_a_clock_that_is_wrong_is_a_problem(places: Places, site: dict[str, Any]) -> None:
    """By the server's own date; one that cannot be had is said."""
    site["date"] = "Sun, 01 Nov 2026 00:05:00 GMT"
    assert sick(look(places)["clock"], "300 s apart")
    for date in ("", "yesterday"):
        site["date"] = date
        assert sick(look(places)["clock"], "not to be had")


def test_a_server_that_is_away_or_not_named_is_one_problem(places: Places, site: dict[str, Any]) -> None:
    """Nothing is said of what lies behind it."""
    site["error"] = ServerUnreachable("refused")
    assert sick(look(places)["server"], "refused")
    assert len(look(places)) == 1
    site["settings"] = SimpleNamespace(server=ServerSettings())
    assert sick(look(places)["server"], "none is named")


@pytest.mark.parametrize(
    ("reachable", "health"), [(None, Health.ROOT), (True, Health.FINE), (False, Health.PROBLEM)]
)
def test_a_user_sees_what_the_agent_says_of_the_server(
    places: Places, monkeypatch: pytest.MonkeyPatch, reachable: object, health: Health
) -> None:
    """The node's token is not his."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    status = {"server": {"reachable": reachable, "url": "https://s"}}
    assert only(server.look(places, status, NOW)).health is health


def test_a_look_that_fails_is_a_finding() -> None:
    """What was found before counts; a fault of our own is `not seen`, and the exit code 3."""

    def broken() -> Iterator[Finding]:
        yield fine("x")
        raise RuntimeError("boom")

    found = safely("x", broken)
    assert [each.health for each in found] == [Health.FINE, Health.UNSEEN]
    assert "boom" in found[1].detail
    assert verdict(found) == 3
    assert verdict([*found, problem("y", "", "")]) == 1
    assert verdict([fine("x"), roots("y"), Finding("z", Health.ABSENT)]) == 0


@pytest.mark.parametrize(
    ("audit", "word"),
    [
        ({"discontinuities": 2}, "2 times since start"),
        ({"head_problem": "another head is known"}, "another history"),
        ({"evidence_problem": "No space left"}, "No space left"),
        ({"forward_problem": "syslog: gone", "not_forwarded": 3}, "3 records not forwarded: syslog: gone"),
    ],
)
def test_doubts_about_the_evidence_are_problems(audit: dict[str, Any], word: str) -> None:
    """The log is written and shipped, and yet something is wrong with what it is worth."""
    health, doubt = agent.audit(told(**audit))
    assert health.health is Health.FINE
    assert sick(doubt, word)
