# SPDX-License-Identifier: Apache-2.0
r"""Which keys of the site have signed a whole SIF, as `apptainer verify` judges it (docs/decisions/signatures.md).

::

    signature object (0x4005), linked to a group; extra: 0 hash type  4 fingerprint of the signer's key (20 bytes)
    its data   -----BEGIN PGP SIGNED MESSAGE-----
               {"version": 1, "header": {"digest": "sha256:…"},
                "objects": [{"relativeId": 0, "descriptorDigest": "sha256:…", "objectDigest": "sha256:…"}, …]}
    header     launch script, magic, version, UUID
    descriptor type  used  id less the group's lowest  link  size  created  uid  gid  name  extra

A key counts if it signed every group of the image, each with all its objects, and no object is in no group. The older
form (`SIFHASH:`), which leaves header and descriptors unsigned, counts no more here than in `apptainer verify`; nor
do signatures of subkeys, which `apptainer sign` does not make.
"""

from __future__ import annotations

import hashlib
import struct
import time
from datetime import datetime, timezone
from types import ModuleType
from typing import Any

import msgspec

from sifgate.image.reader import Reader
from sifgate.image.sif import GROUP_MASK, Header, Object, objects, read_header

RING_LIMIT = 4 << 20
"""Bytes of a key ring."""
MESSAGE_LIMIT = 1 << 20
"""Bytes of one signature; a table full of objects needs a fifth of it."""
SIGNATURES_LIMIT = 64
"""Signatures looked at in one image."""
_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = 0x4005
_PIECE = 1 << 20
_FINGERPRINT = struct.Struct("<i20s")
_DESCRIPTOR = struct.Struct("<iBIIqqqq128s384s")
_ALGORITHMS = frozenset({"sha224", "sha256", "sha384", "sha512"})


class Signer(msgspec.Struct, frozen=True):
    """A key of the site with valid signatures over all of an image."""

    fingerprint: str
    """Upper-case hex digits."""
    until: float = 0.0
    """Seconds since 1970 at which the key expires; 0: never."""


class _ObjectLine(msgspec.Struct, rename="camel"):
    relative_id: int
    descriptor_digest: str
    object_digest: str


class _HeaderLine(msgspec.Struct):
    digest: str


class _Message(msgspec.Struct):
    version: int
    header: _HeaderLine
    objects: list[_ObjectLine]


class Ring:
    """The public keys of the site that are valid now; raises ValueError where the bytes hold no keys at all."""

    def __init__(self, data: bytes, now: float) -> None:
        openpgp = load()
        if len(data) > RING_LIMIT:
            raise ValueError(f"the key ring is longer than {RING_LIMIT} bytes")
        try:
            found = openpgp.Cert.split_bytes(data)
        except Exception as error:  # the library has no errors of its own
            raise ValueError(f"not a ring of OpenPGP keys: {_first_line(error)}") from error
        if not found:
            raise ValueError("the key ring holds no key")
        self._verify = openpgp.verify
        self._keys: dict[str, tuple[Any, float]] = {}
        for key in found:
            until = _valid_until(key, now)
            if until is not None:
                self._keys[key.fingerprint.upper()] = (key, until)

    def __len__(self) -> int:
        return len(self._keys)

    def signers(self, message: bytes) -> tuple[bytes, tuple[Signer, ...]]:
        """Return what a clear-signed message says, and the primary keys that signed it validly; both may be empty."""
        if not message.startswith(_BEGIN):
            return b"", ()
        keys = [key for key, _ in self._keys.values()]
        try:
            found = self._verify(message, lambda _identifiers: keys)
        except Exception:  # noqa: BLE001 - whatever the library finds wrong with it: it is not validly signed
            return b"", ()
        valid = {
            each.certificate.upper() for each in found.valid_sigs if each.certificate == each.signing_key
        }
        return bytes(found.bytes), tuple(
            Signer(name, self._keys[name][1]) for name in sorted(valid & set(self._keys))
        )


def load() -> ModuleType:
    """Return the OpenPGP library; imported only where signatures are asked for. Raises ImportError."""
    import pysequoia

    module: ModuleType = pysequoia
    return module


def usable_keys(data: bytes) -> int:
    """Return how many keys of a ring are valid now; raises ValueError where it is no ring, ImportError."""
    return len(Ring(data, time.time()))


