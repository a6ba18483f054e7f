# SPDX-License-Identifier: Apache-2.0
"""Licences of the locked dependencies, from the metadata of what is installed; keeps the table in THIRD_PARTY.md."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "THIRD_PARTY.md"
LOCKS = {
    "base": "base.txt",
    "server": "server.txt",
    "engine": "engine.txt",
    "dev": "dev.txt",
    "build": "build.txt",
}
"""Extra → its lock file, smallest first: a dependency is listed where it first appears."""
BEGIN, END = "<!-- dependencies: begin -->", "<!-- dependencies: end -->"
CLASSIFIER = "License :: OSI Approved :: "
LONGEST = 60
"""A longer licence field is the licence's text, not its name."""


def normalised(name: str) -> str:
    """Return the one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def rows_of(lock: str) -> list[str]:
    """Return the names in a lock file, one for each row: a name has several if Pythons need several versions."""
    text = (ROOT / "requirements" / lock).read_text()
    return [normalised(name) for name in re.findall(r"^([A-Za-z0-9][\w.-]*)==", text, re.MULTILINE)]


def locked(lock: str) -> tuple[str, ...]:
    """Return the names in a lock file, sorted."""
    return tuple(sorted(set(rows_of(lock))))


def several_versions() -> frozenset[str]:
    """Return the packages whose version, and so perhaps its licence, depends on the Python."""
    rows = rows_of("dev.txt")
    return frozenset(name for name in rows if rows.count(name) > 1)


def licence(name: str) -> str:
    """Return the licence that an installed package states, "" if it is not installed here or states none."""
    try:
        fields = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    for field in ("License-Expression", "License"):
        for value in fields.get_all(field) or []:
            if value and len(value) <= LONGEST and "\n" not in value:
                return str(value)
    classifiers = fields.get_all("Classifier") or []
    return "; ".join(text.removeprefix(CLASSIFIER) for text in classifiers if text.startswith(CLASSIFIER))


def table() -> str:
    """Return the table of all locked dependencies as Markdown, the extra that first needs each beside it."""
    rows, seen = ["| package | licence | needed by |", "|---|---|---|"], set[str]()
    kept = stated()
    for extra, lock in LOCKS.items():
        for name in locked(lock):
            if name not in seen:
                seen.add(name)
                rows.append(f"| {name} | {licence(name) or kept.get(name, 'not installed here')} | {extra} |")
    return "\n".join(rows)


def stated() -> dict[str, str]:
    """Return package → licence as the document says now."""
    text = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    section = text.partition(BEGIN)[2].partition(END)[0]
    return dict(re.findall(r"^\| ([\w.-]+) \| (.+?) \| \w+ \|$", section, re.MULTILINE))


def rewrite() -> None:
    """Put the table into the document, between its two marks."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")
