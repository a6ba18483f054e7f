# SPDX-License-Identifier: Apache-2.0
"""Personal data under pseudonyms: stable, complete within a record, and told only to who has the key."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from tests.fakes.records import record

from sifgate.audit.pseudonym import READS, Disguise, Pseudonyms, read_key, touched
from sifgate.audit.record import AuditRecord, decode, encode
from sifgate.config import PSEUDONYMS, load_settings
from sifgate.errors import ConfigError
from sifgate.model.image import ImageFacts
from sifgate.model.launch import Grant

KEY = b"k" * 32
PERSONAL = record(
    1,
    detail="/home/alice/x.sif: cannot be opened by alice",
    image="x.sif of alice",
    cwd="/home/alice/work",
    argv=("apptainer", "exec", "/home/alice/x.sif"),
    argv_sha256="cd" * 32,
    user_reason="alice needs it",
    claimed={"uid": "1001"},
    facts=ImageFacts(owner="alice"),
    grant=Grant("g1", 1001, "for alice", "bob", "2026-01-01T00:00:00Z", "2026-01-01T04:00:00Z"),
    raw={"path": "/home/alice/x%0a.sif"},
)


def text_of(made: AuditRecord) -> str:
    """Return the whole line."""
    return encode(made).decode()


def test_all_fields_leave_no_name_behind() -> None:
    """With everything pseudonymised neither name, path nor number of the user is anywhere in the line."""
    line = text_of(Pseudonyms(KEY, PSEUDONYMS).disguise(PERSONAL))
    for word in ("alice", "x.sif", "1001", "bob", "cd" * 32):
        assert word not in line


def test_name_vanishes_from_paths_and_messages_too() -> None:
    """Only `user` is pseudonymised: the path keeps its shape, without the name."""
    made = Pseudonyms(KEY, ("user",)).disguise(PERSONAL)
    name = Pseudonyms(KEY, ()).of("alice")
    assert "alice" not in text_of(made)
    assert made.path == f"/home/{name}/x.sif"
    assert made.facts is not None
    assert made.facts.owner == made.user == name
    assert made.pseudonymised == ("user",)


def test_pseudonyms_are_stable_and_depend_on_the_key() -> None:
    """The same on every node with the key, another with another; a record is disguised once."""
    ours, others = Pseudonyms(KEY, PSEUDONYMS), Pseudonyms(b"x" * 32, PSEUDONYMS)
    assert ours.disguise(PERSONAL) == Pseudonyms(KEY, PSEUDONYMS).disguise(PERSONAL)
    assert ours.of("alice") != others.of("alice")
    assert re.fullmatch(r"p:[0-9a-f]{20}", ours.of("alice"))
    assert ours.of("") == ""
    assert ours.disguise(ours.disguise(PERSONAL)) == ours.disguise(PERSONAL)


def test_numbers_stay_numbers_that_no_user_has() -> None:
    """A pseudonymised uid lies above all real ones; -1 stays unknown."""
    ours = Pseudonyms(KEY, ("uid",))
    assert ours.of_number(1001) >= 1 << 32
    assert ours.of_number(-1) == -1
    assert ours.of_number(1001) != ours.of_number(1002)


def test_every_field_can_be_disguised() -> None:
    """The settings' words are fields of the record, and what a policy would miss is known for each."""
    assert set(READS) == set(PSEUDONYMS)
    for field in PSEUDONYMS:
        made = Pseudonyms(KEY, (field,)).disguise(PERSONAL)
        assert decode(encode(made)) == made
    assert touched(("path", "cwd"), frozenset({"reference.path", "door"})) == {"reference.path"}


def test_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Too open, too short, missing: an error that names the file, and nothing is disguised."""
    path = tmp_path / "key"
    with pytest.raises(ConfigError, match="no such file"):
        read_key(path)
    path.write_bytes(KEY + b"\n")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others can read"):
        read_key(path)
    path.chmod(0o600)
    assert read_key(path) == KEY
    path.write_bytes(b"short")
    with pytest.raises(ConfigError, match="32"):
        read_key(path)


def test_without_a_key_nothing_leaves(tmp_path: Path) -> None:
    """The shipper is held back by an error rather than sending names in clear; once the key is there it goes on."""
    path = tmp_path / "key"
    disguise = Disguise(("user",), path)
    with pytest.raises(ConfigError):
        disguise(encode(PERSONAL))
    path.write_bytes(KEY)
    path.chmod(0o600)
    assert b"alice" not in disguise(encode(PERSONAL))
    assert disguise(b"garbage\n") == b""
    assert Disguise((), tmp_path / "nothing")(encode(PERSONAL)) == encode(PERSONAL)


def test_settings_name_the_fields(tmp_path: Path) -> None:
    """A field that is none is an error with its place."""
    path = tmp_path / "sifgate.yaml"
    path.write_text("audit: {pseudonymise: [user, path], pseudonym_key: /root/key, forward: [syslog]}\n")
    audit = load_settings(path).audit
    assert (audit.pseudonymise, audit.forward) == (("user", "path"), ("syslog",))
    path.write_text("audit: {pseudonymise: [usr]}\n")
    with pytest.raises(ConfigError, match="user"):
        load_settings(path)
    assert msgspec.structs.replace(audit, pseudonymise=()).pseudonym_key == Path("/root/key")
