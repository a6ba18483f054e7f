# SPDX-License-Identifier: Apache-2.0
"""What `python -m sifgate.server.main` is told on its command line."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from sifgate.errors import ConfigError

_MOST_PORT = 65535


class Settings(msgspec.Struct, frozen=True):
    """The command line as values."""

    host: str
    port: int
    database: str
    clair_url: str
    clair_psk_file: Path | None
    clair_ca: Path | None
    clair_version: str
    tls_cert: Path
    tls_key: Path
    tokens_file: Path
    manifest_key_file: Path
    heads_key_file: Path
    """Ed25519 key that heads are countersigned with; made at the first start where it is missing."""
    state: Path
    feeds: Path | None
    package_support: Path | None
    """Directory of Debian's tables of packages whose support ended early; None: looked for in `feeds`."""
    layer_url: str
    """Under which Clair reaches this server; empty: where it listens."""
    workers: int
    poll_seconds: float
    largest_layer: int
    check_uid: int | None


def parse(arguments: list[str]) -> Settings:
    """Return the settings; exits with status 2 on a usage error; raises ConfigError for a bad address."""
    given = _parser().parse_args(arguments)
    host, colon, port = given.listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > _MOST_PORT:
        raise ConfigError(f"--listen {given.listen}: is not HOST:PORT")
    if not given.clair.startswith(("https://", "http://")):
        raise ConfigError(f"--clair {given.clair}: is not an http or https address")
    return Settings(
        host=host.strip("[]"),
        port=int(port),
        database=given.database,
        clair_url=given.clair,
        clair_psk_file=given.clair_psk_file,
        clair_ca=given.clair_ca,
        clair_version=given.clair_version,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        tokens_file=given.tokens_file,
        manifest_key_file=given.manifest_key_file,
        heads_key_file=given.heads_key_file or given.state / "heads.key",
        state=given.state,
        feeds=given.feeds,
        package_support=given.package_support,
        layer_url=given.layer_url,
        workers=max(given.workers, 1),
        poll_seconds=given.poll,
        largest_layer=given.largest_layer << 20,
        check_uid=given.check_uid,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sifgate-server", description="slim layers in, verdicts out")
    add = parser.add_argument
    add("--listen", required=True, metavar="HOST:PORT", help="HTTPS address; port 0 takes a free one")
    add("--database", required=True, metavar="DSN", help="libpq connection string of the database `sifgate`")
    add("--clair", required=True, metavar="URL", help="Clair v4's address")
    add("--clair-psk-file", type=Path, metavar="F", help="file with Clair's auth.psk.key (base64)")
    add("--clair-ca", type=Path, metavar="F", help="file with the only certificates believed of Clair")
    add(
        "--clair-version", default="", metavar="V", help="recorded in verdicts; Clair itself does not tell it"
    )
    add("--tls-cert", required=True, type=Path, metavar="F")
    add("--tls-key", required=True, type=Path, metavar="F")
    add("--tokens-file", required=True, type=Path, metavar="F", help="lines `name role sha256-of-token`")
    add(
        "--manifest-key-file",
        required=True,
        type=Path,
        metavar="F",
        help="secret bytes, the same at all servers",
    )
    add(
        "--heads-key-file",
        type=Path,
        metavar="F",
        help="Ed25519 key in PEM, the same at all servers; made if missing (default: heads.key in --state)",
    )
    add(
        "--state",
        required=True,
        type=Path,
        metavar="DIR",
        help="large layers until they are indexed; uploads",
    )
    _add_feeds(parser)
    add(
        "--layer-url",
        default="",
        metavar="URL",
        help="address of this server as Clair sees it (default: --listen)",
    )
    add("--workers", type=int, default=4, metavar="N", help="scans at once (default %(default)s)")
    add(
        "--poll",
        type=float,
        default=15.0,
        metavar="S",
        help="seconds between looks for new advisories (default %(default)s)",
    )
    add("--largest-layer", type=int, default=2048, metavar="MIB", help="default %(default)s")
    add("--check-uid", type=int, default=None, metavar="UID", help="uid of the sandboxed check (root only)")
    return parser


def _add_feeds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--feeds",
        type=Path,
        metavar="DIR",
        help="kev.json, epss.csv, debian.csv, ubuntu.csv, each plain or .gz",
    )
    parser.add_argument(
        "--package-support",
        type=Path,
        metavar="DIR",
        help="Debian's tables of packages whose support ended early, e.g. /usr/share/debian-security-support",
    )
