# SPDX-License-Identifier: Apache-2.0
"""Since when this site knows vulnerabilities and fixes; what verdicts of before tell of it is taken over."""

# ruff: noqa: I002 - Alembic loads this file under a name by which msgspec could not find postponed annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
from alembic import op
from sqlalchemy import Connection, text

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    """
    CREATE TABLE image_sightings (
        fingerprint text PRIMARY KEY,
        seen        jsonb NOT NULL DEFAULT '{}'
    )
    """,
    """
    CREATE TABLE site_sightings (
        vulnerability text PRIMARY KEY,
        first_seen    date NOT NULL
    )
    """,
    """
    CREATE TABLE fix_sightings (
        vulnerability text NOT NULL,
        package       text NOT NULL,
        system        text NOT NULL,
        first_seen    date NOT NULL,
        PRIMARY KEY (vulnerability, package, system)
    )
    """,
)
_LONGEST = 200
_SYSTEM = frozenset({"apk", "dpkg", "rpm"})


class _Finding(msgspec.Struct, frozen=True):
    vulnerability: str
    package: str
    aliases: tuple[str, ...] = ()
    source: str = ""
    manager: str = ""
    fixed_version: str = ""


class _Release(msgspec.Struct, frozen=True):
    id: str = ""
    version_id: str = ""


class _Verdict(msgspec.Struct, frozen=True):
    """What this step reads of a verdict, in the form that it had before this step."""

    findings: tuple[_Finding, ...] = ()
    os_release: _Release = _Release()


_DECODER = msgspec.json.Decoder(_Verdict)


def upgrade() -> None:
    """Make the tables and fill them from the verdicts, each as of the day it was made."""
    for statement in STATEMENTS:
        op.execute(statement)
    connection = op.get_bind()
    site: dict[str, str] = {}
    fixes: dict[tuple[str, str, str], str] = {}
    image: dict[str, str] = {}
    last = ""
    for fingerprint, day, verdict in _verdicts(connection):
        if fingerprint != last:
            _put_image(connection, last, image)
            last, image = fingerprint, {}
        for finding in verdict.findings:
            for name in filter(_keepable, (finding.vulnerability, *finding.aliases)):
                image.setdefault(name, day)
                site[name] = min(day, site.get(name, day))
                place = (name, *_place(finding, verdict.os_release))
                if finding.fixed_version and all(map(_keepable, place)):
                    fixes[place] = min(day, fixes.get(place, day))
    _put_image(connection, last, image)
    _put(
        connection, "INSERT INTO site_sightings VALUES (:a, :b)", [{"a": a, "b": b} for a, b in site.items()]
    )
    rows = [{"a": a, "b": b, "c": c, "d": day} for (a, b, c), day in fixes.items()]
    _put(connection, "INSERT INTO fix_sightings VALUES (:a, :b, :c, :d)", rows)


def _verdicts(connection: Connection) -> Iterator[tuple[str, str, _Verdict]]:
    """Give fingerprint, day and content, each fingerprint's oldest first; a damaged verdict tells of nothing."""
    order = text(
        "SELECT digest, fingerprint, to_char(made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM verdicts"
        " ORDER BY fingerprint, made_at, digest"
    )
    for digest, fingerprint, day in connection.execute(order).all():
        body = connection.execute(text("SELECT body FROM verdicts WHERE digest = :d"), {"d": digest}).scalar()
        try:
            verdict = _DECODER.decode(gzip.decompress(bytes(body or b"")))
        except (OSError, EOFError, zlib.error, msgspec.DecodeError):
            continue
        yield fingerprint, day, verdict


def _place(finding: _Finding, system: _Release) -> tuple[str, str]:
    of_system = finding.manager in _SYSTEM
    return (
        finding.source or finding.package,
        f"{system.id} {system.version_id}" if of_system else finding.manager,
    )


def _keepable(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and "\0" not in name


def _put_image(connection: Connection, fingerprint: str, seen: dict[str, str]) -> None:
    if seen:
        body = msgspec.json.encode(seen, order="sorted").decode()
        row = {"f": fingerprint, "s": body}
        _put(connection, "INSERT INTO image_sightings VALUES (:f, CAST(:s AS jsonb))", [row])


def _put(connection: Connection, statement: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(text(statement), rows)
