# SPDX-License-Identifier: Apache-2.0
"""A writer of signed SIFs, made from the format and not from our reader; the keys are the tests' own, and public."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pysequoia
from testbed import sif
from testbed.sif import SifObject, write_sif

KEYS = Path(__file__).resolve().parents[2] / "data/signing"
"""Made with `gpg --faked-system-time 20200101T000000! --quick-gen-key NAME ed25519 sign never`."""
SIGNATURE = 0x4005
MASK = 0xF0000000
SHA256 = 1


def secret(name: str) -> pysequoia.Tsk:
    """Return a secret key: `site`, `other`."""
    return pysequoia.Tsk.from_file(str(KEYS / f"{name}.key"))


def public(*names: str) -> bytes:
    """Return a ring of public keys, binary."""
    return b"".join(bytes(secret(name).extract_certificate()) for name in names)


def fingerprint(name: str) -> str:
    """Return the fingerprint of a key as policies write it."""
    return secret(name).extract_certificate().fingerprint.upper()


def message(image: Path, group: int, *, form: str = "sha256") -> bytes:
    """Return what a signature over one group of an unsigned image says."""
    data = image.read_bytes()
    header = data[:45] + data[48:64]
    members = [each for each in _table(data) if each[3] & ~MASK == group]
    lowest = min(each[2] for each in members)
    lines = [
        {
            "relativeId": each[2] - lowest,
            "descriptorDigest": _digest(form, _covered(each, lowest)),
            "objectDigest": _digest(form, data[each[5] : each[5] + each[6]]),
        }
        for each in members
    ]
    whole = {"version": 1, "header": {"digest": _digest(form, header)}, "objects": lines}
    return json.dumps(whole).encode()


def signature(text: bytes, name: str, group: int = 1, *, named: str = "") -> SifObject:
    """Return a signature object of a key over `text`; `named` is the fingerprint that its descriptor tells."""
    key = secret(name)
    signed = pysequoia.sign(key.signer(), text, mode=pysequoia.SignatureMode.CLEAR)
    extra = struct.pack("<i20s", SHA256, bytes.fromhex(named or fingerprint(name)))
    return SifObject(SIGNATURE, bytes(signed), "signature", extra, group=0, link=MASK | group)


def write_signed(target: Path, objects: Sequence[SifObject], *names: str) -> None:
    """Write an image whose every group each key has signed."""
    write_sif(target, objects)
    groups = sorted({each.group for each in objects})
    signatures = [signature(message(target, group), name, group) for name in names for group in groups]
    write_sif(target, [*objects, *signatures])


def _table(data: bytes) -> list[tuple[Any, ...]]:
    """Return the used descriptors, raw."""
    end = sif.TABLE_OFFSET + sif.TABLE_ENTRIES * sif.DESCRIPTOR.size
    return [each for each in sif.DESCRIPTOR.iter_unpack(data[sif.TABLE_OFFSET : end]) if each[1]]


def _covered(each: tuple[Any, ...], lowest: int) -> bytes:
    kind, _, number, _, link, _, size, _, created, _, uid, gid, name, extra = each
    numbers = struct.pack("<iBIIqqqq", kind, 1, number - lowest, link, size, created, uid, gid)
    whole: bytes = numbers + name + extra
    return whole


def _digest(form: str, data: bytes) -> str:
    return f"{form}:{hashlib.new(form, data).hexdigest()}"
