# SPDX-License-Identifier: Apache-2.0
"""Servers for tests: `site` talks to the real Clair, `faulty` to a fake one that does what the test wants."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from tests.fakes import clair as fakes
from tests.integration.conftest import RunningEngine
from tests.integration.server.site import Files, Site, own_schema, write_tokens


def files(engine: RunningEngine, dsn: str, state: Path) -> Files:
    """Return what a server at the engine's Clair is given."""
    return Files(
        dsn=dsn,
        clair_url=engine.clair_url,
        tls_cert=engine.tls_cert,
        tls_key=own_copy(engine.tls_key, state),
        manifest_key=key_file(state),
        state=state,
        tokens=write_tokens(state / "tokens"),
        psk=own_copy(engine.psk_file, state),
        clair_ca=engine.ca_file,
        feeds=engine.feeds,
    )


def own_copy(secret: Path, state: Path) -> Path:
    """Copy a secret that belongs to the engine's uid: a server refuses files of others, as it must."""
    path = state / secret.name
    path.write_bytes(secret.read_bytes())
    path.chmod(0o600)
    return path


def key_file(state: Path) -> Path:
    """Write a manifest key of this test alone: what Clair knows from other tests is not known under it."""
    path = state / "manifest.key"
    path.write_bytes(secrets.token_bytes(32))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def site(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server at the real Clair, for the tests of one file."""
    with own_schema(engine.dsn) as dsn:
        server = Site(files(engine, dsn, tmp_path_factory.mktemp("site")))
        try:
            yield server
        finally:
            assert server.end() == 0


class Faulty(msgspec.Struct, frozen=True):
    """A fake Clair, and servers that talk to it."""

    clair: fakes.FakeClair
    files: Files
    start: Callable[..., Site]


@pytest.fixture
def faulty(engine: RunningEngine, tmp_path: Path) -> Iterator[Faulty]:
    """A fake Clair and as many servers beside it as the test starts, all on one database."""
    with ExitStack() as stack:
        dsn = stack.enter_context(own_schema(engine.dsn))
        fake = stack.enter_context(fakes.running())
        fake.certificate = str(engine.tls_cert)
        given = msgspec.structs.replace(files(engine, dsn, tmp_path), clair_url=fake.url, clair_ca=None)

        def start(*more: str) -> Site:
            server = Site(given, *more)
            stack.callback(server.kill)
            return server

        yield Faulty(clair=fake, files=given, start=start)
