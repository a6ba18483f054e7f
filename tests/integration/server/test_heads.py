# SPDX-License-Identifier: Apache-2.0
"""Heads of audit chains: countersigned for good, checkable by anybody, and never taken back."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.integration.server.conftest import Faulty
from tests.integration.server.site import TOKENS, Site

from sifgate.cli import site as cli_site
from sifgate.config import ServerSettings
from sifgate.errors import ConfigError, UnsafeFile
from sifgate.model.head import Countersigned, Head, signed_bytes
from sifgate.server.signing import load_signer

pytestmark = pytest.mark.engine


def head(seq: int, text: str = "", *, chain: str = "c1", node: str = "n1") -> Head:
    """Return a head whose hash is that of a text, or of its number."""
    digest = hashlib.sha256((text or str(seq)).encode()).hexdigest()
    return Head(node=node, chain=chain, seq=seq, head=digest, time="2026-11-22T10:00:00.000Z")


def send(site: Site, given: Head, role: str = "node") -> requests.Response:
    """Send a head."""
    return site.ask("POST", "/v1/heads", role=role, data=msgspec.json.encode(given))


def signed(answer: requests.Response) -> Countersigned:
    """Return the countersignature of an answer."""
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Countersigned)


def client(site: Site) -> cli_site.Site:
    """Return the command line's client."""
    settings = ServerSettings(url=site.url, certificate_file=site.files.tls_cert)
    return cli_site.Site(settings, TOKENS["viewer"])


def test_a_head_is_countersigned_and_anybody_can_check_it(site: Site) -> None:
    """The signature covers every member; it holds under the key that the server names, and under no changed member."""
    seen = signed(send(site, head(5, node="checked")))
    [key] = [each for each in client(site).head_keys() if each.key == seen.key]
    public = base64.b64decode(key.public)
    assert hashlib.sha256(public).hexdigest().startswith(key.key)
    check, signature = Ed25519PublicKey.from_public_bytes(public), base64.b64decode(seen.signature)
    check.verify(signature, signed_bytes(seen))
    for name in ("node", "chain", "head", "time", "received", "key"):
        changed = msgspec.structs.replace(seen, **{name: getattr(seen, name) + "0"})
        with pytest.raises(InvalidSignature):
            check.verify(signature, signed_bytes(changed))
    with pytest.raises(InvalidSignature):
        check.verify(signature, signed_bytes(msgspec.structs.replace(seen, seq=6)))


def test_the_same_head_again_has_the_first_answer(site: Site) -> None:
    """A node that did not hear the answer asks again: same time, same signature, one head."""
    first = signed(send(site, head(7, node="again")))
    with ThreadPoolExecutor(8) as pool:
        answers = {signed(each) for each in pool.map(lambda _: send(site, head(7, node="again")), range(16))}
    assert answers == {first}
    assert client(site).heads("again").heads == [first]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (head(10, "rewritten", node="fork"), "record 10 had the hash"),
        (head(9, node="fork"), "the chain had come to record 10"),
        (head(1, "begun anew", node="fork"), "the chain had come to record 10"),
    ],
)
def test_a_head_that_contradicts_an_earlier_one_is_refused_recorded_and_logged(
    site: Site, second: Head, reason: str
) -> None:
    """Another hash at the same place, or a place before it: 409 each time, kept once, an error in the log."""
    send(site, head(10, node="fork"))
    for _ in range(2):
        answer = send(site, second)
        assert (answer.status_code, answer.json()["code"]) == (409, "contradiction")
        assert reason in answer.json()["message"]
    known = client(site).heads("fork")
    assert [each.seq for each in known.heads] == [10]
    assert [each["head"] for each in known.refused].count(second.head) == 1
    assert "audit chain contradicts itself" in site.log.read_text()
    assert signed(send(site, head(10, node="fork"))).seq == 10


def test_a_chain_belongs_to_the_token_that_began_it(site: Site) -> None:
    """Another token cannot push a node's chain forward, by which the node's own heads would be refused."""
    signed(send(site, head(1, node="mine")))
    assert send(site, head(2, node="mine"), role="admin").status_code == 409
    assert signed(send(site, head(2, node="mine"))).seq == 2


def test_a_node_that_begins_a_new_chain_is_noticed(site: Site) -> None:
    """Whoever removes the log begins another chain: taken, for disks do die, and said in the log."""
    signed(send(site, head(3, node="anew")))
    signed(send(site, head(1, node="anew", chain="c2")))
    assert "audit chain begun anew" in site.log.read_text()
    assert [each.chain for each in client(site).heads("anew").heads] == ["c1", "c2"]


BAD: dict[str, Any] = {
    "seq of nothing": {"seq": 0},
    "negative seq": {"seq": -1},
    "huge seq": {"seq": 1 << 63},
    "no hash": {"head": "x"},
    "hash in capitals": {"head": "A" * 64},
    "newline": {"node": "a\nb"},
    "no node": {"node": ""},
    "long chain": {"chain": "c" * 300},
    "no time": {"time": "now"},
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_what_is_no_head_is_refused(site: Site, name: str) -> None:
    """400, and nothing is signed."""
    given = {**msgspec.structs.asdict(head(1, node="bad")), **BAD[name]}
    answer = site.ask("POST", "/v1/heads", data=msgspec.json.encode(given))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert site.ask("POST", "/v1/heads", data=b"{" * 5000).status_code in {400, 413}


def test_servers_share_a_key_and_the_old_ones_stay_known(faulty: Faulty) -> None:
    """Two servers sign alike; with another key file the heads of before are still there, and their key too."""
    first, second = faulty.start(), faulty.start()
    one, two = signed(send(first, head(1))), signed(send(second, head(2)))
    assert one.key == two.key
    third = faulty.start("--heads-key-file", str(faulty.files.state / "other.key"))
    three = signed(send(third, head(3)))
    assert three.key != one.key
    assert [each.key for each in client(third).head_keys()] == [three.key, one.key]
    assert client(third).heads("n1").heads == [one, two, three]


def test_the_key_is_made_once_and_never_replaced(tmp_path: Path) -> None:
    """Sixteen servers that start at once end up with one key, 0600; a damaged or foreign one is an error."""
    tmp_path.chmod(0o700)
    path = tmp_path / "heads.key"
    with ThreadPoolExecutor(16) as pool:
        assert len({each.key for each in pool.map(lambda _: load_signer(path), range(16))}) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["heads.key"]
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for content in (b"", b"half a k", other):
        path.write_bytes(content)
        with pytest.raises(ConfigError):
            load_signer(path)
        assert path.read_bytes() == content
    path.chmod(0o666)
    with pytest.raises(UnsafeFile):
        load_signer(path)
