# SPDX-License-Identifier: Apache-2.0
"""Signatures of SIF images: what counts as signed by the site, and everything that does not."""

from __future__ import annotations

import os
import random
import struct
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pysequoia
import pytest
from testbed import sif
from testbed.sif import SifObject, partition, write_sif
from tests.unit.image.signing import (
    MASK,
    SIGNATURE,
    fingerprint,
    message,
    public,
    secret,
    signature,
    write_signed,
)

from sifgate.errors import Unscannable
from sifgate.image import signature as subject
from sifgate.image.reader import Reader
from sifgate.image.signature import MESSAGE_LIMIT, Ring, Signer
from sifgate.image.worker import read_facts

NOW = datetime.now(timezone.utc).timestamp()
OBJECTS = (
    SifObject(sif.DEFFILE, b"bootstrap: docker\n", "deffile"),
    partition(b"hsqs" + bytes(range(256)) * 8),
)
SITE = fingerprint("site")


def signers(image: Path, ring: bytes) -> tuple[str, ...]:
    """Return who signed an image."""
    with image.open("rb") as file:
        reader = Reader(file.fileno(), 0, os.fstat(file.fileno()).st_size, 1 << 30)
        return tuple(signer.fingerprint for signer in subject.verify(reader, Ring(ring, NOW)))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image that the site's key has signed."""
    path = tmp_path / "x.sif"
    write_signed(path, OBJECTS, "site")
    return path


def test_key_of_the_site_that_signed_all_is_named(image: Path) -> None:
    """The plain case, whatever else is in the ring; an armoured ring is one too."""
    assert signers(image, public("site", "other")) == (SITE,)
    armoured = str(secret("site").extract_certificate()).encode()
    assert signers(image, armoured) == (SITE,)


def test_signature_of_a_strange_key_is_nobodys(image: Path) -> None:
    """A valid signature of a key that the site does not have says nothing."""
    assert signers(image, public("other")) == ()


def test_each_signer_counts_for_himself(tmp_path: Path) -> None:
    """Two keys have signed: both are named; a strange one beside them takes nothing away."""
    path = tmp_path / "x.sif"
    write_signed(path, OBJECTS, "site", "other")
    assert signers(path, public("site", "other")) == tuple(sorted((SITE, fingerprint("other"))))
    assert signers(path, public("site")) == (SITE,)


def test_any_changed_byte_that_is_signed_is_noticed(image: Path) -> None:
    """Header, descriptors and objects: one bit flipped in any of them, and nobody has signed this."""
    data = image.read_bytes()
    second = sif.TABLE_OFFSET + sif.DESCRIPTOR.size
    covered = [*range(45), *range(48, 64), *range(second, second + 4), *range(second + 73, second + 585)]
    place = data.index(b"hsqs")
    covered += [*range(place, place + 2052)]
    chance = random.Random(7)  # noqa: S311 - the same bytes at every run
    for offset in [0, 33, 50, second, second + 100, *chance.sample(covered, 150)]:
        changed = bytearray(data)
        changed[offset] ^= 1 << chance.randrange(8)
        image.write_bytes(changed)
        try:
            found = signers(image, public("site"))
        except Unscannable:
            continue
        assert found == (), f"offset {offset}"


@pytest.mark.parametrize("group", [0, 1, 2])
def test_object_added_after_signing_takes_the_signature_away(image: Path, group: int) -> None:
    """An overlay laid into the image later is in no group, in the signed one, or in one of its own."""
    before = sif.DESCRIPTOR.unpack_from(image.read_bytes(), sif.TABLE_OFFSET + 2 * sif.DESCRIPTOR.size)
    data = image.read_bytes()[before[5] : before[5] + before[6]]
    kept = SifObject(SIGNATURE, data, "signature", before[13][:24], group=0, link=MASK | 1)
    write_sif(image, [*OBJECTS, kept])
    assert signers(image, public("site")) == (SITE,)
    added = partition(b"hsqs-overlay", kind=sif.OVERLAY)
    added = SifObject(added.data_type, added.data, added.name, added.extra, group=group)
    write_sif(image, [*OBJECTS, kept, added])
    assert signers(image, public("site")) == ()


def test_object_that_was_taken_away_is_missed(tmp_path: Path) -> None:
    """What was signed must all be there."""
    path = tmp_path / "x.sif"
    write_sif(path, OBJECTS)
    text = message(path, 1)
    write_sif(path, [OBJECTS[1], signature(text, "site")])
    assert signers(path, public("site")) == ()


