# SPDX-License-Identifier: Apache-2.0
"""Made-up records of a site: a year of launches with frequent and rare users, images, verdicts and rules."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from uuid import UUID

import msgspec
import psycopg

from sifgate.audit.record import AuditRecord, ReasonLine
from sifgate.store import launch_months, schema
from sifgate.store.launch_months import Month, month_of
from sifgate.store.launches import Grounds, ImageName
from sifgate.store.migrations.versions.v0003_launches import INDEXES

DAYS = 365
USERS, ACCOUNTS, NODES, IMAGES, VERDICTS = 2_000, 100, 500, 3_000, 5_000
LAUNCHES_PER_JOB = 5
RARE_RULE = "rare-rule"
_RULES = ("kev-fixable", "critical-fixable", "end-of-life", "state:unsupported")
_CVES_KNOWN, _CVES_EACH = 20_000, 300
_BLOCK = 20_000
_ACTIONS, _ACTION_SHARES = ("allow", "log", "warn", "block"), (80, 10, 9, 1)
_OUTCOMES, _OUTCOME_SHARES = ("decided", "asked", "would_have_blocked"), (850, 149, 1)
_DOORS, _DOOR_SHARES = ("spank", "prolog", "wrapper"), (60, 15, 25)


class Site(msgspec.Struct, frozen=True):
    """How much there is of it."""

    records: int
    now: datetime

    @property
    def start(self) -> datetime:
        """Return when its first launch was."""
        return self.now - timedelta(days=DAYS)


def load(dsn: str, site: Site) -> None:
    """Fill an empty database: schema, months, rows by COPY without indexes, then those of the migration."""
    schema.upgrade(dsn)
    with psycopg.connect(dsn) as connection:
        for month in _months(site):
            launch_months.make(connection, month)
    with psycopg.connect(dsn) as connection:
        for statement in INDEXES:
            words = statement.split()
            drop = (
                f"ALTER TABLE {words[2]} DROP CONSTRAINT {words[5]}"
                if words[0] == "ALTER"
                else f"DROP INDEX {words[2]}"
            )
            connection.execute(drop)
        images, grounds = _images(connection), _grounds(connection, site)
        _copy(connection, site, images, grounds)
        connection.execute("SET maintenance_work_mem = '512MB'")
        for statement in INDEXES:
            connection.execute(statement)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _months(site: Site) -> Iterator[Month]:
    month = month_of(site.start)
    while month <= month_of(site.now).later(1):
        yield month
        month = month.later(1)


def _images(connection: psycopg.Connection[tuple[object, ...]]) -> list[tuple[str, UUID]]:
    """Store the images' names and return path and key of each."""
    paths = [
        f"/apps/site/image-{number}.sif" if number % 2 else f"/scratch/u{number}/image-{number}.sif"
        for number in range(IMAGES)
    ]
    names = [ImageName(path, path, "") for path in paths]
    connection.cursor().executemany(
        "INSERT INTO launch_images VALUES (%s, %s, %s, '', '2000-01-01', '2100-01-01', '2000-01-01')",
        [(name.key, name.image, name.path) for name in names],
    )
    return [(name.path, name.key) for name in names]


def _grounds(connection: psycopg.Connection[tuple[object, ...]], site: Site) -> list[tuple[Grounds, str]]:
    """Store verdicts and grounds, two of each verdict; return each with its key."""
    chance = random.Random(7)  # noqa: S311 - made-up rows
    every = []
    for number in range(VERDICTS):
        fingerprint, policy = f"{number % IMAGES:064x}", "sha256:" + "a" * 64
        digest = f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}"
        named = {f"CVE-2021-{chance.randrange(_CVES_KNOWN):05d}" for _ in range(_CVES_EACH)}
        named |= {"CVE-2020-10000"} if number % 10 else set()
        named |= {"CVE-2020-10002"} if number % 20 == 0 else set()
        named |= {"CVE-2020-10003"} if number == VERDICTS // 2 else set()
        connection.execute(
            "INSERT INTO verdicts (digest, fingerprint, generation, state, cves, size, body, made_at)"
            " VALUES (%s, %s, 'g', 'known', %s, 1, '', %s)",
            (digest, fingerprint, sorted(named), site.start),
        )
        every += [
            Grounds(fingerprint, digest, policy, (), ()),
            Grounds(fingerprint, digest, policy, tuple(chance.sample(_RULES, 2)), tuple(sorted(named)[:3])),
        ]
    every.append(Grounds("f" * 64, "", "sha256:" + "a" * 64, (RARE_RULE,), ()))
    connection.cursor().executemany(
        "INSERT INTO launch_grounds VALUES (%s, %s, %s, %s, %s, %s, '2000-01-01', '2100-01-01', '2000-01-01')",
        [
            (each.key, each.fingerprint, each.verdict, each.policy, list(each.rules), list(each.cves))
            for each in every
        ],
    )
    return [(each, str(each.key)) for each in every]


