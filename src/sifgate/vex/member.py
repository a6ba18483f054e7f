# SPDX-License-Identifier: Apache-2.0
"""JSON of somebody else as members that know their place; size, depth, doubled keys and odd numbers are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from sifgate.errors import SifgateError
from sifgate.yamlnode import is_visible, quoted

MAX_BYTES = 16 << 20
MAX_VALUES = 1_000_000
MAX_DIGITS = 20
MAX_TEXT = 1000
MAX_PROSE = 300
_COUNTED = (b",", b"[", b"{")
_SPACE = re.compile(r"\s+")


class Member:
    """One value of a document: its file, where it stands in it, and the class of its errors."""

    __slots__ = ("_failure", "file", "path", "value")

    def __init__(self, file: str, path: str, value: Any, failure: type[SifgateError]) -> None:
        self.file = file
        self.path = path
        self.value = value
        self._failure = failure

    def error(self, text: str, *, hint: str = "") -> SifgateError:
        """Return (not raise) the error for this member."""
        where = f"{self.file}: {self.path}: " if self.path else f"{self.file}: "
        return self._failure(where + text, hint=hint)

    def has(self, key: str) -> bool:
        """Return whether this is an object with such a member that is not null."""
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def get(self, key: str) -> Member | None:
        """Return a member, None where it is missing or null; an error if this is no object."""
        value = self._object().get(key)
        return None if value is None else Member(self.file, self._inside(key), value, self._failure)

    def need(self, key: str) -> Member:
        """Return a member that must be there."""
        member = self.get(key)
        if member is None:
            raise self.error(f'the member "{key}" is missing')
        return member

    def each(self, key: str, maximum: int) -> Iterator[Member]:
        """Yield the items of a member that is a list, nothing where it is missing."""
        member = self.get(key)
        if member is None:
            return
        if not isinstance(member.value, list):
            raise member.error(f"expected a list, got {_seen(member.value)}")
        if len(member.value) > maximum:
            raise member.error(f"expected at most {maximum} items, got {len(member.value)}")
        for index, value in enumerate(member.value):
            yield Member(self.file, f"{member.path}[{index}]", value, self._failure)

    def text(self, maximum: int = MAX_TEXT) -> str:
        """Return text of one line without control characters, not empty."""
        if not isinstance(self.value, str):
            raise self.error(f"expected text, got {_seen(self.value)}")
        if not self.value or len(self.value) > maximum:
            raise self.error(f"expected 1 to {maximum} characters, got {len(self.value)}")
        if not all(map(is_visible, self.value)):
            raise self.error("text must not hold control or invisible characters")
        return self.value

    def optional(self, key: str, maximum: int = MAX_TEXT) -> str:
        """Return the text of a member, empty where it is missing, null or empty."""
        member = self.get(key)
        return "" if member is None or member.value == "" else member.text(maximum)

    def prose(self, key: str) -> str:
        """Return free text of a member as one line, cut, what does not show left out; empty where it is missing."""
        member = self.get(key)
        if member is None:
            return ""
        if not isinstance(member.value, str):
            raise member.error(f"expected text, got {_seen(member.value)}")
        line = "".join(filter(is_visible, _SPACE.sub(" ", member.value[: 4 * MAX_PROSE]))).strip()
        return line if len(line) <= MAX_PROSE else f"{line[: MAX_PROSE - 3]}..."

    def choice(self, words: tuple[str, ...]) -> str:
        """Return one of `words`."""
        word = self.text()
        if word not in words:
            raise self.error(f"expected one of {', '.join(words)}, got {quoted(word)}")
        return word

    def _object(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self.error(f"expected an object, got {_seen(self.value)}")
        return self.value

    def _inside(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def parse(file: str, content: bytes, failure: type[SifgateError]) -> Member:
    """Return the object in `content`; raises `failure` naming file and place."""
    if len(content) > MAX_BYTES:
        raise failure(f"{file}: larger than {MAX_BYTES} bytes")
    if sum(map(content.count, _COUNTED)) > MAX_VALUES:
        raise failure(f"{file}: more than {MAX_VALUES} values")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise failure(f"{file}:{line}: the file is not UTF-8 text") from None
    value = _value(file, text, failure)
    if not isinstance(value, dict):
        raise failure(f"{file}: expected an object, got {_seen(value)}")
    return Member(file, "", value, failure)


class _Doubled(dict[str, Any]):
    """An object with a key that stands twice."""

    key: str = ""


class _OddNumber(ValueError):
    """A number that JSON does not have, or one with absurdly many digits."""


def _value(file: str, text: str, failure: type[SifgateError]) -> object:
    doubled: list[_Doubled] = []

    def paired(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        keys = [key for key, _ in pairs]
        found = _Doubled(made)
        found.key = next(key for key in keys if keys.count(key) > 1)
        doubled.append(found)
        return found

    try:
        value = json.loads(text, object_pairs_hook=paired, parse_constant=_odd, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise failure(f"{file}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except _OddNumber as error:
        raise failure(f"{file}: not JSON: {error}") from None
    except RecursionError:
        raise failure(f"{file}: values are nested too deep") from None
    if doubled:
        place = _path_of(doubled[0], value)
        raise failure(f"{file}: {place}: the key {quoted(doubled[0].key)} stands twice")
    return value


def _odd(word: str) -> NoReturn:
    raise _OddNumber(f"{word} is not a number of JSON")


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _OddNumber(f"a number of {len(digits)} digits")
    return int(digits)


def _path_of(wanted: object, root: object) -> str:
    """Return the path of a value inside another."""
    pending: list[tuple[str, object]] = [("", root)]
    while pending:
        path, value = pending.pop()
        if value is wanted:
            return path or "the whole document"
        if isinstance(value, dict):
            pending += [(f"{path}.{key}" if path else str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            pending += [(f"{path}[{index}]", inner) for index, inner in enumerate(value)]
    return "an object that is overwritten"


def _seen(value: object) -> str:
    words = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return words.get(type(value), "a number")
