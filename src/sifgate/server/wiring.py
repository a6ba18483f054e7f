# SPDX-License-Identifier: Apache-2.0
"""Composition root of the server: settings → parts that know each other."""

from __future__ import annotations

import os
import threading
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import structlog

from sifgate import fsguard
from sifgate.clair import token
from sifgate.clair.api import Clair
from sifgate.clair.exchange import Address, Exchange
from sifgate.clair.retry import Patience
from sifgate.errors import ConfigError, StoreError
from sifgate.server.access import Access, read_tokens
from sifgate.server.advisories import AdvisoryWatch
from sifgate.server.feedfiles import FeedPlaces
from sifgate.server.handout import Handout
from sifgate.server.intake import Intake
from sifgate.server.scanner import Scanner
from sifgate.server.services import Services
from sifgate.server.settings import Settings
from sifgate.server.signing import Signer, load_signer
from sifgate.server.waiting import Bells, listen
from sifgate.server.workers import MOST_DEATHS, REST_SECONDS, Workers
from sifgate.store import heads, scans, schema, steps
from sifgate.store.database import Database
from sifgate.store.launches import Launches
from sifgate.store.layers import Layers

_LOG = structlog.get_logger(__name__)
_LEAST_KEY = 16
_CHECKS_AT_ONCE = 2
_STEPS_KEPT_DAYS = 30
_STOP_SECONDS = 5.0


class Server(msgspec.Struct, frozen=True):
    """Everything that runs in a server process."""

    services: Services
    workers: Workers
    threads: tuple[threading.Thread, ...]
    stop: threading.Event

    def start(self) -> None:
        """Start listening, watching and scanning."""
        self.workers.start()
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        """Stop the threads, give unfinished scans back, close the database."""
        self.stop.set()
        self.workers.stop(_STOP_SECONDS)
        self.services.database.close()


def wire(settings: Settings, base_url: str) -> Server:
    """Return the parts, none of them started; raises ConfigError, StoreError.

    `base_url` is where Clair fetches layers, unless the settings say otherwise.
    """
    address, manifest_key, access = _secrets(settings)
    stop = threading.Event()
    clair = Clair(Exchange(address), Patience(), stop)
    database = _database(settings)
    layers = Layers(database, settings.state / "layers")
    layers.prepare()
    launches = Launches(database)
    launches.prepare(datetime.now(timezone.utc))
    handout = Handout(settings.layer_url or base_url)
    scanner = Scanner(clair, layers, handout, manifest_key=manifest_key, clair_version=settings.clair_version)
    places = FeedPlaces(feeds=settings.feeds, packages=settings.package_support)
    watch = AdvisoryWatch(clair, places, lambda: _clair_is_back(database))
    workers = Workers(database, scanner, watch, number=settings.workers)
    bells = Bells()
    intake = Intake(
        database,
        layers,
        largest=settings.largest_layer,
        checks_at_once=_CHECKS_AT_ONCE,
        check_uid=settings.check_uid,
        spool=settings.state / "layers",
    )
    services = Services(
        database=database,
        access=access,
        intake=intake,
        handout=handout,
        bells=bells,
        watch=watch,
        clair=address,
        clair_version=settings.clair_version,
        launches=launches,
        signer=_signer(settings.heads_key_file, database),
    )
    threads = (
        threading.Thread(
            target=watch.watch,
            args=(stop,),
            kwargs={"seconds": settings.poll_seconds},
            name="watch",
            daemon=True,
        ),
        threading.Thread(
            target=listen, args=(database, bells, workers.wake, stop), name="listen", daemon=True
        ),
    )
    return Server(services=services, workers=workers, threads=threads, stop=stop)


def _secrets(settings: Settings) -> tuple[Address, bytes, Access]:
    """Return what the secret files hold; each is refused if somebody else could have written it."""
    files = [settings.tokens_file, settings.manifest_key_file, settings.tls_cert, settings.tls_key]
    for path in [*files, *(file for file in (settings.clair_psk_file, settings.clair_ca) if file)]:
        if not path.is_file():
            raise ConfigError(f"{path}: is not a file that can be read")
        fsguard.check(path, owner_uid=os.geteuid())
    address = Address(
        url=settings.clair_url,
        key=token.read_key(settings.clair_psk_file) if settings.clair_psk_file else b"",
        certificates=str(settings.clair_ca or ""),
    )
    return address, _manifest_key(settings.manifest_key_file), Access(read_tokens(settings.tokens_file))


def _signer(path: Path, database: Database) -> Signer:
    """Return who countersigns heads; his public key is noted, so that what he signed can be checked for good."""
    signer = load_signer(path)
    heads.note_key(database, signer.key, signer.public)
    return signer


def _manifest_key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(key) < _LEAST_KEY:
        raise ConfigError(f"{path}: the key has {len(key)} bytes, at least {_LEAST_KEY} are needed")
    return key


def _database(settings: Settings) -> Database:
    """Return the open database, brought to this version's schema."""
    schema.upgrade(settings.database)
    database = Database(settings.database)
    database.open()
    steps.forget(database, days=_STEPS_KEPT_DAYS)
    return database


def _clair_is_back(database: Database) -> None:
    """Run what waited for Clair, and give rested quarantined images another try."""
    try:
        scans.hurry(database)
        released = scans.release(database, most_deaths=MOST_DEATHS, rested_seconds=REST_SECONDS)
    except StoreError as error:
        _LOG.warning("clair back", error=str(error))
    else:
        _LOG.info("clair back", released=released)
