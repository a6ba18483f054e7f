# SPDX-License-Identifier: Apache-2.0
"""`sifgate audit verify|replay|export|pseudonym` as an admin runs them: on files, without an agent."""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import socket
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.fakes.records import record
from tests.unit.cli.conftest import Run
from tests.unit.policy.builders import finding, launch, standing

from sifgate.audit.chain import Chain
from sifgate.audit.log import AuditLog
from sifgate.audit.pseudonym import Pseudonyms
from sifgate.audit.record import Stand, compose, encode, record_id
from sifgate.cli import audit_verify
from sifgate.cli.main import ALLOWED, REFUSED
from sifgate.cli.site import HeadKey, SiteHeads
from sifgate.config import Places
from sifgate.model.decision import Action
from sifgate.model.head import Countersigned
from sifgate.policy.evaluate import evaluate
from sifgate.policy.load import load_with_sources
from sifgate.server.signing import Signer
from sifgate.verdict.digest import canonical, digest

KEY = b"k" * 32


@pytest.fixture
def log(root: Path) -> AuditLog:
    """The log of a node, with five records in a packed file and five in the open one."""
    (root / "state/agent").mkdir()
    made = AuditLog(root / "log/audit.jsonl", chain=Chain("n1", root / "state/agent/chain.json"))
    for number in range(1, 6):
        made.append(encode(record(number)))
    made.close()
    packed = root / "log/audit.jsonl-20270115.gz"
    packed.write_bytes(gzip.compress(made.path.read_bytes()))
    made.path.unlink()
    again = AuditLog(made.path, chain=Chain("n1", root / "state/agent/chain.json"))
    for number in range(6, 11):
        again.append(encode(record(number)))
    again.close()
    return again


def test_intact_log_is_said_to_be(sifgate: Run, log: AuditLog) -> None:
    """All files, packed ones included; exit code 0, for people and as JSON."""
    done = sifgate("audit", "verify")
    assert (done.code, done.err) == (0, "")
    assert "11 records in 2 files: intact" in done.out
    found = sifgate("audit", "verify", "--format", "json").document
    assert (found["intact"], found["records"], found["first"]) == (True, 11, None)


def test_altered_record_is_named_with_its_place(sifgate: Run, log: AuditLog) -> None:
    """File, line, number and time of the first record that is not as it was; exit code 1."""
    log.path.write_bytes(log.path.read_bytes().replace(b'"job":7', b'"job":8', 1))
    done = sifgate("audit", "verify")
    assert done.code == 1
    assert f"first     altered: {log.path}:2: record 8 of {record(7).time}" in done.out
    found = sifgate("audit", "verify", "--format", "json").document
    assert (found["first"]["kind"], found["first"]["line"], found["first"]["seq"]) == ("altered", 2, 8)


def test_kept_heads_are_checked_by_default(sifgate: Run, log: AuditLog, root: Path) -> None:
    """A log cut at its end is intact by itself, and not by the head that left the node."""
    assert log.chain is not None
    stand = log.chain.stand
    head = Countersigned("n1", stand.chain, stand.seq, stand.head, "2027-01-15T08:00:10.000Z", "", "k", "")
    (root / "state/agent/heads.jsonl").write_bytes(msgspec.json.encode(head) + b"\n")
    assert "1 heads" in sifgate("audit", "verify").out
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join(lines[:-1]))
    done = sifgate("audit", "verify")
    assert done.code == 1
    assert "the log ends at record 10, but record 11 was vouched for" in done.out
    files = sorted(map(str, (root / "log").iterdir()))
    assert sifgate("audit", "verify", *files).code == 0
    assert sifgate("audit", "verify", "--heads", str(root / "state/agent/heads.jsonl"), *files).code == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("audit", "verify"), 2, "no audit log"),
        (("audit", "verify", "--heads", "/nonexistent"), 2, "no such file of heads"),
        (("audit", "verify", "/nonexistent"), 1, "cannot be read"),
        (("audit", "replay"), 2, "no audit log"),
        (("audit", "export", "--format", "csv"), 2, "no audit log"),
        (("audit", "pseudonym", "alice"), 2, "no such file"),
    ],
)
def test_nothing_there_is_no_success(sifgate: Run, words: tuple[str, ...], code: int, said: str) -> None:
    """Without a log, heads or key: a message and an exit code that is not 0."""
    done = sifgate(*words)
    assert done.code == code
    assert said in done.out + done.err


