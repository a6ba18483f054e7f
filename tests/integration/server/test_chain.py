# SPDX-License-Identifier: Apache-2.0
"""A node's own parts against a real server: heads countersigned, policies kept, records verified and replayed there."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import pytest
from tests.fakes.records import record
from tests.integration.server.site import TOKENS, Site
from tests.unit.policy.builders import launch

from sifgate.agent.evidence import Evidence
from sifgate.agent.heads import Heads, kept_heads
from sifgate.agent.remote import Remote
from sifgate.agent.shipper import Shipper
from sifgate.audit.chain import Chain
from sifgate.audit.log import AuditLog
from sifgate.audit.record import Stand, compose, encode, record_id
from sifgate.cli import audit_replay, audit_verify
from sifgate.config import Places, ServerSettings
from sifgate.errors import HeadRefused
from sifgate.model.head import Head
from sifgate.model.verdict import FailureCause, Standing
from sifgate.policy.evaluate import evaluate
from sifgate.policy.load import load_with_sources

pytestmark = pytest.mark.engine
NODE = "chained-node"
POLICY = """\
schema: sifgate.policy/v1
mode: enforce
failure: {server_unreachable: warn}
rules: [{id: k, when: {kev: true}, action: block}]
"""


class Node:
    """The parts of an agent that leave evidence, below one directory."""

    def __init__(self, place: Path, site: Site) -> None:
        self.places = Places.under(place)
        for directory in (self.places.etc, self.places.log, self.places.state / "agent"):
            directory.mkdir(parents=True)
        token = self.places.etc / "token"
        for name, content in (("token", TOKENS["node"]), ("viewer", TOKENS["viewer"])):
            (self.places.etc / name).write_text(content)
            (self.places.etc / name).chmod(0o600)
        state = self.places.state / "agent"
        self.remote = Remote(ServerSettings(site.url, site.files.tls_cert, token))
        self.log = AuditLog(self.places.log / "audit.jsonl", chain=Chain(NODE, state / "chain.json"))
        self.heads = Heads(state / "heads.jsonl", self.log, self.remote, NODE)
        self.evidence = Evidence(state / "evidence", self.log.path, _no_verdict)
        self.shipper = Shipper(
            self.log.path,
            state / "shipped.json",
            self.remote,
            batch=10,
            spool_bytes=1 << 20,
            evidence=self.evidence,
        )
        settings = (
            f"url: {site.url}, certificate_file: {site.files.tls_cert}, token_file: {token.parent}/viewer"
        )
        (self.places.etc / "sifgate.yaml").write_text(f"server: {{{settings}}}\n")


def _no_verdict(_: str) -> bytes | None:
    return None


@pytest.fixture
def node(tmp_path: Path, site: Site) -> Node:
    """A node whose server is the site."""
    return Node(tmp_path / "node", site)


def verify(node: Node, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run `sifgate audit verify --site`."""
    arguments = argparse.Namespace(files=[], heads=None, site=True, node=NODE, format="table")
    code = audit_verify.run(arguments, node.places)
    return code, capsys.readouterr().out


def test_heads_of_a_node_vouch_for_its_log(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """Countersigned, kept on both sides; a log that was rewritten with a fitting chain is found by them alone."""
    for number in range(1, 4):
        node.log.append(encode(record(number)))
    assert node.heads.send_if_due()
    assert [head.seq for head in kept_heads(node.places.state / "agent/heads.jsonl")] == [4]
    code, out = verify(node, capsys)
    assert code == 0, out
    assert "vouches for all up to record 4" in out
    lines = node.log.path.read_bytes().splitlines(keepends=True)
    node.log.path.write_bytes(b"".join(lines[:-1]))
    code, out = verify(node, capsys)
    assert code == 1
    assert "record 4 was vouched for" in out
    assert node.log.chain is not None
    stand = node.log.chain.stand
    with pytest.raises(HeadRefused):
        node.remote.send_head(Head(NODE, stand.chain, stand.seq, "00" * 32, "2027-01-15T08:00:00.000Z"))
    code, out = verify(node, capsys)
    assert "the server has refused a head" in out
    node.log.close()


def test_decisions_are_replayed_from_the_server(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """The policy that the node sent is all that is needed where no verdict was."""
    (node.places.etc / "policy.yaml").write_text(POLICY)
    sources, policy = load_with_sources(node.places.etc / "policy.yaml")
    node.evidence.keep_policy(policy.digest, msgspec.json.encode(sources))
    now = 1_800_000_500.25
    standing = Standing(cause=FailureCause.SERVER_UNREACHABLE, detail="gone\x1b")
    decision = evaluate(policy, standing, launch(), datetime.fromtimestamp(now, timezone.utc))
    made = compose(
        record_id(now, b"\x01\x02\x03\x04\x05\x06"),
        now=now,
        node=NODE,
        launch=launch(),
        decision=decision,
        stand=Stand(cause="server_unreachable", detail="gone\x1b"),
    )
    node.log.append(encode(made))
    node.shipper.ship_policies()
    while node.shipper.ship_once():
        pass
    arguments = argparse.Namespace(
        since="2027-01-15T08:08:00Z", until="2027-01-15T08:09:00Z", site=True, log=None, format="json"
    )
    code = audit_replay.run(arguments, node.places)
    found = msgspec.json.decode(capsys.readouterr().out)
    assert (code, found["same"], found["different"], found["lacking"]) == (0, 1, 0, {})
    node.log.close()
