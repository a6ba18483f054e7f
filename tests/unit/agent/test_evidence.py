# SPDX-License-Identifier: Apache-2.0
"""What records name is kept as long as they are, and heads of the chain leave the node."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard
from tests.fakes.agent import RunningAgent, eventually, settled_file, write_policy
from tests.fakes.records import record
from tests.fakes.server import FakeServer, bad_verdict, clean_verdict

from sifgate.agent import heads
from sifgate.agent.evidence import Evidence
from sifgate.agent.heads import Heads, kept_heads
from sifgate.agent.remote import Remote
from sifgate.audit.chain import Chain
from sifgate.audit.log import AuditLog
from sifgate.audit.record import encode
from sifgate.config import AuditSettings
from sifgate.errors import AuditError
from sifgate.model.head import Countersigned
from sifgate.policy.load import policy_of
from sifgate.policy.sources import PolicySources

Start = Callable[..., RunningAgent]


def body_of(text: str) -> tuple[str, bytes]:
    """Return digest and packed bytes of something."""
    body = text.encode()
    return "sha256:" + hashlib.sha256(body).hexdigest(), zstandard.compress(body)


def nothing(_: str) -> bytes | None:
    """Have no verdict in the cache."""
    return None


@pytest.fixture
def store(tmp_path: Path) -> Evidence:
    """An empty store of a node whose log does not exist yet."""
    return Evidence(tmp_path / "evidence", tmp_path / "audit.jsonl", nothing)


def age(store: Path) -> None:
    """Make everything in the store old."""
    for file in store.rglob("*.zst"):
        os.utime(file, (1e9, 1e9))


def kept(place: Path) -> set[str]:
    """Return the digests of all that is kept."""
    files = place.glob("evidence/*/*.json.zst")
    return {"sha256:" + file.name.removesuffix(".json.zst") for file in files}


def write_log(file: Path, *digests: str, pack: Callable[[bytes], bytes] = bytes) -> None:
    """Write a log file whose records name these verdicts."""
    lines = [encode(record(index, verdict=digest)) for index, digest in enumerate(digests)]
    file.write_bytes(pack(b"".join(lines)))


def test_what_a_log_file_names_is_kept(store: Evidence, tmp_path: Path) -> None:
    """In the open log, in a rotated file, in a packed one; only what none of them names goes."""
    digests = {}
    for name in ("open", "rotated", "packed", "nobody"):
        digest, packed = body_of(name)
        store.keep_verdict(digest, packed)
        digests[name] = digest
    write_log(tmp_path / "audit.jsonl", digests["open"])
    write_log(tmp_path / "audit.jsonl.1", digests["rotated"])
    write_log(tmp_path / "audit.jsonl.2.gz", digests["packed"], pack=gzip.compress)
    age(tmp_path)
    assert store.prune() == 1
    assert kept(tmp_path) == {digests["open"], digests["rotated"], digests["packed"]}
    (tmp_path / "audit.jsonl.2.gz").unlink()
    assert store.prune() == 1
    assert kept(tmp_path) == {digests["open"], digests["rotated"]}


def test_nothing_goes_while_a_log_file_cannot_be_read(store: Evidence, tmp_path: Path) -> None:
    """Half a packed file may name anything."""
    digest, packed = body_of("verdict")
    store.keep_verdict(digest, packed)
    whole = gzip.compress(encode(record(1)) * 1000)
    (tmp_path / "audit.jsonl.1.gz").write_bytes(whole[: len(whole) // 2])
    age(tmp_path)
    with pytest.raises(AuditError, match=r"audit\.jsonl\.1\.gz"):
        store.prune()
    assert kept(tmp_path) == {digest}


def test_what_has_just_come_or_been_named_stays(store: Evidence, tmp_path: Path) -> None:
    """Its record may not be in the file yet."""
    young, packed = body_of("young")
    store.keep_verdict(young, packed)
    named, packed_named = body_of("named")
    store.keep_verdict(named, packed_named)
    os.utime(tmp_path / "evidence/verdicts" / (named.removeprefix("sha256:") + ".json.zst"), (1e9, 1e9))
    assert store.named(named)
    assert store.prune() == 0
    assert kept(tmp_path) == {young, named}


def test_policy_in_force_stays(store: Evidence, tmp_path: Path) -> None:
    """Though nothing was launched under it yet; the one before goes once nothing names it."""
    first, second = body_of("one")[0], body_of("two")[0]
    store.keep_policy(first, b"one")
    store.keep_policy(second, b"two")
    age(tmp_path)
    assert store.prune() == 1
    assert store.policies() == [second]
    assert store.policy(second) == b"two"


def test_store_is_found_again_after_a_crash(store: Evidence, tmp_path: Path) -> None:
    """Half-written files are no evidence and go in time; whole ones are known at the next start."""
    digest, packed = body_of("verdict")
    store.keep_verdict(digest, packed)
    half = tmp_path / "evidence/verdicts/.half.json.zst.1"
    half.write_bytes(packed[:5])
    os.utime(half, (1e9, 1e9))
    again = Evidence(tmp_path / "evidence", tmp_path / "audit.jsonl", nothing)
    assert again.named(digest)
    assert not half.exists()


def test_lost_evidence_is_mended_from_the_cache(tmp_path: Path) -> None:
    """A verdict that a record names and the store lacks is fetched where the node still has it."""
    digest, packed = body_of("verdict")
    store = Evidence(tmp_path / "evidence", tmp_path / "audit.jsonl", {digest: packed}.get)
    write_log(tmp_path / "audit.jsonl", digest)
    assert not store.named(digest)
    store.prune()
    assert store.named(digest)
    assert kept(tmp_path) == {digest}


def test_hostile_digests_name_no_file(store: Evidence, tmp_path: Path) -> None:
    """What is no digest is kept nowhere."""
    store.keep_verdict("sha256:../../../x", b"x")
    assert kept(tmp_path) == set()


def test_disk_that_refuses_is_a_problem_to_be_shown(store: Evidence, tmp_path: Path) -> None:
    """The launch is judged all the same."""
    (tmp_path / "evidence/verdicts").rmdir()
    store.keep_verdict(*body_of("verdict"))
    assert "cannot be kept" in store.problem


def test_agent_keeps_what_it_judged_by(start: Start, root: Path, server: FakeServer, tmp_path: Path) -> None:
    """Verdict and policy of a record are there, by the digests that it names, and load as what they were."""
    server.finding = bad_verdict
    agent = start()
    agent.ask(settled_file(tmp_path / "x.sif", b"x"))
    (made,) = agent.records()
    place = root / "state/agent"
    assert {made.verdict, made.policy} <= kept(place)
    sources = agent.agent.evidence.policy(made.policy)
    assert sources is not None
    assert policy_of(msgspec.json.decode(sources, type=PolicySources)).digest == made.policy


def test_older_verdict_and_policy_stay_after_new_ones(
    start: Start, root: Path, server: FakeServer, tmp_path: Path
) -> None:
    """A new policy and another image leave the evidence of earlier records."""
    agent = start()
    agent.ask(settled_file(tmp_path / "x.sif", b"x"))
    write_policy(
        root, "schema: sifgate.policy/v1\nmode: audit\nrules: [{id: k, when: {kev: true}, action: warn}]\n"
    )
    assert agent.query("reload")["problem"] == ""
    agent.ask(settled_file(tmp_path / "y.sif", b"y"))
    named = {each.verdict for each in agent.records()} | {each.policy for each in agent.records()}
    assert len(named) == 4
    assert named <= kept(root / "state/agent")


def test_heads_and_policies_reach_the_server(
    start: Start, root: Path, server: FakeServer, tmp_path: Path
) -> None:
    """The head of the chain is countersigned and kept, and the policy can be had from the server."""
    server.finding = clean_verdict
    agent = start(audit=AuditSettings())
    agent.ask(settled_file(tmp_path / "x.sif", b"x"))
    eventually(lambda: server.heads and server.policies)
    (made,) = agent.records()
    assert set(server.policies) == {made.policy}
    eventually(lambda: kept_heads(root / "state/agent/heads.jsonl"))
    head = kept_heads(root / "state/agent/heads.jsonl")[0]
    assert (head.chain, head.node) == (made.chain, made.node)
    assert head.seq <= made.seq


@pytest.fixture
def sender(tmp_path: Path, server: FakeServer) -> tuple[AuditLog, Heads]:
    """A log and what sends its heads."""
    log = AuditLog(tmp_path / "audit.jsonl", chain=Chain("n1", tmp_path / "chain.json"))
    return log, Heads(tmp_path / "heads.jsonl", log, Remote(server.settings), "n1")


def test_head_follows_each_new_record_within_a_minute(
    sender: tuple[AuditLog, Heads], server: FakeServer
) -> None:
    """At once after the first, then one for all records of a while, none where nothing is new."""
    log, ours = sender
    now = 1000.0
    assert not ours.send_if_due(lambda: now)
    log.append(encode(record(1)))
    assert ours.send_if_due(lambda: now)
    log.append(encode(record(2)))
    assert not ours.send_if_due(lambda: now)
    now += heads.EVERY
    assert heads.EVERY < 60
    assert ours.send_if_due(lambda: now)
    assert not ours.send_if_due(lambda: now + 1000)
    assert log.chain is not None
    assert [head["seq"] for head in server.heads] == [2, 3]
    assert server.heads[-1]["head"] == log.chain.stand.head
    log.close()


def test_contradicted_head_is_an_alarm_and_not_asked_again(
    sender: tuple[AuditLog, Heads], server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server knows another history: said once, shown in status, never sent in a loop."""
    alarms: list[str] = []
    monkeypatch.setattr("sifgate.agent.heads.syslog.syslog", lambda _level, text: alarms.append(text))
    server.contradicts = True
    log, ours = sender
    log.append(encode(record(1)))
    assert ours.send_if_due()
    assert not ours.send_if_due()
    assert "another head is known" in ours.problem
    assert len(alarms) == 1
    log.close()


