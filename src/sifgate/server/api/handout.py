# SPDX-License-Identifier: Apache-2.0
"""`GET /v1/handout/{name}`: a layer for Clair, by the secret in our manifest; no token, no redirect, no range."""

from __future__ import annotations

import os
from collections.abc import Iterator

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sifgate.server import handout
from sifgate.server.refusal import Refused
from sifgate.server.services import Services

_PIECE = 1 << 18


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()

    @routes.get(handout.PATH + "{name}")
    async def fetch(request: Request, name: str) -> Response:
        taken = services.handout.take(name, request.headers.get(handout.HEADER, ""))
        if taken is None:
            raise Refused(404, "unknown", "no such layer")
        fd, size = taken
        headers = {"Content-Length": str(size)}
        return StreamingResponse(_pieces(fd, size), media_type=handout.MEDIA_TYPE, headers=headers)

    return routes


def _pieces(fd: int, size: int) -> Iterator[bytes]:
    """Yield the bytes behind `fd`, which is closed at the end."""
    try:
        offset = 0
        while offset < size:
            piece = os.pread(fd, min(_PIECE, size - offset), offset)
            if not piece:
                return
            offset += len(piece)
            yield piece
    finally:
        os.close(fd)