class FakeSite:
    """A server that has countersigned heads."""

    def __init__(self, heads: list[Countersigned], signer: Signer, refused: list[dict[str, str]]) -> None:
        self._heads = heads
        self._signer = signer
        self._refused = refused

    def heads(self, node: str) -> SiteHeads:
        """Return what was kept of a node."""
        assert node == "n1"
        return SiteHeads(self._heads, self._refused)

    def head_keys(self) -> list[HeadKey]:
        """Return the public key."""
        return [HeadKey(self._signer.key, self._signer.public)]


def verify_by(
    site: FakeSite, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Run `audit verify --site --node n1` against a site."""
    monkeypatch.setattr("sifgate.cli.site.site_of", lambda _: site)
    arguments = argparse.Namespace(files=[], heads=None, site=True, node="n1", format="table")
    code = audit_verify.run(arguments, Places.under(root))
    return code, capsys.readouterr().out


def test_heads_of_the_server_are_checked_with_their_signatures(
    log: AuditLog, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signed head vouches; one that another key signed, or that the server refused, is a problem."""
    assert log.chain is not None
    stand = log.chain.stand
    signer, other = Signer(Ed25519PrivateKey.generate()), Signer(Ed25519PrivateKey.generate())
    bare = Countersigned("n1", stand.chain, stand.seq, stand.head, "2027-01-15T08:00:10.000Z", "now", "", "")
    good = signer.sign(bare)
    code, out = verify_by(FakeSite([good], signer, []), root, monkeypatch, capsys)
    assert (code, "1 countersigned heads match" in out) == (ALLOWED, True)
    for forged in (msgspec.structs.replace(good, seq=3), other.sign(bare), bare):
        code, out = verify_by(FakeSite([forged], signer, []), root, monkeypatch, capsys)
        assert code == REFUSED
        assert "is not the server's" in out
    code, out = verify_by(FakeSite([good], signer, [{"reason": "another head"}]), root, monkeypatch, capsys)
    assert (code, "another head" in out) == (REFUSED, True)


@pytest.fixture
def judged(root: Path) -> Path:
    """A log of one decision, with the evidence that it names."""
    text = "schema: sifgate.policy/v1\nmode: enforce\nrules: [{id: h, when: {severity: [high]}, action: block}]\n"
    (root / "etc/policy.yaml").write_text(text)
    sources, rules = load_with_sources(root / "etc/policy.yaml")
    known = standing(finding())
    assert known.verdict is not None
    body = canonical(known.verdict)
    known = msgspec.structs.replace(known, digest=digest(body))
    event = launch()
    now = 1_800_000_000.5
    decision = evaluate(rules, known, event, datetime.fromtimestamp(now, timezone.utc))
    assert decision.action is Action.BLOCK
    assert known.state is not None
    made = compose(
        record_id(now, b"123456"),
        now=now,
        node="n1",
        launch=event,
        decision=decision,
        stand=Stand(
            state=known.state.value, verdict=known.digest, fingerprint=known.fingerprint, detail=known.detail
        ),
    )
    for kind, name, content in (
        ("verdicts", known.digest, body),
        ("policies", rules.digest, msgspec.json.encode(sources)),
    ):
        place = root / "state/agent/evidence" / kind
        place.mkdir(parents=True)
        (place / f"{name.removeprefix('sha256:')}.json.zst").write_bytes(zstandard.compress(content))
    (root / "log/audit.jsonl").write_bytes(encode(made))
    return root / "log/audit.jsonl"


def test_replay_finds_no_difference_in_an_honest_log(sifgate: Run, judged: Path) -> None:
    """Exit code 0, and the count."""
    done = sifgate("audit", "replay")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("1 records: 1 come out as recorded, 0 do not")


def test_replay_names_a_difference(sifgate: Run, judged: Path) -> None:
    """Exit code 1; field, recorded and computed."""
    judged.write_bytes(judged.read_bytes().replace(b'"action":"block"', b'"action":"allow"', 1))
    done = sifgate("audit", "replay")
    assert done.code == 1
    assert "action: recorded allow, computed block" in done.out
    assert sifgate("audit", "replay", "--format", "json").document["different"] == 1


def test_replay_says_what_it_lacks(sifgate: Run, judged: Path, root: Path) -> None:
    """Exit code 3: not a difference, and not an agreement either."""
    for file in (root / "state/agent/evidence/verdicts").iterdir():
        file.unlink()
    done = sifgate("audit", "replay", "--format", "json")
    assert (done.code, done.document["lacking"]) == (3, {"the verdict is not kept": 1})


def test_export_filters_and_reads_packed_files(sifgate: Run, log: AuditLog) -> None:
    """JSON lines and CSV, oldest first, the log's own bookkeeping left out."""
    done = sifgate("audit", "export", "--format", "json")
    assert (done.code, [json.loads(line)["job"] for line in done.out.splitlines()]) == (0, list(range(1, 11)))
    done = sifgate("audit", "export", "--format", "csv", "--job", "7")
    assert [row["job"] for row in csv.DictReader(io.StringIO(done.out, newline=""))] == ["7"]
    assert sifgate("audit", "export", "--format", "csv", "--job", "many").code == 2


def test_export_tells_of_what_it_could_not_read(sifgate: Run, log: AuditLog, root: Path) -> None:
    """Torn lines and damaged files are named, the rest is there; exit code 3."""
    packed = root / "log/audit.jsonl-20270115.gz"
    packed.write_bytes(packed.read_bytes()[:40])
    with log.path.open("ab") as file:
        file.write(b"torn")
    done = sifgate("audit", "export", "--format", "json")
    assert done.code == 3
    assert len(done.out.splitlines()) == 5
    assert "20270115.gz" in done.err
    assert "1 lines hold no record" in done.err


def test_export_to_syslog(sifgate: Run, log: AuditLog, tmp_path: Path) -> None:
    """To a real socket, and to stdout without a target."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "log"))
        done = sifgate(
            "audit", "export", "--format", "syslog", "--to", f"unix:{tmp_path / 'log'}", "--job", "3"
        )
        assert (done.code, done.out) == (0, "")
        sent = listener.recv(65_536).decode()
    assert sifgate("audit", "export", "--format", "syslog", "--job", "3").out == sent + "\n"
    assert sifgate("audit", "export", "--format", "syslog", "--to", "unix:/nonexistent").code == 2
    assert sifgate("audit", "export", "--format", "journald", "--to", "/nonexistent").code == 2


def test_export_is_disguised_as_the_settings_say(sifgate: Run, log: AuditLog, root: Path) -> None:
    """With the key, pseudonyms; `--clear` for who may; without a good key nothing at all."""
    key = root / "etc/pseudonym.key"
    (root / "etc/sifgate.yaml").write_text(f"audit: {{pseudonymise: [user], pseudonym_key: {key}}}\n")
    assert sifgate("audit", "export", "--format", "json").out == ""
    key.write_bytes(KEY)
    key.chmod(0o600)
    name = sifgate("audit", "pseudonym", "alice").out.strip()
    assert name == Pseudonyms(KEY, ()).of("alice")
    done = sifgate("audit", "export", "--format", "json", "--user", "alice")
    assert "alice" not in done.out
    assert name in done.out
    assert "alice" in sifgate("audit", "export", "--format", "json", "--clear").out
    assert sifgate("audit", "pseudonym", "1001").out.split()[1].isdecimal()