def test_old_heads_are_thinned(tmp_path: Path, sender: tuple[AuditLog, Heads]) -> None:
    """One an hour of what is older than a week; lines that are none do no harm."""
    _, ours = sender
    path = tmp_path / "heads.jsonl"
    lines = [
        Countersigned(
            "n1",
            "c",
            number,
            "00" * 32,
            f"2026-01-01T{number // 60:02d}:{number % 60:02d}:00.000Z",
            "",
            "",
            "",
        )
        for number in range(180)
    ]
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines) + b'{"torn')
    ours.thin()
    assert [head.seq for head in kept_heads(path)] == [59, 119, 179]


def test_server_sees_pseudonyms_only(start: Start, root: Path, server: FakeServer, tmp_path: Path) -> None:
    """What is shipped is disguised; the node's own record, which `explain` and a replay need, is not."""
    key = tmp_path / "pseudonym.key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    agent = start(audit=AuditSettings(pseudonymise=("path", "image", "uid"), pseudonym_key=key))
    image = settled_file(tmp_path / "secret-project.sif", b"x")
    agent.ask(image)
    eventually(lambda: server.records)
    (shipped,) = server.records.values()
    assert "secret-project" not in str(shipped)
    assert shipped["uid"] >= 1 << 32
    (made,) = agent.records()
    assert (made.path, made.uid) == (str(image), 1000)