def test_every_group_must_be_signed_by_the_same_key(tmp_path: Path) -> None:
    """One key for each group makes no image that one of them has signed."""
    path = tmp_path / "x.sif"
    objects = [OBJECTS[0], SifObject(sif.GENERIC_JSON, b"{}", "labels", group=2), OBJECTS[1]]
    write_signed(path, objects, "site")
    assert signers(path, public("site")) == (SITE,)
    write_sif(path, objects)
    parts = [signature(message(path, 1), "site", 1), signature(message(path, 2), "other", 2)]
    write_sif(path, [*objects, *parts])
    assert signers(path, public("site", "other")) == ()


def test_signature_for_another_group_does_not_count(tmp_path: Path) -> None:
    """A signature speaks for the group that it is linked to, and about no other."""
    path = tmp_path / "x.sif"
    write_sif(path, OBJECTS)
    write_sif(path, [*OBJECTS, signature(message(path, 1), "site", 2)])
    assert signers(path, public("site")) == ()


def test_objects_without_a_group_are_never_signed(tmp_path: Path) -> None:
    """As `apptainer verify` has it: an object in no group cannot be covered."""
    path = tmp_path / "x.sif"
    loose = SifObject(sif.GENERIC_JSON, b"{}", "labels", group=0)
    write_sif(path, [*OBJECTS, loose])
    write_sif(path, [*OBJECTS, loose, signature(message(path, 1), "site")])
    assert signers(path, public("site")) == ()


@pytest.mark.parametrize("form", ["sha224", "sha384", "sha512"])
def test_other_hashes_of_the_format_are_understood(tmp_path: Path, form: str) -> None:
    """Whoever signs chooses the hash."""
    path = tmp_path / "x.sif"
    write_sif(path, OBJECTS)
    write_sif(path, [*OBJECTS, signature(message(path, 1, form=form), "site")])
    assert signers(path, public("site")) == (SITE,)


@pytest.mark.parametrize(
    "text",
    [
        b"SIFHASH:\n" + b"ab" * 48,
        b"{}",
        b'{"version": 2, "header": {"digest": ""}, "objects": []}',
        b'{"version": 1, "header": {"digest": "md5:00"}, "objects": []}',
        b'{"version": 1, "header": {"digest": 5}, "objects": [[]]}',
        b"\xff\xfe",
        b"[" * 4000,
    ],
)
def test_signed_text_of_another_kind_signs_nothing(tmp_path: Path, text: bytes) -> None:
    """The older form, which leaves the descriptors open, and what is no such message at all."""
    path = tmp_path / "x.sif"
    write_sif(path, [*OBJECTS, signature(text, "site")])
    assert signers(path, public("site")) == ()


def test_descriptor_must_name_the_key_that_signed(tmp_path: Path) -> None:
    """As `apptainer verify` has it: another fingerprint beside the signature makes it void."""
    path = tmp_path / "x.sif"
    write_sif(path, OBJECTS)
    write_sif(path, [*OBJECTS, signature(message(path, 1), "site", named=fingerprint("other"))])
    assert signers(path, public("site", "other")) == ()


def test_signature_of_a_subkey_does_not_count(tmp_path: Path) -> None:
    """Whether a subkey is still valid cannot be asked here, so it is not believed."""
    path = tmp_path / "x.sif"
    key = pysequoia.Tsk.generate("subkey <x@site.example>")
    write_sif(path, OBJECTS)
    signed = pysequoia.sign(key.signer(), message(path, 1), mode=pysequoia.SignatureMode.CLEAR)
    certificate = key.extract_certificate()
    extra = struct.pack("<i20s", 1, bytes.fromhex(certificate.fingerprint))
    item = SifObject(SIGNATURE, bytes(signed), "signature", extra, group=0, link=MASK | 1)
    write_sif(path, [*OBJECTS, item])
    assert signers(path, bytes(certificate)) == ()


def test_revoked_key_signs_nothing(image: Path) -> None:
    """Whenever it was revoked: also what it signed before."""
    key = secret("site")
    certificate = key.extract_certificate()
    revoked = bytes(certificate) + bytes(certificate.revoke(key.certifier()))
    assert signers(image, revoked) == ()
    assert signers(image, revoked + public("other")) == ()


