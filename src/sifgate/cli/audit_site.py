# SPDX-License-Identifier: Apache-2.0
"""`sifgate audit query --site`: the records of all nodes, from the server."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from sifgate.audit.record import AuditRecord
from sifgate.config import Places
from sifgate.errors import ConfigError

FILTERS = (
    "user", "job", "account", "rule", "image", "action", "door", "outcome", "cve", "fingerprint", "since", "until",
    "node",
)  # fmt: skip
"""What the server searches by."""
_ONLY_HERE = ("partition", "state")
_ONLY_THERE = ("until", "node")


def add(query: argparse.ArgumentParser, when: Callable[[str], str]) -> None:
    """Add the options of the search at the server."""
    query.add_argument(
        "--site", action="store_true", help="ask the server for the records of all nodes (needs its token)"
    )
    query.add_argument("--node", metavar="NODE", help="with --site: only records of NODE")
    query.add_argument("--until", type=when, metavar="WHEN", help="with --site: older than WHEN")


def records(arguments: argparse.Namespace, places: Places) -> list[AuditRecord]:
    """Return what matches at the server, newest last; raises ConfigError, ServerUnreachable."""
    from sifgate.cli.site import site_of

    for name in _ONLY_HERE:
        if getattr(arguments, name):
            raise ConfigError(
                f"--{name}: the server's copy is not searched by it",
                hint="without --site it is, on each node",
            )
    filters = {name: str(getattr(arguments, name) or "") for name in FILTERS}
    found = list(site_of(places).launches(filters, limit=arguments.limit))
    found.reverse()
    return found


def check_local(arguments: argparse.Namespace) -> None:
    """Raise ConfigError for options that only the server understands."""
    for name in _ONLY_THERE:
        if getattr(arguments, name, None):
            raise ConfigError(f"--{name} needs --site")
