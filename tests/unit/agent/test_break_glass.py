# SPDX-License-Identifier: Apache-2.0
"""Break-glass: who may take a grant, what it does, and that it ends, is recorded and told."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
import syslog
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.agent import POLICY, RunningAgent, digest_of, settled_file, write_policy
from tests.fakes.server import FakeServer, bad_verdict
from tests.unit.agent.test_trust import as_nobody

from sifgate.agent.grants import PER_USER, Grants, is_in_force, time_text
from sifgate.errors import AgentRefused, ConfigError
from sifgate.model.launch import Grant

NOBODY = 65_534
SETTINGS = "break_glass: {groups: [%s], max_duration: 4h, require_reason: true}\n"
Told = list[tuple[int, str]]
NOW = 1_800_000_000.0


def nobodys_group() -> str:
    """Return a group that the user of `as_nobody` is in."""
    return grp.getgrgid(pwd.getpwuid(NOBODY).pw_gid).gr_name


@pytest.fixture
def told(start: Callable[..., RunningAgent], root: Path) -> tuple[RunningAgent, Told]:
    """Return an agent whose policy knows break-glass for nobody's group, and what it told syslog."""
    write_policy(root, POLICY + SETTINGS % nobodys_group())
    agent = start()
    said: Told = []
    agent.agent.alarms._tell = lambda priority, text: said.append((priority, text))
    return agent, said


def known_bad(server: FakeServer, root: Path) -> Path:
    """Return an image that the policy refuses."""
    image = settled_file(root / "bad.sif", b"bad")
    server.know(bad_verdict(digest_of(b"bad")))
    return image


def test_grant_turns_a_refusal_into_a_warning_and_says_so(
    told: tuple[RunningAgent, Told], server: FakeServer, root: Path
) -> None:
    """The launch passes, the record names the grant, and syslog hears of grant and launch at once."""
    agent, said = told
    image = known_bad(server, root)
    assert agent.action(image, uid=4711) == "block"
    taken = agent.query("grant", do="start", reason="node is lost", seconds=600, user=str(os.geteuid()))
    assert agent.action(image, uid=4711) == "block"
    assert agent.action(image, uid=os.geteuid() or 0) == "warn"
    last = agent.records()[-1]
    assert (last.action, last.would_be, last.granted) == ("warn", "block", taken["grant"]["id"])
    assert last.grant is not None
    assert last.alarms == ("break_glass",)
    assert [priority for priority, _ in said] == [syslog.LOG_ALERT | syslog.LOG_AUTHPRIV] * 2
    assert all(taken["grant"]["id"] in text and "node is lost" in text for _, text in said)
    assert agent.query("status")["alarms"] == {"break_glass": 2}


def test_grant_is_recorded_listed_and_ended(
    told: tuple[RunningAgent, Told], server: FakeServer, root: Path
) -> None:
    """Its begin and its end are records of their own; after the end everything is as before."""
    agent, _ = told
    image = known_bad(server, root)
    own = os.geteuid()
    taken = agent.query("grant", do="start", reason="why not", seconds=60)["grant"]
    assert agent.query("grant", do="list")["grants"] == [taken]
    assert agent.query("status")["break_glass"]["in_force"] == 1
    assert agent.action(image, uid=own) == "warn"
    ended = agent.query("grant", do="end", id=taken["id"])
    assert agent.query("grant", do="list")["grants"] == []
    assert agent.action(image, uid=own) == "block"
    events = [record for record in agent.records() if record.outcome == "break_glass"]
    assert [record.event for record in events] == ["started", "ended"]
    assert [record.grant.id for record in events if record.grant] == [taken["id"]] * 2
    assert (events[0].user_reason, events[0].uid, events[1].reference) == ("why not", own, ended["reference"])


@pytest.mark.root
def test_member_takes_one_for_himself_and_for_nobody_else(told: tuple[RunningAgent, Told]) -> None:
    """Who he is and what groups he is in is the kernel's and the name service's word."""
    agent, _ = told
    words = [("do", "start"), ("reason", "on call")]
    answer = as_nobody(agent, "grant", words)
    body = json.loads(dict(answer["fields"])["body"])
    assert body["grant"]["uid"] == NOBODY
    refused = as_nobody(agent, "grant", [*words, ("user", "root")])
    assert (refused["verb"], refused["code"]) == ("error", "forbidden")
    claimed = as_nobody(agent, "grant", [*words, ("uid", "0")])
    assert json.loads(dict(claimed["fields"])["body"])["grant"]["uid"] == NOBODY


@pytest.mark.root
def test_stranger_gets_sees_and_ends_nothing(start: Callable[..., RunningAgent], root: Path) -> None:
    """Not a member: no grant, no list of others' grants, no end of them."""
    write_policy(root, POLICY + SETTINGS % "no-such-group")
    agent = start()
    taken = agent.query("grant", do="start", reason="x")["grant"]
    assert as_nobody(agent, "grant", [("do", "start"), ("reason", "x")])["code"] == "forbidden"
    listed = as_nobody(agent, "grant", [("do", "list")])
    assert json.loads(dict(listed["fields"])["body"]) == {"grants": []}
    assert as_nobody(agent, "grant", [("do", "end"), ("id", taken["id"])])["code"] == "not_found"
    assert len(agent.query("grant", do="list")["grants"]) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"do": "start"}, "usage"),
        ({"do": "start", "reason": "  "}, "usage"),
        ({"do": "start", "reason": "two\nlines"}, "usage"),
        ({"do": "start", "reason": "x" * 301}, "usage"),
        ({"do": "start", "reason": "x", "seconds": 0}, "usage"),
        ({"do": "start", "reason": "x", "seconds": 4 * 3600 + 1}, "usage"),
        ({"do": "start", "reason": "x", "seconds": "-5"}, "usage"),
        ({"do": "start", "reason": "x", "seconds": "1h"}, "protocol"),
        ({"do": "start", "reason": "x", "user": "no such user"}, "usage"),
        ({"do": "start", "reason": "x", "user": "9" * 40}, "usage"),
        ({"do": "end", "id": "nothing"}, "not_found"),
        ({"do": "loosen"}, "usage"),
        ({}, "usage"),
    ],
)
def test_wrong_question_is_answered_with_what_is_wrong(
    told: tuple[RunningAgent, Told], words: dict[str, Any], code: str
) -> None:
    """And nothing is granted, recorded or told."""
    agent, said = told
    with pytest.raises(AgentRefused) as refused:
        agent.query("grant", **words)
    assert refused.value.code == code
    assert agent.query("grant", do="list") == {"grants": []}
    assert (said, agent.records()) == ([], [])


