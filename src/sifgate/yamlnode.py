# SPDX-License-Identifier: Apache-2.0
"""A YAML document as values that know where they stand; pure.

`sifgate.yamlfile` makes these from files. Every typed access either returns a value of that type or raises
the document's error class with `file:line:column: text`, the line itself, and the nearest valid word.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypeVar

from sifgate.errors import SifgateError

EXCERPT_WIDTH = 100
"""Characters of a line shown under an error; a longer line is cut around the place."""

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,6})(ms|s|m|h|d)", re.ASCII)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL = re.compile(r"[-+]?[0-9]{1,15}\.[0-9]{1,15}", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its name and lines for messages, and the class of its errors."""

    name: str
    lines: tuple[str, ...]
    failure: type[SifgateError]

    def error(self, line: int, column: int, text: str, *, hint: str = "") -> SifgateError:
        """Return (not raise) the error for a place; line and column count from 1."""
        excerpt = self._excerpt(line, column)
        return self.failure(f"{self.name}:{line}:{column}: {text}{excerpt}", hint=hint)

    def _excerpt(self, line: int, column: int) -> str:
        if not 1 <= line <= len(self.lines):
            return ""
        source = self.lines[line - 1]
        start = max(0, column - 1 - EXCERPT_WIDTH // 2) if len(source) > EXCERPT_WIDTH else 0
        shown = "".join(c if is_visible(c) else "?" for c in source[start : start + EXCERPT_WIDTH])
        margin = " " * len(str(line))
        return f"\n  {line} | {shown}\n  {margin} | {' ' * (column - 1 - start)}^"


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a document: a mapping, a sequence or a scalar."""

    document: Document = field(repr=False)
    line: int
    column: int
    path: str
    """Where it stands in the structure, e.g. `rules[2].when`; empty for the whole document."""
    content: dict[str, Node] | tuple[Node, ...] | str
    keys: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)
    """Of a mapping: line and column of each key."""
    type_name: str = "text"
    """Of a scalar: `text`, `boolean`, `number`, `date`, `nothing`, as YAML 1.1 reads it."""

    @property
    def is_mapping(self) -> bool:
        """Whether this is a mapping (`key: value`)."""
        return isinstance(self.content, dict)

    @property
    def is_sequence(self) -> bool:
        """Whether this is a sequence (`[a, b]` or lines with `-`)."""
        return isinstance(self.content, tuple)

    def error(self, text: str, *, word: str = "", valid: Iterable[str] = (), hint: str = "") -> SifgateError:
        """Return (not raise) the error for this value; `word` and `valid` add the nearest valid word."""
        where = f"{self.path}: " if self.path else ""
        return self.document.error(self.line, self.column, where + text + nearest(word, valid), hint=hint)

    def expected(self, what: str) -> SifgateError:
        """Return the error that says what was expected and what stands here."""
        return self.error(f"expected {what}, got {self._seen()}")

    def mapping(self, *, keys: Iterable[str] | None = None, required: Iterable[str] = ()) -> dict[str, Node]:
        """Return the values by key; only `keys` are allowed (None: any), `required` must be there."""
        if not isinstance(self.content, dict):
            raise self.expected("a mapping")
        if keys is not None:
            allowed = tuple(keys)
            for key in self.content:
                if key not in allowed:
                    raise self._unknown_key(key, allowed)
        for key in required:
            if key not in self.content:
                raise self.error(f'the key "{key}" is missing')
        return dict(self.content)

    def key_error(self, key: str, text: str, *, valid: Iterable[str] = ()) -> SifgateError:
        """Return the error for a key of this mapping."""
        line, column = self.keys.get(key, (self.line, self.column))
        where = f"{self.path}: " if self.path else ""
        return self.document.error(line, column, where + text + nearest(key, valid))

    def sequence(self, *, minimum: int = 0, maximum: int = 10_000) -> tuple[Node, ...]:
        """Return the items in order."""
        if not isinstance(self.content, tuple):
            raise self.expected("a list")
        if len(self.content) < minimum:
            raise self.error(
                "the list is empty" if not self.content else f"expected at least {minimum} items"
            )
        if len(self.content) > maximum:
            raise self.error(f"expected at most {maximum} items, got {len(self.content)}")
        return self.content

    def one_or_more(self, read: Callable[[Node], Value]) -> tuple[Value, ...]:
        """Return what `read` makes of this value, or of each item of a list (which must not be empty)."""
        nodes = self.sequence(minimum=1) if self.is_sequence else (self,)
        return tuple(read(node) for node in nodes)

    def text(self, *, maximum: int = 1000, empty: bool = False) -> str:
        """Return text without control characters; a value that YAML reads as another type must be quoted."""
        if not isinstance(self.content, str):
            raise self.expected("text")
        if self.type_name == "nothing":
            raise self.expected("text")
        if self.type_name != "text":
            raise self.error(
                f"expected text, got {self._seen()}", hint=f"put it in quotes: {quoted(self.content)}"
            )
        if not self.content and not empty:
            raise self.error("expected text, got an empty one")
        if len(self.content) > maximum:
            raise self.error(f"expected at most {maximum} characters, got {len(self.content)}")
        if not all(map(is_visible, self.content)):
            raise self.error("text must not hold control or invisible characters")
        return self.content

    def boolean(self) -> bool:
        """Return `true` or `false`; the `yes` and `off` of older YAML are errors."""
        if self.type_name == "boolean" and isinstance(self.content, str) and self.content in _BOOLEANS:
            return _BOOLEANS[self.content]
        raise self.expected("true or false")

    def integer(self, *, minimum: int, maximum: int) -> int:
        """Return a decimal whole number within the bounds."""
        if self.type_name != "number" or not _INTEGER.fullmatch(str(self.content)):
            raise self.expected("a whole number")
        value = int(str(self.content))
        if not minimum <= value <= maximum:
            raise self.error(f"expected a number from {minimum} to {maximum}, got {value}")
        return value

    def choice(self, words: Iterable[str]) -> str:
        """Return one of `words`."""
        allowed = tuple(words)
        if not isinstance(self.content, str) or self.type_name != "text":
            raise self.expected(f"one of {', '.join(allowed)}")
        if self.content not in allowed:
            text = f"expected one of {', '.join(allowed)}, got {quoted(self.content)}"
            raise self.error(text, word=self.content, valid=allowed)
        return self.content

    def date(self) -> date:
        """Return a date written `YYYY-MM-DD`, quoted or not."""
        if not isinstance(self.content, str) or not _DATE.fullmatch(self.content):
            raise self.expected("a date as YYYY-MM-DD")
        try:
            return date.fromisoformat(self.content)
        except ValueError:
            raise self.error(f"no such date: {self.content}") from None

    def duration(self, *, minimum: timedelta = timedelta(0), maximum: timedelta) -> timedelta:
        """Return a length of time written as `500ms`, `10s`, `5m`, `4h` or `30d`."""
        parts = _DURATION.fullmatch(self.content) if isinstance(self.content, str) else None
        if parts is None:
            raise self.expected("a length of time such as 500ms, 10s, 5m, 4h or 30d")
        value = timedelta(seconds=int(parts[1]) * _SECONDS[parts[2]])
        if not minimum <= value <= maximum:
            bounds = f"from {minimum.total_seconds():g}s to {maximum.total_seconds():g}s"
            raise self.error(f"expected a length of time {bounds}, got {parts[0]}")
        return value

    def plain(self) -> object:
        """Return the value as JSON would hold it (dates as text), for checks against a schema."""
        if isinstance(self.content, dict):
            return {key: node.plain() for key, node in self.content.items()}
        if isinstance(self.content, tuple):
            return [node.plain() for node in self.content]
        if self.type_name == "number" and _INTEGER.fullmatch(self.content):
            return int(self.content)
        if self.type_name == "number" and _DECIMAL.fullmatch(self.content):
            return float(self.content)
        if self.type_name == "boolean" and self.content in _BOOLEANS:
            return _BOOLEANS[self.content]
        return None if self.type_name == "nothing" else self.content

    def _unknown_key(self, key: str, allowed: tuple[str, ...]) -> SifgateError:
        known = "" if difflib.get_close_matches(key, allowed) else f"; valid keys: {', '.join(allowed)}"
        return self.key_error(key, f"unknown key {quoted(key)}{known}", valid=allowed)

    def _seen(self) -> str:
        if self.is_mapping:
            return "a mapping"
        if self.is_sequence:
            return "a list"
        if self.type_name == "nothing":
            return "nothing"
        article = {"boolean": "the word", "number": "the number", "date": "the date"}.get(
            self.type_name, "text"
        )
        return f"{article} {quoted(str(self.content))}"


def is_visible(character: str) -> bool:
    """Return whether a character shows as itself: no control, format, surrogate, private, line separator."""
    return unicodedata.category(character) not in _INVISIBLE


def quoted(text: str, limit: int = 60) -> str:
    """Return text in quotes for a message: cut, and with characters that do not show replaced."""
    shown = "".join(c if is_visible(c) else "?" for c in text[:limit])
    return f'"{shown}{"..." if len(text) > limit else ""}"'


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return ` (did you mean "x"?)` for the valid word nearest to `word`, or nothing."""
    close = difflib.get_close_matches(word[:100], tuple(valid), n=1) if word else []
    return f' (did you mean "{close[0]}"?)' if close else ""
