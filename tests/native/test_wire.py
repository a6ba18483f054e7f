# SPDX-License-Identifier: Apache-2.0
"""The C side of wire v1 agrees with the shared vectors, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.native
VECTORS: dict[str, Any] = json.loads((Path(__file__).resolve().parents[1] / "vectors/wire.json").read_text())
GOOD, BAD = VECTORS["good"], VECTORS["bad"]


def _written(vector: dict[str, Any]) -> str:
    return " ".join([vector["verb"], *(f"{key}={value}" for key, value in vector["fields"])])


def test_good_messages_are_read(driver: Callable[..., str]) -> None:
    """Every good vector gives its verb and its fields in order."""
    lines = driver("decode", text="".join(f"{vector['hex']}\n" for vector in GOOD)).splitlines()
    assert lines == [_written(vector) for vector in GOOD]


def test_good_messages_are_written(driver: Callable[..., str]) -> None:
    """Verb and fields of every good vector give exactly its bytes."""
    lines = driver("encode", text="".join(f"{_written(vector)}\n" for vector in GOOD)).splitlines()
    assert lines == [vector["hex"] for vector in GOOD]


def test_bad_messages_are_refused(driver: Callable[..., str]) -> None:
    """No bad vector is taken for a message."""
    lines = driver("decode", text="".join(f"{vector['hex']}\n" for vector in BAD)).splitlines()
    assert dict(zip([vector["name"] for vector in BAD], lines, strict=True)) == {
        v["name"]: "bad" for v in BAD
    }


@pytest.mark.parametrize("cut", [1, 7, 11, 40])
def test_truncated_messages_are_refused(driver: Callable[..., str], cut: int) -> None:
    """A message that ends early is no message, wherever it ends, unless it ends between two fields."""
    whole = next(vector for vector in GOOD if vector["name"] == "ask of a step")
    data = bytes.fromhex(whole["hex"])[:-cut]
    between = data.endswith(b"\n")
    assert (driver("decode", text=f"{data.hex()}\n") == "bad\n") is not between


def test_every_single_bit_flip_ends_without_a_fault(driver: Callable[..., str]) -> None:
    """Whatever bit is wrong, the reader neither reads past the end nor stops (the sanitizers watch)."""
    data = bytes.fromhex(next(vector for vector in GOOD if vector["name"] == "ask of a step")["hex"])
    flipped = []
    for bit in range(len(data) * 8):
        wrong = bytearray(data)
        wrong[bit // 8] ^= 1 << bit % 8
        flipped.append(wrong.hex())
    assert len(driver("decode", text="\n".join(flipped) + "\n").splitlines()) == len(flipped)


@pytest.mark.parametrize("line", ["", "Ask", "ask Key=00", "ask 1=00", f"{'a' * 17}", f"ask {'k' * 33}=00"])
def test_what_is_outside_the_grammar_cannot_be_written(driver: Callable[..., str], line: str) -> None:
    """A verb or key outside the grammar breaks the writer instead of the protocol."""
    assert driver("encode", text=f"{line}\n") == "broken\n"