def test_expired_key_signs_nothing_from_that_moment_on(image: Path) -> None:
    """The end of a key is told with the signer, and after it the key is as good as gone."""
    key = secret("site")
    end = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=1)
    ring = bytes(key.extract_certificate().set_expiration(end, key.certifier()))
    with image.open("rb") as file:
        reader = Reader(file.fileno(), 0, image.stat().st_size, 1 << 30)
        assert subject.verify(reader, Ring(ring, NOW)) == (Signer(SITE, end.timestamp()),)
    assert len(Ring(ring, end.timestamp() - 1)) == 1
    assert len(Ring(ring, end.timestamp())) == 0


@pytest.mark.parametrize(
    "ring", [b"", b"junk", b"\x99" * 4096, b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n"]
)
def test_ring_that_is_none_is_an_error(ring: bytes) -> None:
    """No keys is a ring that cannot be used, not one that nobody's signature is in."""
    with pytest.raises(ValueError, match="key"):
        Ring(ring, NOW)


def test_hostile_signatures_are_passed_over(image: Path) -> None:
    """Truncated, endless, empty and random ones beside a good one: only the good one counts."""
    write_sif(image, OBJECTS)
    good = signature(message(image, 1), "site")
    whole = good.data
    assert isinstance(whole, bytes)
    bad = [b"", b"x", whole[:300], whole[:-80], whole.replace(b'"version"', b'"versiom"'), bytes(1000)]
    bad += [whole[:36] + b"A" * (MESSAGE_LIMIT + 1), os.urandom(5000)]
    items = [SifObject(SIGNATURE, data, "s", good.extra, group=0, link=MASK | 1) for data in bad]
    write_sif(image, [*OBJECTS, *items, good])
    assert signers(image, public("site")) == (SITE,)
    write_sif(image, [*OBJECTS, *items])
    assert signers(image, public("site")) == ()


def test_two_objects_of_one_number_are_never_signed(image: Path) -> None:
    """Which of them runs would be the runtime's choice."""
    data = bytearray(image.read_bytes())
    place = sif.TABLE_OFFSET + sif.DESCRIPTOR.size + 5
    assert struct.unpack_from("<I", data, place) == (2,)
    struct.pack_into("<I", data, place, 1)
    image.write_bytes(data)
    assert signers(image, public("site")) == ()


def test_worker_tells_what_is_wanted_and_no_more(image: Path) -> None:
    """In the sandbox as well, each fact is read only where it is asked for."""
    data = bytearray(image.read_bytes())
    struct.pack_into("<q", data, 64, 1_700_000_000)
    image.write_bytes(data)
    with image.open("rb") as file:
        found = read_facts(file.fileno(), ("created", "signers"), ring=public("site"))
        assert found.created == "2023-11-14T22:13:20Z"
        assert found.signers == (Signer(SITE),)
        assert found.digest == ""
        assert read_facts(file.fileno(), ("digest",)).signers is None


@pytest.mark.parametrize("created", [0, -5, -62135596800, 2**62, -(2**63)])
def test_time_that_is_none_is_left_empty(image: Path, created: int) -> None:
    """What the header says is its owner's word; where it says nothing, nothing is known."""
    data = bytearray(image.read_bytes())
    struct.pack_into("<q", data, 64, created)
    image.write_bytes(data)
    with image.open("rb") as file:
        assert read_facts(file.fileno(), ("created",)).created == ""


def test_file_that_is_no_sif_has_no_signer(tmp_path: Path) -> None:
    """A squashfs, an empty file, half a SIF and a directory: nobody signed them; a ring that is none: not known."""
    for name, content in {
        "a": b"hsqs" + bytes(4000),
        "b": b"",
        "c": b"#!\n".ljust(32, b"\0") + b"SIF_MAGIC\0",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with path.open("rb") as file:
            found = read_facts(file.fileno(), ("created", "signers"), ring=public("site"))
        assert (found.created, found.signers) == ("", ())
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        assert read_facts(directory, ("created", "digest", "signers")).signers == ()
    finally:
        os.close(directory)


def test_unusable_ring_leaves_the_signers_unknown(image: Path) -> None:
    """None is not "nobody"."""
    with image.open("rb") as file:
        assert read_facts(file.fileno(), ("signers",), ring=b"junk").signers is None
