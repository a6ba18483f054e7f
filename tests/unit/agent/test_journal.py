# SPDX-License-Identifier: Apache-2.0
"""Records before replies: durable refusals, unwritable logs, rotation, and shipping to the server."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes.agent import RunningAgent, eventually, settled_file, write_policy
from tests.fakes.server import FakeServer, bad_verdict

from sifgate.agent.remote import Remote
from sifgate.agent.shipper import Shipper
from sifgate.audit.log import AuditLog
from sifgate.config import AuditSettings, ServerSettings
from sifgate.errors import AuditError, ServerUnreachable

Start = Callable[..., RunningAgent]
UNWRITABLE = """\
schema: sifgate.policy/v1
mode: enforce
failure: {{audit_unwritable: {action}}}
rules:
  - {{id: kev, when: {{kev: true}}, action: block}}
"""


def break_log(agent: RunningAgent) -> None:
    """Put a directory where the log was: nothing can be written any more."""
    agent.agent.log.path.unlink(missing_ok=True)
    agent.agent.log.path.mkdir()
    agent.agent.log.close()


@pytest.mark.parametrize("action", ["allow", "warn", "block"])
def test_unwritable_log_follows_the_policy(
    start: Start, root: Path, server: FakeServer, tmp_path: Path, action: str
) -> None:
    """No refusal without a record: the policy's `audit_unwritable` decides, and `status` tells of it."""
    write_policy(root, UNWRITABLE.format(action=action))
    server.finding = bad_verdict
    agent = start()
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image) == "block"
    break_log(agent)
    assert agent.action(image) == action
    audit = agent.query("status")["audit"]
    assert audit["unwritable"]
    assert audit["failures"] >= 1


def test_refusal_that_cannot_be_made_durable_is_not_reported(
    agent: RunningAgent, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes the line but not the sync counts as unwritable."""
    server.finding = bad_verdict
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image) == "block"

    def no_disk(_: AuditLog) -> None:
        raise AuditError("input/output error")

    monkeypatch.setattr(AuditLog, "sync", no_disk)
    assert agent.action(image) == "allow"


def test_refusals_share_syncs_and_come_after_them(
    agent: RunningAgent, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many refusals at once wait for few syncs, and each is in the file before it is reported."""
    server.finding = bad_verdict
    image = settled_file(tmp_path / "x.sif", b"x")
    agent.ask(image)
    syncs: list[int] = []
    sync = AuditLog.sync

    def counted(log: AuditLog) -> None:
        syncs.append(log.lines)
        sync(log)

    monkeypatch.setattr(AuditLog, "sync", counted)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: agent.ask(image), range(100)))
    references = {record.reference for record in agent.records()}
    assert {answer.text("action") for answer in answers} == {"block"}
    assert {answer.text("reference") for answer in answers} <= references
    assert 0 < len(syncs) <= 100


def test_rotated_log_is_left_without_loss(agent: RunningAgent, tmp_path: Path) -> None:
    """Records go on in a new file once the old one was renamed."""
    image = settled_file(tmp_path / "x.sif", b"x")
    agent.ask(image)
    old = agent.agent.log.path.with_name("audit.jsonl.1")
    agent.agent.log.path.rename(old)

    def launched() -> bool:
        agent.ask(image)
        return agent.agent.log.path.exists()

    eventually(launched)
    lines = old.read_bytes().splitlines() + agent.agent.log.path.read_bytes().splitlines()
    total = len(lines) - 1  # the first begins the chain
    assert total == agent.agent.log.lines
    assert len(agent.query("audit", limit="1000")["records"]) == total


def test_records_reach_the_server(start: Start, server: FakeServer, tmp_path: Path) -> None:
    """The agent ships what it writes, in batches, each record once it is acknowledged."""
    agent = start(audit=AuditSettings(batch=2))
    image = settled_file(tmp_path / "x.sif", b"x")
    references = {agent.ask(image).text("reference") for _ in range(5)}
    eventually(lambda: len(server.records) == 5)
    assert {record["reference"] for record in server.records.values()} == references
    eventually(lambda: agent.query("status")["audit"]["unshipped_bytes"] == 0)


def shipper(tmp_path: Path, settings: ServerSettings, **changes: Any) -> Shipper:
    """Return a shipper of a log, not started."""
    options = {"batch": 10, "spool_bytes": 1 << 20, **changes}
    return Shipper(tmp_path / "audit.jsonl", tmp_path / "shipped.json", Remote(settings), **options)


def write_lines(path: Path, numbers: range) -> None:
    """Append records with these ids."""
    with path.open("ab") as file:
        file.writelines(msgspec.json.encode({"id": str(number)}) + b"\n" for number in numbers)


def ship_all(ship: Shipper) -> None:
    """Ship until there is nothing more."""
    while ship.ship_once():
        pass


def test_shipping_resumes_where_it_stopped(tmp_path: Path, server: FakeServer) -> None:
    """A server that was away, a restart and a rotation in between lose nothing and repeat little."""
    log = tmp_path / "audit.jsonl"
    write_lines(log, range(25))
    away = shipper(tmp_path, ServerSettings("https://127.0.0.1:1", server.certificate, server.token_file))
    with pytest.raises(ServerUnreachable):
        away.ship_once()
    first = shipper(tmp_path, server.settings)
    assert first.ship_once()
    assert len(server.records) == 10
    write_lines(log, range(25, 30))
    log.rename(tmp_path / "audit.jsonl.1")
    write_lines(log, range(30, 40))
    ship_all(shipper(tmp_path, server.settings))
    assert set(server.records) == {str(number) for number in range(40)}
    assert server.calls.count("POST /v1/launches") == 4


def test_torn_line_is_shipped_once_it_is_whole(tmp_path: Path, server: FakeServer) -> None:
    """Half a line at the end waits; garbage in the middle is passed over."""
    log = tmp_path / "audit.jsonl"
    log.write_bytes(b'{"id":"1"}\nnot a record\n{"id":"2"')
    ship = shipper(tmp_path, server.settings)
    ship_all(ship)
    assert set(server.records) == {"1"}
    with log.open("ab") as file:
        file.write(b"}\n")
    ship_all(ship)
    assert set(server.records) == {"1", "2"}


def test_spool_is_bounded(tmp_path: Path, server: FakeServer) -> None:
    """Where too much waits, the oldest records stay on the node, counted, and the newest are sent."""
    write_lines(tmp_path / "audit.jsonl", range(1000))
    ship = shipper(tmp_path, server.settings, spool_bytes=2000)
    ship_all(ship)
    assert ship.cursor.skipped > 500
    assert "999" in server.records
    assert ship.cursor.skipped + len(server.records) == 1000
