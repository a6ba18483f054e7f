# SPDX-License-Identifier: Apache-2.0
"""The HTTP application: routes of `server.api`, and one shape for every refusal."""

from __future__ import annotations

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sifgate.errors import ClairUnavailable, StoreError
from sifgate.server import refusal
from sifgate.server.api import (
    export,
    handout,
    heads,
    launches,
    layers,
    policies,
    status,
    steps,
    verdicts,
)
from sifgate.server.refusal import Refused
from sifgate.server.requests import RequestCounter
from sifgate.server.services import Services

_LOG = structlog.get_logger(__name__)


def application(services: Services) -> FastAPI:
    """Return the application of HTTP API v1 (docs/protocol.md §2)."""
    app = FastAPI(
        title="sifgate", openapi_url=None
    )  # no pages that nobody needs: docs/protocol.md is the reference
    for part in (verdicts, layers, steps, export, launches, policies, heads, status, handout):
        app.include_router(part.router(services))
    app.add_middleware(RequestCounter, counts=services.requests)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(StoreError, _store)
    app.add_exception_handler(ClairUnavailable, _clair)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return refusal.answer(error.status, error.code, str(error))


async def _store(_request: Request, error: Exception) -> Response:
    _LOG.warning("store", error=str(error))
    return refusal.answer(503, "store", "the database does not answer")


async def _clair(_request: Request, error: Exception) -> Response:
    return refusal.answer(503, "clair_unavailable", str(error))


async def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = {404: "unknown", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    return refusal.answer(error.status_code, code, str(error.detail))


async def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    places = ", ".join(".".join(str(part) for part in entry["loc"]) for entry in error.errors())
    return refusal.answer(400, "bad_request", f"not valid: {places}")


async def _broken(request: Request, error: Exception) -> Response:
    _LOG.error("request broke", path=request.url.path, error=repr(error))
    return refusal.answer(500, "internal", "the server failed on this request; its log says how")
