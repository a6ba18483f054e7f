# SPDX-License-Identifier: Apache-2.0
"""Refuses an exception that names neither vulnerabilities nor a package: it would mean everything."""

from __future__ import annotations

import re

from sifgate.yamlnode import Node

NAMING = ("name", "source", "purl")
"""Keys of `package` that name one; a manager, an ecosystem or a path alone does not."""
MIN_LETTERS = 2
_WILD = re.compile(r"\[[^\]]*\]?|[*?]")


def refuse_everything(exception: Node, package: Node | None) -> None:
    """Raise unless `package`, as written, names packages by more than patterns that fit any name."""
    if package is None:
        raise exception.error("it names neither a vulnerability nor a package: it would except everything")
    fields = package.mapping() if package.is_mapping else {"name": package}
    named = [fields[key] for key in NAMING if key in fields]
    if not named:
        raise package.error(
            "without a vulnerability, the package must be named: " + ", ".join(f'"{key}"' for key in NAMING)
        )
    if not any(all(_is_name(node.text()) for node in _each(value)) for value in named):
        raise package.error("without a vulnerability, the package must be named, not only a pattern")


def _each(value: Node) -> tuple[Node, ...]:
    return value.sequence(minimum=1) if value.is_sequence else (value,)


def _is_name(pattern: str) -> bool:
    """Return whether a pattern says more than that there is a name; of a package URL its last part counts."""
    if pattern.lower().startswith("pkg:"):
        path = re.split("[?#]", pattern, maxsplit=1)[0]
        kind, slash, name = path.rpartition("/")
        pattern = name.partition("@")[0] if slash and kind else ""
    return len(_WILD.sub("", pattern)) >= MIN_LETTERS