def verify(reader: Reader, ring: Ring) -> tuple[Signer, ...]:
    """Return the keys that have signed the whole image, sorted; raises `Unscannable` if it is no proper SIF."""
    header = read_header(reader)
    image = _Image(reader, header, objects(reader, header))
    groups = image.groups()
    if not groups:
        return ()
    signed = [image.signers(group, ring) for group in groups]
    everywhere = set(signed[0]).intersection(*signed)
    return tuple(sorted(everywhere, key=lambda signer: signer.fingerprint))


class _Image:
    """A SIF as its signatures see it."""

    def __init__(self, reader: Reader, header: Header, found: list[Object]) -> None:
        self._reader = reader
        self._header = header
        self._objects = found
        self._known: dict[tuple[int, str], str] = {}

    def groups(self) -> list[int]:
        """Return the groups; none where an object lies in no group, or two have one number: all could not be signed."""
        numbers = [each.id for each in self._objects]
        if len(set(numbers)) != len(numbers):
            return []
        if any(_group(each) == 0 and each.type != _SIGNATURE for each in self._objects):
            return []
        return sorted({_group(each) for each in self._objects} - {0})

    def signers(self, group: int, ring: Ring) -> set[Signer]:
        """Return the keys with a valid signature over all objects of a group."""
        link = GROUP_MASK | group
        linked = [each for each in self._objects if each.type == _SIGNATURE and each.link == link]
        found: set[Signer] = set()
        for each in linked[:SIGNATURES_LIMIT]:
            if each.size > MESSAGE_LIMIT:
                continue
            text, signers = ring.signers(self._reader.read(each.offset, each.size))
            named = _FINGERPRINT.unpack_from(each.extra)[1].hex().upper()
            signers = tuple(signer for signer in signers if signer.fingerprint == named)
            if signers and self._says(text, group):
                found.update(signers)
        return found

    def _says(self, text: bytes, group: int) -> bool:
        """Return whether a signed message is about exactly this header and all objects of this group."""
        try:
            message = msgspec.json.decode(text, type=_Message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        members = [each for each in self._objects if _group(each) == group]
        lowest = min(each.id for each in members)
        lines = {lowest + line.relative_id: line for line in message.objects}
        if message.version != 1 or len(lines) != len(message.objects):
            return False
        if set(lines) != {each.id for each in members}:
            return False
        header = self._header
        whole = header.launch + header.magic + header.version + header.identifier
        return _is(message.header.digest, whole) and all(
            _is(lines[each.id].descriptor_digest, _protected(each, each.id - lowest))
            and self._holds(each, lines[each.id].object_digest)
            for each in members
        )

    def _holds(self, item: Object, digest: str) -> bool:
        algorithm, _, value = digest.partition(":")
        if algorithm not in _ALGORITHMS:
            return False
        key = (item.id, algorithm)
        if key not in self._known:
            whole = hashlib.new(algorithm)
            for offset in range(item.offset, item.offset + item.size, _PIECE):
                whole.update(self._reader.read(offset, min(_PIECE, item.offset + item.size - offset)))
            self._known[key] = whole.hexdigest()
        return self._known[key] == value.lower()


def _group(item: Object) -> int:
    return item.group & ~GROUP_MASK & 0xFFFFFFFF


def _protected(item: Object, number: int) -> bytes:
    """Return the fields of a descriptor that a signature covers."""
    return _DESCRIPTOR.pack(
        item.type, 1, number, item.link, item.size, item.created, item.uid, item.gid, item.name, item.extra
    )


def _is(digest: str, data: bytes) -> bool:
    algorithm, _, value = digest.partition(":")
    return algorithm in _ALGORITHMS and hashlib.new(algorithm, data).hexdigest() == value.lower()


def _valid_until(key: Any, now: float) -> float | None:
    """Return when a key expires, 0 for never; None where it is not valid now."""
    try:
        expiration: datetime | None = key.expiration
        if key.is_revoked or (expiration is not None and expiration.timestamp() <= now):
            return None
    except Exception:  # noqa: BLE001 - a key that the library's rules refuse
        return None
    return 0.0 if expiration is None else expiration.astimezone(timezone.utc).timestamp()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
