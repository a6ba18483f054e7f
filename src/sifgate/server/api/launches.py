# SPDX-License-Identifier: Apache-2.0
"""`POST /v1/launches`: audit records come in, at least once. `GET /v1/launches`: they are searched."""

from __future__ import annotations

from datetime import datetime

import msgspec
from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sifgate.audit.record import AuditRecord
from sifgate.clair.identifiers import cves
from sifgate.server import body, refusal
from sifgate.server.access import Role
from sifgate.server.refusal import Refused
from sifgate.server.services import Services
from sifgate.store import launches

LARGEST = 16 << 20
_LONGEST_ID = 64
_BIGGEST = 1 << 62


class Batch(msgspec.Struct, frozen=True):
    """Some records of one node."""

    records: list[msgspec.Raw]


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()

    @routes.post("/v1/launches", dependencies=[Depends(services.access.needs(Role.NODE))])
    async def store(request: Request) -> Response:
        batch = _decoded(await body.whole(request, largest=LARGEST))
        stored = await run_in_threadpool(launches.store, services.database, batch)
        return refusal.json(200, {"stored": stored})

    @routes.get("/v1/launches", dependencies=[Depends(services.access.needs(Role.VIEWER))])
    async def find(
        user: str = "", job: int = 0, cve: str = "", since: str = "", limit: int = 100
    ) -> Response:
        query = launches.Query(
            user=_text(user), job=job, cve=_text(cve).upper(), since=_time(since), limit=limit
        )
        if limit < 1 or not 0 <= job < _BIGGEST:
            raise Refused(400, "bad_request", "job and limit must be positive")
        records = await run_in_threadpool(launches.find, services.database, query)
        return refusal.json(200, {"records": [msgspec.Raw(record) for record in records]})

    return routes


def _decoded(content: bytes) -> list[launches.Launch]:
    """Return the records; one that is not an audit record refuses the batch, for then the node's spool is damaged."""
    try:
        batch = msgspec.json.decode(content, type=Batch)
        return [_launch(bytes(raw), msgspec.json.decode(raw, type=AuditRecord)) for raw in batch.records]
    except msgspec.DecodeError as error:
        raise Refused(400, "bad_request", f"not audit records: {error}") from error


def _launch(raw: bytes, record: AuditRecord) -> launches.Launch:
    if not 0 < len(record.id) <= _LONGEST_ID or not (
        abs(record.job) < _BIGGEST and abs(record.uid) < _BIGGEST
    ):
        raise Refused(400, "bad_request", "a record has no valid id, job or uid")
    named = cves(" ".join(finding for reason in record.reasons for finding in reason.findings))
    return launches.Launch(
        id=_text(record.id),
        at=_time(record.time),
        user=_text(record.user),
        uid=record.uid,
        job=record.job,
        fingerprint=_text(record.fingerprint),
        verdict=_text(record.verdict),
        cves=named,
        body=raw,
    )


def _text(value: str) -> str:
    if "\0" in value or not value.isprintable():
        raise Refused(400, "bad_request", "control characters where none belong")
    return value


def _time(value: str) -> str:
    """Return an ISO time that PostgreSQL reads; raises Refused 400. A bare date is midnight UTC."""
    if not value:
        return ""
    try:
        parsed = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError as error:
        raise Refused(400, "bad_request", f"{value!r} is not an ISO time") from error
    return value if parsed.tzinfo is not None else f"{parsed.isoformat()}+00:00"
