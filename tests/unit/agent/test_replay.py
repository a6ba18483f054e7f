# SPDX-License-Identifier: Apache-2.0
"""Every decision of an agent can be computed again from its log and its evidence."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from tests.fakes.agent import RunningAgent, eventually, settled_file, write_policy
from tests.fakes.server import FakeServer, bad_verdict, clean_verdict

from sifgate.audit.files import history, lines
from sifgate.audit.record import decode, encode
from sifgate.config import AuditSettings
from sifgate.model.verdict import Verdict
from sifgate.whatif.kept import Kept
from sifgate.whatif.kept_policies import KeptPolicies, node_sources
from sifgate.whatif.replay import Replay, Replayed

Start = Callable[..., RunningAgent]
RICH = """\
schema: sifgate.policy/v1
mode: enforce
scan_wait: 5s
scan_states: {unresolved: block, pending: warn}
rules:
  - {id: kev, when: {kev: true, fixable: true}, action: block}
  - {id: many, when: {count: {over: 0}}, action: log}
scopes:
  - {id: odd, match: {path: "/**/odd*/**"}, set: {mode: warn}}
"""


def log_lines(root: Path) -> Iterator[bytes]:
    """Yield all lines of a node's log."""
    for file in history(root / "log/audit.jsonl"):
        yield from (line for _, line in lines(file))


def replay(root: Path, read: Iterator[bytes] | list[bytes] | None = None) -> Replayed:
    """Replay a node's log with its evidence."""
    evidence = root / "state/agent/evidence"
    policies = KeptPolicies(node_sources(evidence))
    return Replay(policies, Kept(evidence)).run(log_lines(root) if read is None else read)


def test_agents_decisions_are_computed_again(
    start: Start, root: Path, server: FakeServer, tmp_path: Path
) -> None:
    """Refused, allowed, in a scope by a hostile path, unresolved; under two policies; across a packed rotation."""
    agent = start()
    server.finding = bad_verdict
    bad = settled_file(tmp_path / "bad.sif", b"bad")
    assert agent.action(bad) == "block"
    write_policy(root, RICH)
    assert agent.query("reload")["problem"] == ""
    odd = tmp_path / "odd\x1b[31m \udcff%,\n"
    odd.mkdir()
    assert agent.action(settled_file(odd / "x.sif", b"bad")) == "warn"
    agent.agent.log.path.rename(agent.agent.log.path.with_name("audit.jsonl.1"))
    agent.query("reload")
    eventually(agent.agent.log.path.exists)
    server.finding = clean_verdict
    agent.ask(settled_file(tmp_path / "good.sif", b"good"))
    assert agent.action("docker://debian:12") == "block"
    assert agent.action(tmp_path / "missing.sif") == "block"
    assert agent.action(bad, door="cli") == "block"
    rotated = root / "log/audit.jsonl.1"
    rotated.with_suffix(".1.gz").write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.unlink()
    found = replay(root)
    assert (found.different, found.differences, found.lacking, found.unreadable) == (0, [], {}, 0)
    assert found.same == 6
    assert found.apart == {"chain": 1}


def test_each_verdict_is_looked_at_once(start: Start, root: Path, server: FakeServer, tmp_path: Path) -> None:
    """However many records of one image there are: the rest is recalled by its digest."""
    server.finding = bad_verdict
    agent = start()
    image = settled_file(tmp_path / "bad.sif", b"bad")
    for _ in range(3):
        agent.ask(image)
    evidence = root / "state/agent/evidence"
    looked: list[str] = []
    kept = Kept(evidence)

    def counted(digest: str) -> Verdict | None:
        looked.append(digest)
        return kept(digest)

    found = Replay(KeptPolicies(node_sources(evidence)), counted).run(log_lines(root))
    assert (found.same, len(looked)) == (3, 1)


def test_forged_decision_is_found(start: Start, root: Path, server: FakeServer, tmp_path: Path) -> None:
    """A record that says something else than its verdict and policy give is named, field by field."""
    server.finding = bad_verdict
    agent = start()
    agent.ask(settled_file(tmp_path / "bad.sif", b"bad"))
    (made,) = agent.records()
    forged = msgspec.structs.replace(made, action="allow", reasons=())
    found = replay(root, [encode(forged).strip()])
    assert found.different == 1
    assert {(each.reference, each.field) for each in found.differences} == {
        (made.reference, "action"),
        (made.reference, "reasons"),
    }
    assert found.differences[0].recorded == "allow"
    assert found.differences[0].computed == "block"


def test_what_cannot_be_replayed_is_said(
    start: Start, root: Path, server: FakeServer, tmp_path: Path
) -> None:
    """Missing verdict, missing policy, changed policy, schema 1, foreign decisions, garbage: none counts as equal."""
    server.finding = bad_verdict
    agent = start()
    agent.ask(settled_file(tmp_path / "bad.sif", b"bad"))
    (made,) = agent.records()
    change = msgspec.structs.replace
    evidence = root / "state/agent/evidence/policies"
    wrong = "sha256:" + "cd" * 32
    kept = evidence / f"{made.policy.removeprefix('sha256:')}.json.zst"
    (evidence / f"{'cd' * 32}.json.zst").write_bytes(kept.read_bytes())
    found = replay(
        root,
        [
            encode(change(made, verdict="sha256:" + "ab" * 32)),
            encode(change(made, policy="sha256:" + "ef" * 32)),
            encode(change(made, policy=wrong)),
            encode(change(made, schema=1)),
            encode(change(made, kept_by="server")),
            encode(change(made, outcome="break_glass")),
            encode(change(made, state="no such state")),
            b"garbage",
        ],
    )
    assert (found.same, found.different, found.unreadable) == (0, 0, 1)
    assert found.apart == {"kept_by server": 1, "break_glass": 1, "schema 1": 1}
    assert sorted(found.lacking.values()) == [1, 1, 1, 1]
    reasons = " / ".join(found.lacking)
    for word in ("verdict is not kept", "not kept", "another policy", "no such state"):
        assert word in reasons


def test_posture_is_counted_apart(start: Start, root: Path, server: FakeServer, tmp_path: Path) -> None:
    """Where no policy could be loaded there is none to replay with."""
    write_policy(root, "schema: nonsense\n")
    agent = start(audit=AuditSettings(ship=False))
    agent.ask(settled_file(tmp_path / "x.sif", b"x"))
    assert replay(root).apart == {"chain": 1, "posture": 1}


def test_damaged_evidence_is_no_evidence(
    start: Start, root: Path, server: FakeServer, tmp_path: Path
) -> None:
    """A verdict whose bytes are not those of its digest is not kept, whatever it says."""
    server.finding = bad_verdict
    agent = start()
    agent.ask(settled_file(tmp_path / "x.sif", b"x"))
    (made,) = agent.records()
    for file in (root / "state/agent/evidence").rglob("*.zst"):
        file.write_bytes(file.read_bytes()[:-3])
    found = replay(root)
    assert (found.same, found.different) == (0, 0)
    assert sum(found.lacking.values()) == 1
    assert decode(encode(made)).verdict == made.verdict
