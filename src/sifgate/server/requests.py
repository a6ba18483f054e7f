# SPDX-License-Identifier: Apache-2.0
"""Counts what was asked of this server since it started, by kind: `GET /v1/verdicts`, `PUT /v1/layers`."""

from __future__ import annotations

from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

_KNOWN = frozenset({"verdicts", "layers", "steps", "launches", "heads", "policies", "status", "handout"})


class RequestCounter:
    """ASGI middleware; `counts` belongs to the caller."""

    def __init__(self, app: ASGIApp, counts: Counter[str]) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, then pass on."""
        if scope["type"] == "http":
            self._counts[kind(scope["method"], scope["path"])] += 1
        await self._app(scope, receive, send)


def kind(method: str, path: str) -> str:
    """Return `METHOD /v1/WORD`; one word for all that is unknown, so that strangers cannot make the table grow."""
    _, _, rest = path.partition("/v1/")
    word = rest.partition("/")[0]
    if word not in _KNOWN or method not in ("GET", "PUT", "POST"):
        return "other"
    return f"{method} /v1/{word}"
