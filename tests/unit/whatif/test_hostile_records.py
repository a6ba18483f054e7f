# SPDX-License-Identifier: Apache-2.0
"""What a user may type survives the record: escaped for people, whole for the replay."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.audit.raw import LIMIT
from sifgate.audit.record import Stand, compose, decode, encode, record_id
from sifgate.model.decision import Action, Decision
from sifgate.model.image import ImageFacts, ImageReference, ReferenceKind
from sifgate.model.launch import Door, Grant, JobFacts, LaunchEvent, Requester
from sifgate.whatif.recorded import launch_of, standing_of

HOSTILE = [
    "/scratch/a b/x.sif",
    "/scratch/\x1b[31mred\n.sif",
    "/scratch/\udcff\udcfe.sif",
    "/scratch/%2e%2e/100%.sif",
    "/scratch/,comma,.sif",
    "/scratch/" + "ü" * 2000,
    "/scratch/" + "\n" * 4000,
    '/scratch/"},"verdict":"sha256:00","x":{".sif',
]


def kept(launch: LaunchEvent, detail: str = "") -> LaunchEvent:
    """Return the launch that a line of the log gives back."""
    record = compose(
        record_id(1.0, b"123456"),
        now=1.0,
        node="n1",
        launch=launch,
        decision=Decision(Action.ALLOW, Action.ALLOW),
        stand=Stand(state="unresolved", detail=detail),
    )
    line = encode(record)
    assert line.count(b"\n") == 1
    read = decode(line)
    assert read.path.isprintable()
    standing = standing_of(read, lambda _: None)
    assert standing is not None
    assert standing.detail == detail
    return launch_of(read)


def launch_at(path: str, name: str = "alice", groups: tuple[str, ...] = ()) -> LaunchEvent:
    """Return a launch with these words in all fields that a policy may read."""
    return LaunchEvent(
        Door.SPANK,
        Requester(1000, 100, name, groups, trusted=True),
        ImageReference("x", ReferenceKind.PATH, path),
        JobFacts(1, 0, "", 1, name, name, name, name),
        image=ImageFacts(owner=name, created=name, digest="sha256:ab", signers=()),
        grant=Grant("g1", 1000, name, name, "2026-01-01T00:00:00Z", "2026-01-01T04:00:00Z"),
        budget_spent=True,
    )


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_path_comes_back_as_it_was_judged(path: str) -> None:
    """Control characters, bytes that are no text, percent signs and great length."""
    launch = launch_at(path)
    assert kept(launch, path) == launch


@given(st.binary(max_size=300), st.lists(st.binary(min_size=1, max_size=20), max_size=4))
def test_any_bytes_come_back(word: bytes, groups: list[bytes]) -> None:
    """Whatever the kernel and the name service can say is read back byte for byte."""
    text = word.decode("utf-8", "surrogateescape")
    names = tuple(name.decode("utf-8", "surrogateescape") for name in groups)
    launch = launch_at("/" + text, text, names)
    assert kept(launch, text) == launch


def test_missing_signatures_and_none_looked_at_stay_apart() -> None:
    """`signers` of None and of () are two facts."""
    launch = launch_at("/x")
    for signers in (None, (), ("AB" * 20,)):
        facts = ImageFacts(owner="root", signers=signers)
        assert kept(msgspec.structs.replace(launch, image=facts)).image == facts


def test_word_longer_than_any_path_is_said_to_be_lost() -> None:
    """It cannot blow the record up, and nobody is told that it was replayed."""
    launch = launch_at("/" + "\n" * (3 * LIMIT))
    record = compose(
        record_id(1.0, b"123456"),
        now=1.0,
        node="n1",
        launch=launch,
        decision=Decision(Action.ALLOW, Action.ALLOW),
        stand=Stand(state="unresolved"),
    )
    assert len(encode(record)) < 12_000
    with pytest.raises(ValueError, match="path was longer"):
        launch_of(decode(encode(record)))