def _copy(
    connection: psycopg.Connection[tuple[object, ...]],
    site: Site,
    images: list[tuple[str, UUID]],
    grounds: list[tuple[Grounds, str]],
) -> None:
    """Copy rows and bodies, block by block: COPY of one table ends before that of the other begins."""
    templates = {ground.key: _template(ground) for ground, _ in grounds}
    for first in range(0, site.records, _BLOCK):
        rows, bodies = [], []
        for row, body in _rows(
            site, range(first, min(first + _BLOCK, site.records)), images, grounds, templates
        ):
            rows.append(row)
            bodies.append(body)
        for table, lines in (("launches", rows), ("launch_bodies", bodies)):
            with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                copy.write("\n".join((*lines, "")))


def _rows(
    site: Site,
    numbers: range,
    images: list[tuple[str, UUID]],
    grounds: list[tuple[Grounds, str]],
    templates: dict[UUID, str],
) -> Iterator[tuple[str, str]]:
    """Yield the lines of COPY for each number: row and body."""
    chance = random.Random(numbers.start)  # noqa: S311 - made-up rows
    count, step = len(numbers), timedelta(days=DAYS) / site.records
    actions = chance.choices(_ACTIONS, _ACTION_SHARES, k=count)
    outcomes = chance.choices(_OUTCOMES, _OUTCOME_SHARES, k=count)
    doors = chance.choices(_DOORS, _DOOR_SHARES, k=count)
    for place, number in enumerate(numbers):
        at = (site.start + step * number).astimezone(timezone.utc).isoformat(timespec="milliseconds")
        user = int(USERS * chance.random() ** 4)  # the first of them launches most
        path, image = images[int(IMAGES * chance.random() ** 3)]
        ground, key = _ground(number, site, chance, grounds)
        identifier = f"{number:026x}"
        words = (
            f"u{user}",
            user,
            number // LAUNCHES_PER_JOB,
            f"acct{user % ACCOUNTS}",
            f"n{number * 7 % NODES}",
        )
        told = (doors[place], actions[place], outcomes[place])
        body = templates[ground.key] % (identifier, at, words[4], *told, path, words[0], words[2], words[3])
        yield "\t".join(map(str, (identifier, at, *words, *told, image, key))), f"{identifier}\t{at}\t{body}"


def _ground(
    number: int, site: Site, chance: random.Random, grounds: list[tuple[Grounds, str]]
) -> tuple[Grounds, str]:
    """Return what a launch rested on: verdicts come into use and go out of it with the months."""
    if number % (site.records // 50 or 1) == 1:
        return grounds[-1]
    middle = VERDICTS * number // site.records
    verdict = (middle + int(VERDICTS / 5 * chance.random() ** 3)) % VERDICTS
    return grounds[2 * verdict + (chance.random() < 0.4)]  # noqa: PLR2004 - so many have reasons


def _template(ground: Grounds) -> str:
    """Return a record's JSON with places for what differs; some 900 bytes, without backslashes."""
    reasons = tuple(
        ReasonLine(
            rule,
            "warn",
            f"{len(ground.cves)} vulnerabilities with a fix",
            3,
            tuple(f"{cve} openssl 1.1.1n-0+deb11u3" for cve in ground.cves),
        )
        for rule in ground.rules
    )
    record = AuditRecord(
        id="@", time="@", node="@", door="@", action="@", outcome="@", reference="7QX4-19", mode="enforce",
        reasons=reasons, image="@", fingerprint=ground.fingerprint, verdict=ground.verdict,
        generation="2026-01-01T00:00:00Z-1234", policy=ground.policy, uid=10000, gid=10000, user="@",
        groups=("users", "project"), trusted=True, job=987654321, step=0, step_node="n1", partition="batch",
        account="@", cwd="/scratch/project/run-000123", argv_sha256="c" * 64,
        argv=("apptainer", "exec", "--nv", "image.sif", "python3", "train.py", "--epochs", "20"),
    )  # fmt: skip
    text = msgspec.json.encode(record).decode().replace("%", "%%").replace("987654321", "%s")
    return text.replace('"@"', '"%s"')
