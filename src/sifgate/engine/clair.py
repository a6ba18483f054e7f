# SPDX-License-Identifier: Apache-2.0
"""A Clair of ours: its configuration, its command line, and whether it answers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import psycopg.conninfo

from sifgate.clair import token
from sifgate.clair.exchange import Address, Exchange
from sifgate.engine import advisories, keys, postgres
from sifgate.engine.accounts import Account
from sifgate.engine.layout import Layout
from sifgate.engine.settings import EngineSettings
from sifgate.errors import ClairUnavailable

NOWHERE = "192.0.2.1:9"
"""Clair's introspection server cannot be switched off, has no password and shows its heap (so our key) to every local
user. Given an address that this machine does not have (TEST-NET-1, RFC 5737) it logs a warning and stays away."""
_PASSED = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_INDEX_STATE = "/indexer/api/v1/index_state"
_LOCAL = "127.0.0.1,localhost"


def configuration(
    layout: Layout, settings: EngineSettings, *, port: int, mirror_url: str, directories: Iterable[Path]
) -> dict[str, Any]:
    """Return Clair's configuration as plain data."""
    source = settings.advisories
    nothing = str(layout.clair / "no-mapping.json")
    repo2cpe = settings.clair.repo2cpe_file or ("" if source.source == "online" else nothing)
    repository = {"repo2cpe_mapping_file": repo2cpe} if repo2cpe else {}
    containers = {} if source.source == "online" else {"name2repos_mapping_file": nothing}
    matcher = {
        "connstring": dsn(layout, settings, "clair_matcher"),
        "migrations": True,
        "period": f"{int(source.period_hours * 3600)}s",
        "update_retention": 2,
        "disable_updaters": source.source == "bundle",
    }
    return {
        "http_listen_addr": f"127.0.0.1:{port}",
        "introspection_addr": NOWHERE,
        "log_level": "info",
        "tls": {
            "cert": str(keys.certificate_file(layout, "clair")),
            "key": str(keys.key_file(layout, "clair")),
        },
        "indexer": {
            "connstring": dsn(layout, settings, "clair_indexer"),
            "migrations": True,
            "airgap": source.source != "online",
            "index_report_request_concurrency": 64,
            "scanner": {
                "package": {"java": {"disable_api": True}, "rhel_containerscanner": containers},
                "repo": {"rhel-repository-scanner": repository},
            },
        },
        "matcher": matcher,
        "notifier": {"connstring": dsn(layout, settings, "clair_notifier"), "migrations": True},
        "updaters": advisories.updaters(source, mirror_url, directories),
        "auth": {"psk": {"key": psk(layout), "iss": [token.ISSUER]}},
    }


def configure(
    layout: Layout,
    settings: EngineSettings,
    owner: Account,
    *,
    port: int,
    mirror_url: str,
    directories: Iterable[Path],
) -> dict[str, Any]:
    """Write the configuration where only Clair can read it; return it."""
    content = configuration(layout, settings, port=port, mirror_url=mirror_url, directories=directories)
    keys.write(layout.clair / "no-mapping.json", b'{"data":{}}\n', owner)
    keys.write(configuration_file(layout), msgspec.json.format(msgspec.json.encode(content)), owner)
    return content


def configuration_file(layout: Layout) -> Path:
    """Return where Clair's configuration is (it holds the key: 0600)."""
    return layout.clair / "clair.json"


def environment(layout: Layout, settings: EngineSettings) -> dict[str, str]:
    """Return the whole environment of Clair: temporary files, trust and a memory limit of our choice."""
    limit = settings.clair.memory_mb * 2 // 3  # the collector works harder from here; the rest is for peaks
    values = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(layout.clair),
        "TMPDIR": str(layout.clair / "tmp"),
        "CLAIR_CONF": str(configuration_file(layout)),
        "CLAIR_MODE": "combo",
        "SSL_CERT_FILE": str(layout.certificates / "roots.pem"),
        "GOMEMLIMIT": f"{limit}MiB",
        "NO_PROXY": _LOCAL,
        "no_proxy": _LOCAL,
    }
    if settings.advisories.source in {"online", "mirror"}:
        values |= {name: os.environ[name] for name in _PASSED if name in os.environ}
    return values


def dsn(layout: Layout, settings: EngineSettings, database: str) -> str:
    """Return the connection string of one of Clair's databases: ours, or beside the site's own."""
    if settings.database.dsn:
        return psycopg.conninfo.make_conninfo(settings.database.dsn, dbname=database)
    return postgres.connection(layout, database, postgres.DATABASES[database])


def psk(layout: Layout) -> str:
    """Return the key as Clair's configuration wants it: base64 text."""
    return (layout.secrets("agent") / "psk").read_text().strip()


def address(layout: Layout, url: str) -> Address:
    """Return how our Clair is reached and known: by its key and by exactly its certificate."""
    return Address(
        url=url,
        key=token.read_key(layout.secrets("agent") / "psk"),
        certificates=str(keys.certificate_file(layout, "clair")),
    )


def is_ready(layout: Layout, port: int) -> bool:
    """Return whether our Clair answers on that port: with its own certificate, to our key."""
    try:
        answer = Exchange(address(layout, f"https://127.0.0.1:{port}")).send("GET", _INDEX_STATE, seconds=5.0)
    except ClairUnavailable:
        return False
    return answer.status == HTTPStatus.OK
