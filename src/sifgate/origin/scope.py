# SPDX-License-Identifier: Apache-2.0
"""What a command inherits: directory, variables, positional parameters."""

from __future__ import annotations

import posixpath

from sifgate.origin.reference import Unexpanded, absolute

MAX_VARIABLES = 512
MAX_VALUE = 64 * 1024


class Scope:
    """The state that assignments, `cd` and `env` change; copied for a sub-shell."""

    def __init__(self, cwd: str, variables: dict[str, str], parameters: tuple[str, ...] = ()) -> None:
        self.cwd = cwd
        """Absolute; empty where a `cd` went to a place that is not known."""
        self.variables = variables
        self.parameters = parameters
        """`$0`, `$1`, … of `bash -c`."""
        self._shared = True

    def copy(self) -> Scope:
        """Return a scope that changes by itself; a sub-shell ends before its parent changes anything."""
        return Scope(self.cwd, self.variables, self.parameters)

    def value(self, name: str) -> list[str] | None:
        """Return the words that `$name` stands for; None where that is not known."""
        if name in {"@", "*"}:
            return list(self.parameters[1:])
        if name.isdigit():
            index = int(name)
            return [self.parameters[index]] if index < len(self.parameters) else None
        found = self.variables.get(name.removesuffix("[@]"))
        return None if found is None else [found]

    def assign(self, word: str) -> bool:
        """Take `NAME=value`; return whether `word` is one."""
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier() or not name.isascii():
            return False
        if self._shared:
            self.variables, self._shared = dict(self.variables), False
        if isinstance(word, Unexpanded) or len(value) > MAX_VALUE:
            self.variables.pop(name, None)
        elif len(self.variables) < MAX_VARIABLES or name in self.variables:
            self.variables[name] = value
        return True

    def chdir(self, word: str) -> None:
        """Take `cd word`."""
        path = "" if isinstance(word, Unexpanded) or word == "-" else absolute(word, self.cwd)
        self.cwd = posixpath.normpath(path) if path else ""
