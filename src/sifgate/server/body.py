# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests, bounded in size and time."""

from __future__ import annotations

from typing import Protocol

import anyio
from starlette.requests import ClientDisconnect, Request

from sifgate.server.refusal import Refused


class Sink(Protocol):
    """What a body is written to."""

    def write(self, piece: bytes, /) -> object:
        """Take a piece."""


async def spooled(request: Request, target: Sink | None, *, largest: int, seconds: float) -> None:
    """Write the body to `target`, or nowhere; raises Refused 413 past `largest` bytes, 408 past `seconds`."""
    declared = request.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > largest:
        raise Refused(413, "too_large", f"at most {largest} bytes are taken")
    total = 0
    try:
        with anyio.fail_after(seconds):
            async for piece in request.stream():
                total += len(piece)
                if total > largest:
                    raise Refused(413, "too_large", f"at most {largest} bytes are taken")
                if target is not None:
                    target.write(piece)
    except TimeoutError as error:
        raise Refused(408, "too_slow", f"the body did not arrive within {seconds:.0f} s") from error
    except ClientDisconnect as error:
        raise Refused(400, "cut_short", "the body was cut short") from error


async def whole(request: Request, *, largest: int, seconds: float = 30.0) -> bytes:
    """Return the body; raises Refused as `spooled` does."""
    pieces = _Pieces()
    await spooled(request, pieces, largest=largest, seconds=seconds)
    return b"".join(pieces.list)


class _Pieces:
    def __init__(self) -> None:
        self.list: list[bytes] = []

    def write(self, piece: bytes) -> None:
        """Keep a piece."""
        self.list.append(piece)
