# SPDX-License-Identifier: Apache-2.0
"""Facts of image files: read where the policy reads them, remembered, never guessed, and nothing of it otherwise."""

from __future__ import annotations

import hashlib
import os
import pwd
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from testbed import sif
from testbed.sif import SifObject, partition
from tests.fakes.agent import POLICY, RunningAgent, digest_of, eventually, settled_file, write_policy
from tests.fakes.fuse import LyingFileSystem
from tests.fakes.server import FakeServer, bad_verdict
from tests.unit.image.signing import fingerprint, public, secret, write_signed

from sifgate.agent.holder import KeyRing
from sifgate.model.image import ImageFacts

SITE = fingerprint("site")
OWNER = pwd.getpwuid(os.geteuid()).pw_name
SIGNED = f"""
signatures: {{keyring: keys.gpg}}
scopes:
  - {{id: signed, match: {{signed_by: [{SITE}]}}, set: {{mode: audit}}}}
"""
OWNED = f"""
scopes:
  - {{id: owned, match: {{owner: {OWNER}}}, set: {{mode: audit}}}}
"""
Start = Callable[..., RunningAgent]


@pytest.fixture
def begin(start: Start, root: Path) -> Callable[[str], RunningAgent]:
    """Return a function that starts an agent whose policy also says this; the site's key ring is in place."""

    def run(more: str) -> RunningAgent:
        write_policy(root, POLICY + more)
        (root / "etc/keys.gpg").write_bytes(public("site"))
        return start()

    return run


@pytest.fixture
def signed(root: Path, server: FakeServer) -> Path:
    """An image that the site has signed and the rules refuse, built in 2023 as it says."""
    path = root / "signed.sif"
    write_signed(path, [SifObject(sif.DEFFILE, b"x"), partition(b"hsqs" + bytes(4000))], "site")
    data = bytearray(path.read_bytes())
    struct.pack_into("<q", data, 64, 1_700_000_000)
    server.know(bad_verdict(digest_of(bytes(data))))
    return settled_file(path, bytes(data))


def test_owner_is_known_without_reading_the_file(
    begin: Callable[[str], RunningAgent], signed: Path, server: FakeServer
) -> None:
    """The kernel says whose it is; the record keeps that, and no other fact."""
    del server
    agent = begin(OWNED)
    assert agent.action(signed) == "log"
    assert agent.records()[-1].facts == ImageFacts(owner=OWNER)
    assert agent.agent.facts.readings == 0


def test_signed_image_matches_its_scope_and_is_read_once(
    begin: Callable[[str], RunningAgent], signed: Path
) -> None:
    """However often it starts: the signers are remembered under the file's identity."""
    agent = begin(SIGNED)
    assert [agent.action(signed) for _ in range(3)] == ["log"] * 3
    assert agent.records()[-1].facts == ImageFacts(signers=(SITE,))
    assert agent.agent.facts.readings == 1


def test_unsigned_image_does_not_match(
    begin: Callable[[str], RunningAgent], root: Path, server: FakeServer
) -> None:
    """A file that is no SIF has no signer: that is known, not missing."""
    agent = begin(SIGNED)
    server.know(bad_verdict(digest_of(b"plain")))
    assert agent.action(settled_file(root / "x.sif", b"plain")) == "block"
    assert agent.records()[-1].facts == ImageFacts(signers=())


def test_changed_file_is_looked_at_anew(
    begin: Callable[[str], RunningAgent], signed: Path, server: FakeServer
) -> None:
    """One byte of the signed content, and the scope matches no more."""
    agent = begin(SIGNED)
    assert agent.action(signed) == "log"
    data = bytearray(signed.read_bytes())
    data[data.index(b"hsqs") + 100] ^= 1
    server.know(bad_verdict(digest_of(bytes(data))))
    settled_file(signed, bytes(data))
    assert agent.action(signed) == "block"


def test_other_ring_makes_other_signers(
    begin: Callable[[str], RunningAgent], signed: Path, root: Path
) -> None:
    """After a reload with other keys nothing that was remembered under the old ones counts."""
    agent = begin(SIGNED)
    assert agent.action(signed) == "log"
    (root / "etc/keys.gpg").write_bytes(public("other"))
    assert agent.query("reload")["problem"] == ""
    assert agent.action(signed) == "block"
    assert agent.records()[-1].facts == ImageFacts(signers=())


def test_ring_without_a_usable_key_leaves_the_signers_unknown(
    begin: Callable[[str], RunningAgent], signed: Path
) -> None:
    """What cannot be verified is not called unsigned, and not signed either."""
    agent = begin(SIGNED)
    agent.agent.holder.ring = KeyRing(b"no ring at all")
    assert agent.action(signed) == "block"
    assert agent.records()[-1].facts is None


@pytest.mark.parametrize("content", [b"", b"junk", b"\x99\x01"])
def test_unusable_ring_is_a_policy_problem(start: Start, root: Path, signed: Path, content: bytes) -> None:
    """The last good policy stays, with the ring that belongs to it."""
    write_policy(root, POLICY + SIGNED)
    (root / "etc/keys.gpg").write_bytes(public("site"))
    agent = start()
    before = agent.query("status")["policy"]["digest"]
    (root / "etc/keys.gpg").write_bytes(content)
    assert "signatures.keyring" in agent.query("reload")["problem"]
    assert agent.query("status")["policy"]["digest"] == before
    assert agent.action(signed) == "log"


def test_ring_that_others_can_write_is_refused(start: Start, root: Path) -> None:
    """Whoever can write the ring decides who has signed; a private key ring says nothing more than a public one."""
    write_policy(root, POLICY + SIGNED)
    ring = root / "etc/keys.gpg"
    ring.write_bytes(public("site"))
    agent = start()
    ring.chmod(0o666)
    assert "others can write it" in agent.query("reload")["problem"]
    ring.chmod(0o644)
    assert agent.query("reload")["problem"] == ""
    ring.unlink()
    assert "keys.gpg" in agent.query("reload")["problem"]


def test_key_that_expires_takes_its_signature_with_it(
    begin: Callable[[str], RunningAgent], signed: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remembered signer is not believed beyond the end of its key."""
    import time
    from datetime import datetime, timedelta, timezone

    agent = begin(SIGNED)
    key = secret("site")
    end = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=1)
    (root / "etc/keys.gpg").write_bytes(bytes(key.extract_certificate().set_expiration(end, key.certifier())))
    assert agent.query("reload")["problem"] == ""
    assert [agent.action(signed) for _ in range(2)] == ["log"] * 2
    assert agent.agent.facts.readings == 1
    real = time.time
    monkeypatch.setattr("sifgate.agent.facts.time.time", lambda: real() + 3601)
    agent.action(signed)
    assert agent.agent.facts.readings == 2


def test_digest_and_time_are_read_where_they_are_asked_for(start: Start, root: Path, signed: Path) -> None:
    """The whole file's SHA-256 and the header's own word, in one reading."""
    write_policy(root, POLICY)
    agent = start()
    agent.agent.holder.image_fields = frozenset({"created", "digest"})
    agent.action(signed)
    expected = f"sha256:{hashlib.sha256(signed.read_bytes()).hexdigest()}"
    agent.action(signed)
    assert agent.records()[-1].facts == ImageFacts(created="2023-11-14T22:13:20Z", digest=expected)
    assert agent.agent.facts.readings == 1


def test_directory_has_an_owner_and_nothing_else(start: Start, root: Path) -> None:
    """No bytes of its own, so no digest; nobody signs a directory."""
    agent = start()
    agent.agent.holder.image_fields = frozenset({"owner", "created", "digest", "signers"})
    (root / "box").mkdir()
    agent.action(root / "box")
    assert agent.records()[-1].facts == ImageFacts(owner=OWNER, signers=())
    assert agent.agent.facts.readings == 0


@pytest.mark.root
def test_owner_without_a_name_is_his_number(start: Start, root: Path) -> None:
    """A uid of another site's file server is nobody's name, and not root's."""
    agent = start()
    agent.agent.holder.image_fields = frozenset({"owner"})
    image = settled_file(root / "x.sif", b"x")
    os.chown(image, 3_999_999_999, -1)
    agent.action(image)
    assert agent.records()[-1].facts == ImageFacts(owner="3999999999")


def test_policy_that_reads_nothing_of_files_costs_nothing(agent: RunningAgent, signed: Path) -> None:
    """No fact is looked at, recorded or remembered."""
    agent.action(signed)
    assert agent.agent.facts.readings == 0
    assert agent.records()[-1].facts is None
    assert agent.agent.facts.of(-1, None, 0, 1.0) is None


def test_question_that_cannot_wait_leaves_the_facts_for_later(
    begin: Callable[[str], RunningAgent], signed: Path
) -> None:
    """A pre-scan is answered with what is known; the reading goes on, and the next launch has it."""
    agent = begin(SIGNED)
    agent.client.ask([("door", b"prolog"), ("uid", b"1000"), ("path", str(signed).encode())], verb="prescan")
    eventually(lambda: agent.agent.facts.readings == 1)
    assert agent.action(signed) == "log"
    assert agent.agent.facts.readings == 1


@pytest.mark.root
def test_file_system_of_a_user_tells_nothing(start: Start, root: Path, tmp_path: Path) -> None:
    """A FUSE may name root as the owner and show the agent other bytes than the runtime: all of it is unknown."""
    agent = start()
    agent.agent.holder.image_fields = frozenset({"owner", "created", "digest", "signers"})
    (tmp_path / "liar").mkdir()
    try:
        liar = LyingFileSystem(tmp_path / "liar", b"good")
    except OSError as error:
        pytest.skip(f"FUSE cannot be mounted here: {error}")
    try:
        assert [agent.action(liar.place / "x.sif") for _ in range(2)] == ["allow"] * 2
    finally:
        liar.close()
    assert [record.facts for record in agent.records()] == [None, None]
    assert agent.agent.facts.readings == 0


def test_reading_facts_takes_no_lease_from_the_scan(
    begin: Callable[[str], RunningAgent], signed: Path, root: Path, server: FakeServer
) -> None:
    """Both read the file at once; its fingerprint is believed as long as that of a file nobody asks facts of."""
    agent = begin(SIGNED)
    agent.worker.on_run = lambda: eventually(lambda: agent.agent.facts.readings == 1)  # facts end first
    assert agent.action(signed) == "log"
    agent.agent.holder.image_fields = frozenset()
    server.know(bad_verdict(digest_of(b"plain")))
    agent.worker.on_run = lambda: None
    assert agent.action(settled_file(root / "x.sif", b"plain")) == "block"
    lives = {fingerprint: end for _, fingerprint, end in agent.agent.cache.files()}
    assert len(lives) == 2
    assert len({end == float("inf") for end in lives.values()}) == 1
