# SPDX-License-Identifier: Apache-2.0
"""Wire v1 between shims and agent (docs/protocol.md §1): bytes ↔ messages, and messages over a socket.

Owns the grammar, the limits and the sealed memfd of long messages; knows no verb's meaning. Standard library only, and
little of it: the Slurm prolog imports this on Python ≥ 3.9.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
import struct

from sifgate.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PACKET_LIMIT = 65_536
"""Bytes of one packet; a longer message travels as a memfd."""
MESSAGE_LIMIT = 4 << 20
"""Bytes of the longest message."""
ANSWER_LIMIT = 256 << 20
"""Bytes of the longest answer of the agent, which its clients believe more than it believes them."""
FIELDS_LIMIT = 262_144
"""Fields of one message: bounds the memory that 4 MiB of empty fields would take."""

_MAGIC = b"sifgate/1 "
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_KEY_BYTES = _LETTERS + b"0123456789_"
_DIGITS = b"0123456789"
_VERB_MAX = 16
_KEY_MAX = 32
_LENGTH_MAX = 9
_MEMFD = b"sifgate/1 memfd\n"
_HEAD_MAX = _KEY_MAX + 1 + _LENGTH_MAX + 1
_HEADS: dict[bytes, tuple[str, int]] = {}
"""`key:length` → key and length, of those that have been checked before."""
_HEADS_LIMIT = 4096
_SEALS = 0x0F  # F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
_F_ADD_SEALS = 1033
_F_GET_SEALS = 1034
_MSG_CMSG_CLOEXEC = 0x40000000
_SCM_RIGHTS = 1
_DESCRIPTORS = 4
"""Room for descriptors in one receive; the kernel closes what does not fit, and a sender of two has already lost."""
_ANCILLARY = _socket.CMSG_SPACE(4 * _DESCRIPTORS)


class Message:
    """One message: a verb and its fields in order; keys may repeat."""

    __slots__ = ("_firsts", "fields", "size", "verb")

    def __init__(self, verb: str, fields: Sequence[tuple[str, bytes]] = (), size: int = 0) -> None:
        self.verb = verb
        self.fields = fields
        self.size = size
        """Bytes that it had on the wire; 0 if it was not received."""
        self._firsts = dict(reversed(fields))

    def first(self, key: str, default: bytes = b"") -> bytes:
        """Return the first value of `key`, `default` where there is none."""
        return self._firsts.get(key, default)

    def every(self, key: str) -> list[bytes]:
        """Return all values of `key` in order."""
        return [value for name, value in self.fields if name == key]

    def text(self, key: str, default: str = "") -> str:
        """Return the first value of `key` as text, foreign bytes as surrogate escapes."""
        value = self._firsts.get(key)
        return default if value is None else value.decode("utf-8", "surrogateescape")

    def number(self, key: str, default: int = 0) -> int:
        """Return the first value of `key` as a decimal number; raises ProtocolError where it is none."""
        value = self._firsts.get(key)
        if not value:
            return default
        digits = value.removeprefix(b"-")
        if len(digits) > 19 or not digits.isdigit():  # noqa: PLR2004 - digits of 2**63
            raise ProtocolError(f"field {key}: not a number")
        return int(value)

    def __repr__(self) -> str:
        return f"Message({self.verb!r}, {self.fields!r})"


def encode(verb: str, fields: Iterable[tuple[str, bytes]] = (), *, limit: int = MESSAGE_LIMIT) -> bytes:
    """Return the bytes of a message; raises ProtocolError for a verb, key or size outside the grammar."""
    name = verb.encode("ascii", "replace")
    if not 0 < len(name) <= _VERB_MAX or name.translate(None, _LETTERS):
        raise ProtocolError(f"verb {verb!r}: not 1 to 16 lower-case letters")
    parts = [_MAGIC, name, b"\n"]
    for key, value in fields:
        word = key.encode("ascii", "replace")
        _check_key(word)
        parts.append(b"%b:%d=%b\n" % (word, len(value), value))
    data = b"".join(parts)
    if len(data) > limit:
        raise ProtocolError(f"message of {len(data)} bytes (at most {limit})")
    return data


def decode(data: bytes, *, limit: int = MESSAGE_LIMIT) -> Message:
    """Return the message that `data` is; raises ProtocolError for anything outside the grammar."""
    if len(data) > limit:
        raise ProtocolError(f"message of {len(data)} bytes (at most {limit})")
    if not data.startswith(_MAGIC):
        raise ProtocolError("message does not begin with sifgate/1", hint="the two sides differ in version")
    end = data.find(b"\n", len(_MAGIC), len(_MAGIC) + _VERB_MAX + 1)
    verb = data[len(_MAGIC) : end]
    if end < 0 or not verb or verb.translate(None, _LETTERS):
        raise ProtocolError("verb is not 1 to 16 lower-case letters and a newline")
    return Message(verb.decode("ascii"), _fields(data, end + 1), len(data))


def _fields(data: bytes, at: int) -> list[tuple[str, bytes]]:
    fields: list[tuple[str, bytes]] = []
    total = len(data)
    for _ in range(FIELDS_LIMIT + 1):
        if at >= total:
            return fields
        equals = data.find(b"=", at, at + _HEAD_MAX)
        if equals < 0:
            raise ProtocolError(f"byte {at}: no key and length")
        head = data[at:equals]
        key, length = _HEADS.get(head) or _new_head(head, at)
        end = equals + 1 + length
        if data[end : end + 1] != b"\n":
            raise ProtocolError(f"byte {at}: field runs past the end or does not end with a newline")
        fields.append((key, data[equals + 1 : end]))
        at = end + 1
    raise ProtocolError(f"more than {FIELDS_LIMIT} fields")


def _new_head(head: bytes, at: int) -> tuple[str, int]:
    """Return key and length of `key:length`, checked; remembered, because the same few hundred come again."""
    key, colon, digits = head.partition(b":")
    _check_key(key)
    if not colon or not 0 < len(digits) <= _LENGTH_MAX or digits.translate(None, _DIGITS):
        raise ProtocolError(f"byte {at}: no length")
    if digits.startswith(b"0") and len(digits) > 1:
        raise ProtocolError(f"byte {at}: length begins with 0")
    found = (key.decode("ascii"), int(digits))
    if len(_HEADS) < _HEADS_LIMIT:
        _HEADS[head] = found
    return found


def _check_key(key: bytes) -> None:
    if not 0 < len(key) <= _KEY_MAX or key[0] not in _LETTERS or key.translate(None, _KEY_BYTES):
        raise ProtocolError(f"key {key!r}: not a lower-case letter and up to 31 of a-z 0-9 _")


def send(connection: _socket.socket, data: bytes, descriptors: Sequence[int] = (), *, flags: int = 0) -> None:
    """Send one message, as a packet or as a sealed memfd; raises OSError, ProtocolError for both at once.

    `flags` are the socket's, such as MSG_DONTWAIT.
    """
    if len(data) <= PACKET_LIMIT:
        _send_packet(connection, data, descriptors, flags)
        return
    if descriptors:
        raise ProtocolError("a message longer than a packet cannot carry descriptors")
    memory = seal(data)
    try:
        _send_packet(connection, _MEMFD, (memory,), flags)
    finally:
        os.close(memory)


def _send_packet(connection: _socket.socket, data: bytes, descriptors: Sequence[int], flags: int) -> None:
    if not descriptors:
        connection.send(data, flags)
        return
    rights = struct.pack(f"{len(descriptors)}i", *descriptors)
    connection.sendmsg([data], [(_socket.SOL_SOCKET, _SCM_RIGHTS, rights)], flags)


def receive(
    connection: _socket.socket, *, limit: int = MESSAGE_LIMIT, flags: int = 0
) -> tuple[bytes, list[int]]:
    """Return the bytes of the next message (empty: the peer has closed) and the descriptors that came with it.

    The caller owns the descriptors. Raises ProtocolError, after closing all of them, for a packet over the limit, for
    more descriptors than any turn carries, and for a memfd that is not one, not sealed or too large; OSError as the
    socket does.
    """
    data, descriptors, happened = receive_packet(connection, flags)
    if happened & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
        close_all(descriptors)
        raise ProtocolError("packet too large, or too many descriptors")
    if data != _MEMFD:
        return data, descriptors
    try:
        return unseal(*descriptors, limit=limit), []
    except TypeError:
        raise ProtocolError(f"memfd with {len(descriptors)} descriptors (expected 1)") from None
    finally:
        close_all(descriptors)


def receive_packet(connection: _socket.socket, flags: int = 0) -> tuple[bytes, list[int], int]:
    """Return bytes, descriptors and message flags of the next packet, judging nothing."""
    data, ancillary, happened, _ = connection.recvmsg(PACKET_LIMIT, _ANCILLARY, flags | _MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, payload in ancillary:
        if level == _socket.SOL_SOCKET and kind == _SCM_RIGHTS:
            count = len(payload) // 4
            descriptors.extend(struct.unpack(f"{count}i", payload[: 4 * count]))
    return data, descriptors, happened


def seal(data: bytes) -> int:
    """Return a memfd that holds `data`, sealed against every change; the caller closes it."""
    memory = os.memfd_create("sifgate-message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(memory, view) :]
        fcntl.fcntl(memory, _F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(memory)
        raise
    return memory


def unseal(memory: int, *, limit: int = MESSAGE_LIMIT) -> bytes:
    """Return what a sealed memfd holds; raises ProtocolError where it could change, is too large, or is none."""
    try:
        seals = fcntl.fcntl(memory, _F_GET_SEALS)
    except OSError as error:
        raise ProtocolError("descriptor is not a memfd") from error
    if seals & _SEALS != _SEALS:
        raise ProtocolError("memfd is not sealed against writing, growing, shrinking and further seals")
    size = os.fstat(memory).st_size
    if size > limit:
        raise ProtocolError(f"memfd of {size} bytes (at most {limit})")
    data = os.pread(memory, size, 0)
    if len(data) != size:
        raise ProtocolError(f"memfd gave {len(data)} of {size} bytes")
    return data


def close_all(descriptors: Iterable[int]) -> None:
    """Close every descriptor, whatever becomes of the others."""
    for descriptor in descriptors:
        try:
            os.close(descriptor)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise
