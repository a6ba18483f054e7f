# SPDX-License-Identifier: Apache-2.0
"""Fields of a record as they were before they were escaped and cut for people, so that a replay reads what was judged.

Percent-encoded bytes, and only of fields that the policy may read and that escaping changed: a record of ordinary
words has none.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote_from_bytes, unquote_to_bytes

LIMIT = 8192
"""Bytes of one value that are kept: twice the longest path that Linux opens. A longer one is left out, and a replay
says so."""
_SAFE = "/ :@+=~!$&'()*;?[]^{}|<>#\\`"


class Keeper:
    """Escapes the fields of one record, and keeps those that it changed."""

    __slots__ = ("changed", "show")

    def __init__(self, escape: Callable[[str], str]) -> None:
        self.show = escape
        """Escapes a text that nobody judges by."""
        self.changed: dict[str, str] = {}

    def __call__(self, name: str, text: str) -> str:
        """Return `text` as the record shows it."""
        shown = self.show(text)
        if shown is not text:
            self._keep(name, quoted(text))
        return shown

    def all(self, name: str, texts: tuple[str, ...]) -> tuple[str, ...]:
        """Return several texts as the record shows them."""
        shown = tuple(map(self.show, texts))
        if shown != texts:
            self._keep(name, ",".join(map(quoted, texts)))
        return shown

    def _keep(self, name: str, value: str) -> None:
        self.changed[name] = value if len(value) <= 3 * LIMIT else TOO_LONG


class Unchanged(Keeper):
    """The keeper of records in which there is nothing to escape: fields pass through."""

    def __call__(self, name: str, text: str) -> str:
        """Return `text`."""
        del name
        return text

    def all(self, name: str, texts: tuple[str, ...]) -> tuple[str, ...]:
        """Return `texts`."""
        del name
        return texts


TOO_LONG = "%"
"""Stands for a value that was longer than `LIMIT`: not a valid encoding of anything."""


def quoted(text: str) -> str:
    """Return the bytes of `text` (surrogate escapes included), percent-encoded."""
    return quote_from_bytes(text.encode("utf-8", "surrogateescape"), safe=_SAFE)


def text_of(raw: dict[str, str], name: str, shown: str) -> str:
    """Return a field as it was judged; raises ValueError where it was too long to be kept."""
    value = raw.get(name)
    return shown if value is None else _unquoted(name, value)


def texts_of(raw: dict[str, str], name: str, shown: tuple[str, ...]) -> tuple[str, ...]:
    """Return a field of several texts as it was judged; raises ValueError where it was too long to be kept."""
    value = raw.get(name)
    return shown if value is None else tuple(_unquoted(name, part) for part in value.split(","))


def _unquoted(name: str, value: str) -> str:
    if value == TOO_LONG:
        raise ValueError(f"{name} was longer than {LIMIT} bytes, which a record does not keep")
    return unquote_to_bytes(value).decode("utf-8", "surrogateescape")
