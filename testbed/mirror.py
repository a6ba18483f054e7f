# SPDX-License-Identifier: Apache-2.0
"""Where the host's apt fetches Debian from; read at run time, so that no registry's name stands in this repository.

Both formats of apt are read: one-line `.list` files and deb822 `.sources` files.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed.packages import find_program

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""Of the Debian package `debian-archive-keyring`; what debootstrap checks signatures with."""
SUITES = re.compile(
    r"^(bullseye|bookworm|trixie|forky|sid|oldoldstable|oldstable|stable|testing|unstable)(-updates)?$"
)
"""Suites that only Debian's main archive has; security archives and other projects' are not mirrors of it."""


@dataclass(frozen=True)
class Source:
    """One archive in apt's words."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def debian_mirror(apt: Path = Path("/etc/apt")) -> str:
    """Return the URI of the Debian archive that the host uses, or "" (debootstrap then takes its own default)."""
    for source in host_sources(apt):
        if "main" in source.components and any(SUITES.match(suite) for suite in source.suites):
            return source.uri
    return ""


def host_sources(apt: Path) -> Iterator[Source]:
    """Yield every enabled binary archive of an apt configuration directory, in apt's order."""
    if (apt / "sources.list").is_file():
        yield from parse_one_line((apt / "sources.list").read_text(errors="replace"))
    for path in sorted((apt / "sources.list.d").glob("*")):
        if path.suffix == ".list":
            yield from parse_one_line(path.read_text(errors="replace"))
        elif path.suffix == ".sources":
            yield from parse_deb822(path.read_text(errors="replace"))


def parse_one_line(text: str) -> Iterator[Source]:
    """Yield the sources of a `.list` file: `deb [options] URI SUITE COMPONENT…` (sources.list(5))."""
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", " ", line.partition("#")[0]).split()
        if len(words) > 3 and words[0] == "deb":  # noqa: PLR2004 - deb, URI, suite and at least one component
            yield from _usable(words[1], (words[2],), tuple(words[3:]))


def parse_deb822(text: str) -> Iterator[Source]:
    """Yield the sources of a `.sources` file: stanzas of `Key: value`, continued by indented lines."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        for key, value in re.findall(r"^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE):
            fields[key.lower()] = value
        if (
            "deb" not in fields.get("types", "").split()
            or fields.get("enabled", "yes").strip().lower() == "no"
        ):
            continue
        for uri in fields.get("uris", "").split():
            yield from _usable(
                uri, tuple(fields.get("suites", "").split()), tuple(fields.get("components", "").split())
            )


def _usable(uri: str, suites: tuple[str, ...], components: tuple[str, ...]) -> Iterator[Source]:
    """Yield the source if debootstrap understands its URI; a `mirror+file:` list stands for its first entry."""
    if uri.startswith("mirror+file:"):
        listing = Path(uri.removeprefix("mirror+file:"))
        entries = listing.read_text().split() if listing.is_file() else []
        uri = entries[0] if entries else ""
    if uri.startswith(("http://", "https://", "file:/")):
        yield Source(uri.rstrip("/"), suites, components)


def proxy_environment() -> dict[str, str]:
    """Return the proxies of the host's apt as variables that debootstrap's downloader reads."""
    program = find_program("apt-config")
    if program is None:
        return {}
    done = subprocess.run(
        [program, "shell", "http_proxy", "Acquire::http::Proxy", "https_proxy", "Acquire::https::Proxy"],
        capture_output=True,
        text=True,
        check=False,
    )
    return dict(re.findall(r"^(https?_proxy)='([^']+)'$", done.stdout, re.MULTILINE))
