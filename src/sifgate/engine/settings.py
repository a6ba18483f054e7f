# SPDX-License-Identifier: Apache-2.0
"""The section `engine` of `sifgate.yaml`: what the site brings itself, and where advisories come from."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from sifgate import fsguard
from sifgate.config import Places, load_settings
from sifgate.errors import ConfigError

ALL_SETS = ("alpine", "aws", "clair.cvss", "debian", "oracle", "osv", "photon", "rhel-vex", "suse", "ubuntu")
"""Clair's updater sets; it ignores unknown names silently, so they are checked here."""


_WEB = ("https://", "http://")
_LEAST_MB = 256


class Advisories(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where Clair's advisories come from."""

    source: Literal["builtin", "online", "mirror", "bundle"] = "builtin"
    """Shipped with sifgate · Clair's own updaters · a web server in the layout of docs/operations.md · a file made by
    `clairctl export-updaters`."""
    url: str = ""
    """Of the mirror."""
    path: str = ""
    """Of the bundle."""
    sets: tuple[str, ...] = ()
    """Updater sets for `online` (default: all) and `mirror` (default: debian, osv)."""
    period_hours: float = 6.0
    """How often Clair's updaters look for something new."""


class OwnClair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Clair that the site runs (`url`), or limits for ours."""

    url: str = ""
    psk_file: str = ""
    ca_file: str = ""
    memory_mb: int = 3072
    """Ours is restarted when it needs more."""
    repo2cpe_file: str = ""
    """Red Hat's repository-to-cpe.json; without it an offline Clair of ours matches nothing for RHEL."""


class OwnDatabase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A PostgreSQL that the site runs; empty: ours. A Clair of ours keeps its databases there too."""

    dsn: str = ""


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `engine`."""

    clair: OwnClair = OwnClair()
    database: OwnDatabase = OwnDatabase()
    advisories: Advisories = Advisories()
    package_support: str = ""
    """Directory of the site's `debian-security-support`, e.g. `/usr/share/debian-security-support`; empty: no table."""


def load(places: Places) -> EngineSettings:
    """Return the engine's settings from `<etc>/sifgate.yaml`; refuses a file that others could have written."""
    file = places.etc / "sifgate.yaml"
    if not os.path.lexists(file):
        return EngineSettings()
    fsguard.check(file, owner_uid=os.geteuid())
    return parse(load_settings(file).engine, str(file))


def parse(section: dict[str, Any], name: str) -> EngineSettings:
    """Return the settings in an `engine` section, or raise `ConfigError` naming the key and the nearest valid one.

    `advisories` may be a word (`builtin`, `online`) or a mapping.
    """
    plain = dict(section)
    if isinstance(plain.get("advisories"), str):
        plain["advisories"] = {"source": plain["advisories"]}
    try:
        settings = msgspec.convert(plain, EngineSettings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: engine: {error}", hint=_nearest(str(error))) from error
    _check(settings, name)
    return settings


def _check(settings: EngineSettings, name: str) -> None:
    advisories, clair = settings.advisories, settings.clair
    unknown = [word for word in advisories.sets if word not in ALL_SETS]
    faults = [
        (advisories.source == "mirror" and not advisories.url, "advisories.url: a mirror needs its URL"),
        (bool(advisories.url) and not advisories.url.startswith(_WEB), "advisories.url: not an http(s) URL"),
        (advisories.source == "bundle" and not Path(advisories.path).is_absolute(),
         "advisories.path: a bundle needs its absolute path"),
        (bool(unknown), f"advisories.sets: unknown {', '.join(unknown)}; known: {', '.join(ALL_SETS)}"),
        (advisories.period_hours <= 0, "advisories.period_hours: must be above 0"),
        (bool(clair.url) and not clair.url.startswith(_WEB), "clair.url: not an http(s) URL"),
        (bool(clair.url) and not clair.psk_file, "clair.psk_file: your Clair needs the file with its auth.psk.key"),
        (clair.memory_mb < _LEAST_MB, f"clair.memory_mb: at least {_LEAST_MB}"),
        (bool(settings.package_support) and not Path(settings.package_support).is_absolute(),
         "package_support: not an absolute path"),
        (_has_password(settings.database.dsn), "database.dsn: all users would see the password; use passfile="),
    ]  # fmt: skip
    for wrong, text in faults:
        if wrong:
            raise ConfigError(
                f"{name}: engine.{text}", hint="docs/operations.md lists the settings of the engine"
            )


def _has_password(dsn: str) -> bool:
    if not dsn:
        return False
    import psycopg.conninfo

    try:
        return "password" in psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            f"engine.database.dsn: {error}", hint="key=value pairs, or postgresql://…"
        ) from error


def _nearest(text: str) -> str:
    """Return a hint with the valid key nearest to the unknown one in msgspec's message."""
    word = text.split("`")[1] if text.count("`") > 1 else ""
    kinds = (EngineSettings, Advisories, OwnClair, OwnDatabase)
    near = difflib.get_close_matches(word, [field for kind in kinds for field in kind.__struct_fields__], n=1)
    return f"did you mean {near[0]!r}?" if near else "docs/operations.md lists the settings of the engine"