def test_bad_key_holds_records_back(start: Start, server: FakeServer, tmp_path: Path) -> None:
    """Rather than sending names in clear, and `status` says why; the head of the chain still goes."""
    agent = start(audit=AuditSettings(pseudonymise=("path",), pseudonym_key=tmp_path / "missing"))
    agent.ask(settled_file(tmp_path / "x.sif", b"x"))
    eventually(lambda: "missing" in agent.query("status")["audit"]["ship_problem"])
    eventually(lambda: server.heads)
    assert server.records == {}


def test_policy_that_the_server_refuses_is_said_and_holds_nothing_up(
    start: Start, server: FakeServer, tmp_path: Path
) -> None:
    """Records and heads go on; the refusal is in `status`, and the policy is not sent in a loop."""
    server.refuse_policies = True
    agent = start(audit=AuditSettings())
    agent.ask(settled_file(tmp_path / "x.sif", b"x"))
    eventually(lambda: "no policy of ours" in agent.query("status")["audit"]["ship_problem"])
    eventually(lambda: server.records and server.heads)
    assert server.calls.count("PUT /v1/policies") == 1


def test_copy_that_was_not_finished_is_read_again(store: Evidence, tmp_path: Path) -> None:
    """What was noted of a rotated file holds only as long as the file is what it was."""
    first, second = body_of("first"), body_of("second")
    store.keep_verdict(*first)
    store.keep_verdict(*second)
    write_log(tmp_path / "audit.jsonl.1", first[0])
    age(tmp_path)
    for file in (tmp_path / "evidence/verdicts").glob(f"{second[0].removeprefix('sha256:')}*"):
        os.utime(file)
    assert store.prune() == 0
    write_log(tmp_path / "audit.jsonl.1", first[0], second[0])
    age(tmp_path)
    assert store.prune() == 0
    assert kept(tmp_path) == {first[0], second[0]}


def test_agent_lets_go_after_a_rotation(
    start: Start, root: Path, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the file that named a verdict is gone, so is the verdict; what the new file names stays."""
    agent = start()
    agent.ask(settled_file(tmp_path / "x.sif", b"x"))
    (old,) = agent.records()
    image = settled_file(tmp_path / "y.sif", b"y")
    monkeypatch.setattr("sifgate.agent.evidence.GRACE", -1.0)
    monkeypatch.setattr("sifgate.agent.evidence.SETTLED", -3600.0)
    agent.agent.log.path.unlink()

    def rotated() -> bool:
        agent.ask(image)
        return agent.agent.log.path.exists() and old.verdict not in kept(root / "state/agent")

    eventually(rotated)
    eventually(lambda: agent.records()[-1].verdict in kept(root / "state/agent"))