def test_policy_without_break_glass_grants_nothing(agent: RunningAgent) -> None:
    """Not even to root: the site has not asked for it."""
    with pytest.raises(AgentRefused, match="no `break_glass`"):
        agent.query("grant", do="start", reason="x")


def test_grant_survives_a_restart_and_no_longer_than_its_end(
    start: Callable[..., RunningAgent], server: FakeServer, root: Path
) -> None:
    """The file is the agent's alone; an agent started anew goes on where the other one ended."""
    write_policy(root, POLICY + SETTINGS % nobodys_group())
    agent = RunningAgent(root, server.settings)
    image = known_bad(server, root)
    agent.query("grant", do="start", reason="x")
    agent.stop()
    path = root / "state/agent/grants.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = RunningAgent(root, server.settings)
    assert again.action(image, uid=os.geteuid()) == "warn"
    again.stop()
    document = json.loads(path.read_text())
    document[0]["ends"] = time_text(datetime.now(timezone.utc).timestamp() - 1)
    path.write_text(json.dumps(document))
    last = start()
    assert last.action(image, uid=os.geteuid()) == "block"
    assert last.query("status")["break_glass"] == {"in_force": 0, "problem": ""}


def test_grant_that_cannot_be_recorded_is_none(told: tuple[RunningAgent, Told]) -> None:
    """A full disk hands out no silent grants."""
    agent, said = told
    log = agent.agent.log
    log.close()
    log.path.unlink(missing_ok=True)
    log.path.mkdir()
    with pytest.raises(AgentRefused, match="nothing was granted"):
        agent.query("grant", do="start", reason="x")
    assert agent.query("grant", do="list") == {"grants": []}
    assert said == []


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"id": 1}]', b"\xff", b'{"uid": 0}'])
def test_grants_that_cannot_be_read_back_are_none(tmp_path: Path, content: bytes) -> None:
    """A damaged file loosens nothing, and is said."""
    path = tmp_path / "grants.json"
    path.write_bytes(content)
    grants = Grants(path)
    assert (len(grants), bool(grants.problem)) == (0, True)


def test_file_that_others_can_write_is_not_believed(tmp_path: Path) -> None:
    """Whoever can write it would be on call for ever."""
    path = tmp_path / "grants.json"
    Grants(path).add(_grant(), NOW)
    path.chmod(0o666)
    assert len(Grants(path)) == 0
    path.chmod(0o600)
    assert len(Grants(path)) == 1


def test_grant_holds_from_its_begin_to_before_its_end() -> None:
    """To the millisecond; one whose times are none holds never."""
    grant = _grant()
    moments = {NOW - 0.001: False, NOW: True, NOW + 59.999: True, NOW + 60: False}
    assert {at: is_in_force(grant, at) for at in moments} == moments
    assert not is_in_force(Grant("x", 1, "r", "root", "yesterday", grant.ends), NOW)


def test_longest_grant_of_the_user_counts(tmp_path: Path) -> None:
    """Several may hold; those of others, and those that are over, do not."""
    grants = Grants(tmp_path / "grants.json")
    for name, uid, seconds in (("a", 7, 60), ("b", 7, 600), ("c", 8, 6000), ("d", 7, 10)):
        grants.add(Grant(name, uid, "r", "root", time_text(NOW), time_text(NOW + seconds)), NOW)
    found = grants.of(7, NOW + 30)
    assert found is not None
    assert found.id == "b"
    assert grants.of(9, NOW) is None
    grants.end("b", NOW + 30)
    assert sorted(grant.id for grant in grants.in_force(NOW + 30)) == ["a", "c"]


def test_state_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Nothing is granted that a restart would forget."""
    (tmp_path / "file").write_text("")
    grants = Grants(tmp_path / "file" / "grants.json")
    with pytest.raises(ConfigError):
        grants.add(_grant(), NOW)
    assert len(grants) == 0


def test_nobody_takes_the_room_of_others(tmp_path: Path) -> None:
    """One user holds a few grants at a time; another one's still finds its place, and an old one makes room."""
    grants = Grants(tmp_path / "grants.json")
    for number in range(PER_USER):
        grants.add(Grant(str(number), 7, "r", "root", time_text(NOW), time_text(NOW + 60)), NOW)
    with pytest.raises(ConfigError, match="8 of them for uid 7"):
        grants.add(_grant(), NOW)
    grants.add(Grant("other", 8, "r", "root", time_text(NOW), time_text(NOW + 60)), NOW)
    grants.end("3", NOW)
    grants.add(_grant(), NOW)
    assert len(grants.in_force(NOW)) == PER_USER + 1


def _grant() -> Grant:
    begins = datetime.fromtimestamp(NOW, timezone.utc)
    return Grant("g", 7, "r", "root", time_text(NOW), (begins + timedelta(seconds=60)).isoformat())
