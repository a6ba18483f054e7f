# SPDX-License-Identifier: Apache-2.0
"""Wire v1: the shared vectors, round trips, garbage, and messages over real sockets."""

from __future__ import annotations

import _socket
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate import wire
from sifgate.errors import ProtocolError

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "wire.json").read_text(encoding="utf-8")
)
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)
FIELDS = st.lists(st.tuples(KEYS, st.binary(max_size=200)), max_size=20)


def by_name(vector: dict[str, Any]) -> str:
    """Return the vector's name as the test's."""
    return str(vector["name"])


@pytest.fixture
def pair() -> Iterator[tuple[_socket.socket, _socket.socket]]:
    """Two ends of one conversation."""
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left, right:
        yield left, right


def open_files() -> int:
    """Return how many descriptors this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("vector", VECTORS["good"], ids=by_name)
def test_good_vector_decodes_and_encodes(vector: dict[str, Any]) -> None:
    """A good vector means exactly its fields, and the fields give its bytes again."""
    data = bytes.fromhex(vector["hex"])
    fields = [(key, bytes.fromhex(value)) for key, value in vector["fields"]]
    message = wire.decode(data)
    assert (message.verb, list(message.fields)) == (vector["verb"], fields)
    assert wire.encode(vector["verb"], fields) == data


@pytest.mark.parametrize("vector", VECTORS["bad"], ids=by_name)
def test_bad_vector_is_refused(vector: dict[str, Any]) -> None:
    """A bad vector is a ProtocolError, never a message."""
    with pytest.raises(ProtocolError):
        wire.decode(bytes.fromhex(vector["hex"]))


@given(st.from_regex(r"[a-z]{1,16}", fullmatch=True), FIELDS)
def test_round_trip(verb: str, fields: list[tuple[str, bytes]]) -> None:
    """Whatever the grammar can say survives encoding and decoding."""
    message = wire.decode(wire.encode(verb, fields))
    assert (message.verb, list(message.fields)) == (verb, fields)


@given(st.binary(max_size=300))
def test_garbage_is_a_message_or_a_protocol_error(data: bytes) -> None:
    """Random bytes behind the magic never raise anything else, and what decodes is canonical."""
    try:
        message = wire.decode(b"sifgate/1 " + data)
    except ProtocolError:
        return
    assert wire.encode(message.verb, message.fields) == b"sifgate/1 " + data


@given(FIELDS, st.data())
def test_cut_message_is_refused(fields: list[tuple[str, bytes]], data: st.DataObject) -> None:
    """A message cut inside its last field is refused."""
    whole = wire.encode("ask", [*fields, ("arg", b"x")])
    cut = data.draw(st.integers(len(whole) - len(b"arg:1=x\n") + 1, len(whole) - 1))
    with pytest.raises(ProtocolError):
        wire.decode(whole[:cut])


@pytest.mark.parametrize("verb", ["", "Ask", "a" * 17, "as-k", "ä"])
def test_encode_refuses_verbs_outside_the_grammar(verb: str) -> None:
    """What a decoder would refuse is not sent."""
    with pytest.raises(ProtocolError):
        wire.encode(verb)


def test_too_many_fields_are_refused() -> None:
    """The number of fields is bounded, so that 4 MiB on the wire stay small in memory."""
    with pytest.raises(ProtocolError, match="fields"):
        wire.decode(b"sifgate/1 ask\n" + b"a:0=\n" * (wire.FIELDS_LIMIT + 1))


def test_message_accessors() -> None:
    """First, every, text and number read fields; a word where a number belongs is a ProtocolError."""
    message = wire.Message(
        "ask", [("arg", b"a"), ("arg", b"\xff"), ("uid", b"17"), ("step", b"-1"), ("job", b"x")]
    )
    assert (message.first("arg"), message.every("arg"), message.first("no", b"d")) == (
        b"a",
        [b"a", b"\xff"],
        b"d",
    )
    assert (message.text("arg"), message.text("no", "d")) == ("a", "d")
    assert (message.number("uid"), message.number("step"), message.number("no", 7)) == (17, -1, 7)
    with pytest.raises(ProtocolError):
        message.number("job")


def test_long_message_travels_as_sealed_memfd(pair: tuple[_socket.socket, _socket.socket]) -> None:
    """A message over 64 KiB arrives whole, and no descriptor is left over."""
    before = open_files()
    data = wire.encode("ask", [("arg", b"x" * 1_000_000)])
    wire.send(pair[0], data)
    assert wire.receive(pair[1]) == (data, [])
    assert open_files() == before


def test_packet_of_exactly_the_limit_travels_as_packet(pair: tuple[_socket.socket, _socket.socket]) -> None:
    """65,536 bytes are a packet still."""
    data = wire.encode("ask", [("arg", b"x" * (wire.PACKET_LIMIT - len("sifgate/1 ask\narg:65512=\n")))])
    assert len(data) == wire.PACKET_LIMIT
    wire.send(pair[0], data)
    assert wire.receive(pair[1]) == (data, [])


def test_descriptor_arrives_with_a_packet(pair: tuple[_socket.socket, _socket.socket]) -> None:
    """One descriptor crosses, close-on-exec."""
    with Path("/dev/null").open("rb") as null:
        wire.send(pair[0], wire.encode("opened"), (null.fileno(),))
    data, (descriptor,) = wire.receive(pair[1])
    assert wire.decode(data).verb == "opened"
    assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.close(descriptor)


def test_too_large_to_send() -> None:
    """Over 4 MiB nothing is encoded; the shim says `truncated` instead."""
    with pytest.raises(ProtocolError):
        wire.encode("ask", [("arg", b"x" * wire.MESSAGE_LIMIT)])


def unsealed() -> int:
    """Return a memfd that can still be written."""
    memory = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.write(memory, b"sifgate/1 ask\n")
    return memory


def half_sealed() -> int:
    """Return a memfd that cannot be written but can shrink."""
    memory = unsealed()
    fcntl.fcntl(memory, 1033, 0x08)
    return memory


def too_large() -> int:
    """Return a sealed memfd over the limit."""
    memory = os.memfd_create("x", os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, wire.MESSAGE_LIMIT + 1)
    fcntl.fcntl(memory, 1033, 0x0F)
    return memory


def no_memfd() -> int:
    """Return an ordinary file."""
    return os.open("/etc/passwd", os.O_RDONLY)


@pytest.mark.parametrize("make", [unsealed, half_sealed, too_large, no_memfd])
def test_bad_memfd_is_refused(pair: tuple[_socket.socket, _socket.socket], make: Any) -> None:
    """A memfd that could change, is too large, or is none, is refused and closed."""
    memory = make()
    before = open_files()
    wire.send(pair[0], b"sifgate/1 memfd\n", (memory,))
    with pytest.raises(ProtocolError):
        wire.receive(pair[1])
    assert open_files() == before
    os.close(memory)


def test_memfd_without_descriptor_is_refused(pair: tuple[_socket.socket, _socket.socket]) -> None:
    """The word alone is not a message."""
    wire.send(pair[0], b"sifgate/1 memfd\n")
    with pytest.raises(ProtocolError):
        wire.receive(pair[1])


def test_descriptor_flood_is_closed(pair: tuple[_socket.socket, _socket.socket]) -> None:
    """A packet with a hundred descriptors is refused and leaves none behind."""
    before = open_files()
    with Path("/dev/null").open("rb") as null:
        wire.send(pair[0], wire.encode("opened"), (null.fileno(),) * 100)
    with pytest.raises(ProtocolError):
        wire.receive(pair[1])
    assert open_files() == before


def test_oversized_packet_is_refused(pair: tuple[_socket.socket, _socket.socket]) -> None:
    """A packet over the limit is an error, not a message that was cut."""
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    pair[0].send(b"sifgate/1 ask\n" + b"a:0=\n" * 14_000)
    with pytest.raises(ProtocolError):
        wire.receive(pair[1])


def test_closed_peer_gives_no_bytes(pair: tuple[_socket.socket, _socket.socket]) -> None:
    """The end of a conversation is empty bytes."""
    pair[0].close()
    assert wire.receive(pair[1]) == (b"", [])
