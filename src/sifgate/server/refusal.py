# SPDX-License-Identifier: Apache-2.0
"""Answers other than success: one error type, one shape (`{"code", "message"}`)."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from sifgate.errors import SifgateError


class Refused(SifgateError):
    """A request that is not granted: `status` for HTTP, `code` for programs, text for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def answer(status: int, code: str, message: str) -> Response:
    """Return the response that says no."""
    headers = {"Retry-After": "1"} if status in {429, 503} else {}
    return json(status, {"code": code, "message": message}, headers)


def json(status: int, value: object, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response of any value that msgspec knows."""
    return Response(
        msgspec.json.encode(value), status_code=status, media_type="application/json", headers=headers
    )
