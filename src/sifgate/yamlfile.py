# SPDX-License-Identifier: Apache-2.0
"""YAML files read into `sifgate.yamlnode` values; used for the policy and for `sifgate.yaml`.

::

    settings = yamlfile.load(path)                       # ConfigError, or the class given as `failure`
    fields = settings.mapping(keys=("server", "agent"), required=("server",))
    url = fields["server"].mapping(keys=("url",))["url"].text()

Only the plain part of YAML is read: one document, no anchors and aliases (which make "billion laughs"), no tags, no
merge keys, keys that are text and stand once. A file of comments is an empty mapping. Size, depth and number of values
are bounded before anything is built. Tables of cases may repeat values by alias: each repetition counts in full.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import yaml
from yaml.resolver import Resolver

from sifgate.errors import ConfigError, SifgateError
from sifgate.yamlnode import Document, Node, quoted

MAX_BYTES = 256 * 1024
"""About 5,000 lines of policy; PyYAML reads about 100 kB a second."""
MAX_DEPTH = 24
MAX_VALUES = 20_000

_LINE_ENDS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # what YAML 1.1 counts as the end of a line
_TYPES = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:null": "nothing",
    "tag:yaml.org,2002:timestamp": "date",
}


def load(path: Path, *, failure: type[SifgateError] = ConfigError, aliases: bool = False) -> Node:
    """Return the document in a file; raises `failure`, located where there is a place to name."""
    try:
        content = _content(path)
    except OSError as error:
        raise failure(f"{path}: cannot be read: {error.strerror or error}") from error
    if content is None:
        raise failure(f"{path}: not a regular file")
    return parse(content, str(path), failure=failure, aliases=aliases)


def parse(
    content: bytes, name: str, *, failure: type[SifgateError] = ConfigError, aliases: bool = False
) -> Node:
    """Return the document in `content`; `name` stands for the file in messages, `aliases` allows `&x` and `*x`."""
    if len(content) > MAX_BYTES:
        raise failure(f"{name}:1:1: the file is larger than {MAX_BYTES} bytes")
    text = _decode(content, name, failure)
    document = Document(name, tuple(_LINE_ENDS.split(text)), failure)
    return _Reader(document, text, aliases=aliases).read()


def _content(path: Path) -> bytes | None:
    """Return the bytes of a regular file, one past the bound at most; None for anything else, without waiting."""
    with open(
        path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)
    ) as file:  # Path.open takes no opener
        return file.read(MAX_BYTES + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None


def _decode(content: bytes, name: str, failure: type[SifgateError]) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        raise failure(f"{name}:{line}:{column}: the file is not UTF-8 text") from None


class _Mark(Protocol):
    """A place as PyYAML counts, from 0."""

    line: int
    column: int


class _Reader:
    """Builds nodes from the parser's events, so that every bound is checked before memory is spent."""

    def __init__(self, document: Document, text: str, *, aliases: bool) -> None:
        self._document = document
        self._aliases = aliases
        self._anchored: dict[str, tuple[Node, int]] = {}
        self._resolver = Resolver()
        self._text = text
        self._values = 0
        self._place = (1, 1)
        self._events = self._guarded()

    def read(self) -> Node:
        """Return the one document of the text."""
        event = next(self._events)
        while isinstance(event, (yaml.StreamStartEvent, yaml.DocumentStartEvent)):
            event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return self._nothing()
        root = self._node(event, "", 1)
        next(self._events)
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            raise self._error("the file holds more than one document (---)")
        return root

    def _nothing(self) -> Node:
        """Return an empty mapping for a file of comments; an empty file is one that was cut off."""
        if not self._text.strip():
            raise self._error("the file is empty")
        return Node(self._document, 1, 1, "", {})

    def _guarded(self) -> Iterator[yaml.Event]:
        """Yield the parser's events; whatever PyYAML raises becomes an error with a place."""
        try:
            for event in yaml.parse(self._text, Loader=yaml.SafeLoader):
                self._stand_at(event.start_mark)
                yield event
        except yaml.MarkedYAMLError as error:
            self._stand_at(error.problem_mark or error.context_mark)
            raise self._error(_explain(error)) from None
        except yaml.reader.ReaderError as error:
            before = self._text[: int(error.position)]
            self._place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
            raise self._error("a control character is not allowed here") from None
        except (ValueError, OverflowError, IndexError, RecursionError) as error:
            raise self._error(f"not YAML: {error}") from None

    def _stand_at(self, mark: _Mark | None) -> None:
        if mark is not None:
            self._place = (mark.line + 1, mark.column + 1)

    def _node(self, event: yaml.Event, path: str, depth: int) -> Node:
        self._count(1)
        if depth > MAX_DEPTH:
            raise self._error(f"values are nested more than {MAX_DEPTH} deep")
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is None:
            return self._value(event, path, depth)
        if not self._aliases:
            raise self._error("anchors and aliases (& and *) are not supported")
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(anchor)
        before = self._values
        node = self._value(event, path, depth)
        self._anchored[anchor] = (node, self._values - before + 1)
        return node

    def _repeated(self, anchor: str) -> Node:
        """Return the value of an anchor that is complete; it counts as if it were written out."""
        if anchor not in self._anchored:
            raise self._error(f"no value before this one is called {quoted(anchor)}")
        node, values = self._anchored[anchor]
        self._count(values)
        return node

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise self._error(f"the file holds more than {MAX_VALUES} values")

    def _value(self, event: yaml.Event, path: str, depth: int) -> Node:
        if getattr(event, "tag", None) is not None:
            raise self._error("tags (!) are not supported")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        raise self._error("not a value")

    def _mapping(self, path: str, depth: int) -> Node:
        line, column = self._place
        content: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            place = self._place
            key = self._node(event, path, depth + 1)
            if not isinstance(key.content, str) or key.type_name not in {"text", "date"}:
                raise self._error("a key must be text", place)
            if key.content in content:
                raise self._error(f"the key {quoted(key.content)} stands twice", place)
            keys[key.content] = place
            inner = f"{path}.{key.content}" if path else key.content
            content[key.content] = self._node(next(self._events), inner[:200], depth + 1)
        return Node(self._document, line, column, path, content, keys)

    def _sequence(self, path: str, depth: int) -> Node:
        line, column = self._place
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, f"{path}[{len(items)}]", depth + 1))
        return Node(self._document, line, column, path, tuple(items))

    def _scalar(self, event: yaml.ScalarEvent, path: str) -> Node:
        line, column = self._place
        try:
            event.value.encode()
        except UnicodeEncodeError:
            raise self._error("text holds half of a surrogate pair") from None
        tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]  # types-PyYAML
        if tag == "tag:yaml.org,2002:merge":
            raise self._error("merge keys (<<) are not supported")
        return Node(self._document, line, column, path, event.value, type_name=_TYPES.get(tag, "text"))

    def _error(self, text: str, place: tuple[int, int] | None = None) -> SifgateError:
        return self._document.error(*(place or self._place), text)


def _explain(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's words in one line; the usual slips in ours."""
    problem = error.problem or "not YAML"
    if "'\\t'" in problem or "\\t" in problem:
        return "a tab is not allowed here: indent with spaces"
    context = f" {error.context}" if error.context else ""
    return f"not YAML:{context}: {problem}" if context else f"not YAML: {problem}"
