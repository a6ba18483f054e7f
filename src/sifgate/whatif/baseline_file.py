# SPDX-License-Identifier: Apache-2.0
"""A baseline as the text of exception files, each within the bounds of its reader."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

import msgspec

from sifgate import yamlfile
from sifgate.policy.conditions.package import MANAGERS
from sifgate.whatif.baseline import ANYWHERE, Baseline, Where, literal

REASON = "baseline"
PART = 500
"""Vulnerabilities of one exception at most; a reader takes 1,000."""
MOST_VALUES = yamlfile.MAX_VALUES - 100
MOST_BYTES = yamlfile.MAX_BYTES - 4096
INDENTED = 10
"""Bytes that a value has more at most as a line of YAML than in JSON."""


class Terms(NamedTuple):
    """What every exception of a baseline has in common."""

    author: str
    created: date
    expires: date
    prefix: str
    """Of the ids."""
    approved_by: str = ""
    ticket: str = ""


def entries(found: Baseline, terms: Terms) -> Iterator[dict[str, object]]:
    """Yield the exceptions as their file holds them: packages with the same images share none, images are named."""
    by_images: defaultdict[tuple[tuple[str, str], tuple[Where, ...]], list[str]] = defaultdict(list)
    for violation, images_of in found.violations.items():
        where = () if ANYWHERE in images_of else tuple(sorted(images_of))
        by_images[(violation.package, violation.manager), where].append(violation.vulnerability)
    number = 0
    for (package, images), vulnerabilities in sorted(by_images.items()):
        ordered = sorted(vulnerabilities)
        for start in range(0, len(ordered), PART):
            number += 1
            yield _entry(terms, number, package, ordered[start : start + PART], images)


def _entry(
    terms: Terms,
    number: int,
    package: tuple[str, str],
    vulnerabilities: list[str],
    images: tuple[Where, ...],
) -> dict[str, object]:
    name, manager = package
    entry: dict[str, object] = {
        "id": f"{terms.prefix}-{number:04d}",
        "vulnerability": vulnerabilities,
        "package": {"name": literal(name), **({"manager": manager} if manager in MANAGERS else {})},
    }
    if images:
        entry["scope"] = _scope(images)
    entry |= {"reason": REASON, "author": terms.author}
    entry |= {key: value for key in ("approved_by", "ticket") if (value := getattr(terms, key))}
    return {**entry, "created": _fresh(terms.created), "expires": _fresh(terms.expires)}


def _scope(images: tuple[Where, ...]) -> dict[str, list[str]]:
    """Return the scope of images: by digest where all are known, otherwise by path."""
    if all(image.digest for image in images):
        return {"image_digest": sorted({image.digest for image in images})}
    return {"path": sorted({literal(image.path) for image in images if image.path})}


def _fresh(day: date) -> date:
    """Return an equal date: a writer of YAML makes an alias of one that stands twice."""
    return date.fromisoformat(day.isoformat())


def files(exceptions: Iterable[dict[str, object]]) -> list[list[dict[str, object]]]:
    """Return the exceptions in as many files as they need: a reader bounds the values and bytes of each."""
    parts: list[list[dict[str, object]]] = []
    values = size = 0
    for entry in exceptions:
        more = _values(entry)
        bytes_more = len(msgspec.json.encode(entry)) + INDENTED * more
        if not parts or values + more > MOST_VALUES or size + bytes_more > MOST_BYTES:
            parts.append([])
            values = size = 0
        parts[-1].append(entry)
        values += more
        size += bytes_more
    return parts


def _values(value: object) -> int:
    """Return how many values a reader counts."""
    if isinstance(value, dict):
        return 1 + sum(1 + _values(inner) for inner in value.values())
    return 1 + sum(map(_values, value)) if isinstance(value, list) else 1
