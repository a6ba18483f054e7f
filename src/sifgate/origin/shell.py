# SPDX-License-Identifier: Apache-2.0
"""The text of a POSIX shell → its simple commands, as far as that can be known without running it.

One pass from left to right with a stack for `$( )`, backticks and sub-shells, so that time and memory are
linear in the text. Variables that the text itself assigns are put in; every other expansion leaves the word
as typed, marked `Unexpanded`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sifgate.origin.reference import Unexpanded
from sifgate.origin.scope import Scope

MAX_DEPTH = 64
MAX_EXPANDED = 1 << 20
"""Characters that variables may add to one text (`A=$B$B` doubles at every line)."""

_PLAIN = re.compile(r"[^\s'\"\\$`;&|()<>#*?\[{~]+")
_IN_DOUBLE = re.compile(r'[^"\\$`]+')
_BLANK = re.compile(r"[ \t\r\f\v]+")
_END = re.compile(r"[;&|]+")
_REDIRECT = re.compile(r"&?[<>]+[&|]?")
_HEREDOC = re.compile(r"<<-?[ \t]*['\"\\]?([A-Za-z0-9_.-]+)['\"]?")
_NAME = re.compile(
    r"\$(?:([A-Za-z_][A-Za-z0-9_]*|[0-9@*])|\{([A-Za-z_][A-Za-z0-9_]*|[0-9@*]|[A-Za-z_][A-Za-z0-9_]*\[@\])\})"
)
_DEFAULT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*):?[-=]([^{}$`'\"\\]*)\}")
_ANSI = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)


class UnlexedError(Exception):
    """The text ends inside a quote or a substitution, or goes beyond a bound."""


class _Frame:
    """One level of `( )`, `$( )` or backticks."""

    def __init__(self, scope: Scope, closer: str = "", *, substitution: bool = False) -> None:
        self.scope = scope
        self.closer = closer
        self.substitution = substitution
        self.words: list[str] = []
        self.parts: list[str] = []
        self.open = False
        self.dynamic = False
        self.double = False
        self.skip = False

    def add(self, part: str, *, dynamic: bool = False) -> None:
        """Append to the word under the pen."""
        self.parts.append(part)
        self.open = True
        self.dynamic |= dynamic

    def end_word(self) -> None:
        """Finish the word under the pen, if there is one."""
        if not self.open:
            return
        text = "".join(self.parts)
        if self.skip:
            self.skip = False
        else:
            self.words.append(Unexpanded(text) if self.dynamic else text)
        self.parts, self.open, self.dynamic = [], False, False

    def take(self) -> list[str]:
        """Return the finished command and begin the next."""
        self.end_word()
        words, self.words, self.skip = self.words, [], False
        return words


class Lexer:
    """Reads one text; the caller may change `scope` of a command between two steps of `commands()`."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._text = text
        self._at = 0
        self._stack = [_Frame(scope)]
        self._heredocs: list[str] = []
        self._expanded = 0
        self.bodies: list[str] = []
        """Bodies of here-documents, in their order."""

    def commands(self) -> Iterator[tuple[list[str], Scope]]:
        """Yield each simple command with the scope that it runs in; UnlexedError ends broken text."""
        while self._at < len(self._text):
            frame = self._stack[-1]
            done = self._in_double(frame) if frame.double else self._step(frame)
            if done:
                words = done.take()
                if words:
                    yield words, done.scope
        broken = len(self._stack) > 1 or self._stack[0].double
        words = self._stack[0].take()
        if words:
            yield words, self._stack[0].scope
        if broken:
            raise UnlexedError

    def _step(self, frame: _Frame) -> _Frame | None:
        """Read one token outside double quotes; return a frame whose command is complete, or None."""
        character = self._text[self._at]
        if character == "\n":
            self._at += 1
            self._skip_heredocs()
            return frame
        if character in ";|" or (character == "&" and not self._text.startswith("&>", self._at)):
            self._at = self._match(_END)
            return frame
        if character in "()":
            return self._parenthesis(frame, character)
        if character in "<>&":
            return self._redirect(frame)
        return self._quote(frame, character)

    def _quote(self, frame: _Frame, character: str) -> _Frame | None:
        """Read blanks, plain text, a quote, escape, expansion, a comment or a character of a pattern."""
        plain = _PLAIN.match(self._text, self._at)
        if plain:
            frame.add(plain.group())
            self._at = plain.end()
        elif character in " \t\r\f\v":
            frame.end_word()
            self._at = self._match(_BLANK)
        elif character == "'":
            end = self._find("'", self._at + 1)
            frame.add(self._text[self._at + 1 : end])
            self._at = end + 1
        elif character == '"':
            frame.double = frame.open = True
            self._at += 1
        elif character == "\\":
            escaped = self._text[self._at + 1 : self._at + 2]
            if escaped != "\n":
                frame.add(escaped)
            self._at += 2
        elif character in "$`":
            return self._expansion(frame, character)
        elif character == "#" and not frame.open:
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end
        elif character == "~" and not frame.open:
            home = frame.scope.variables.get("HOME", "")
            frame.add(home or "~", dynamic=not home or self._text[self._at + 1 : self._at + 2] not in "/ \n")
            self._at += 1
        else:  # patterns and other white space
            frame.add(character, dynamic=character in "*?[{")
            self._at += 1
        return None

    def _in_double(self, frame: _Frame) -> _Frame | None:
        """Read one token inside double quotes."""
        plain = _IN_DOUBLE.match(self._text, self._at)
        character = self._text[self._at]
        if plain:
            frame.add(plain.group())
            self._at = plain.end()
        elif character == '"':
            frame.double = False
            self._at += 1
        elif character == "\\":
            escaped = self._text[self._at + 1 : self._at + 2]
            frame.add("" if escaped == "\n" else escaped if escaped in '$`"\\' else "\\" + escaped)
            self._at += 2
        else:
            return self._expansion(frame, character)
        return None

    def _expansion(self, frame: _Frame, character: str) -> _Frame | None:
        """Read what begins with `$` or a backtick."""
        if character == "`":
            self._at += 1
            return self._close(frame) if frame.closer == "`" else self._push(frame, "`", substitution=True)
        if self._text.startswith("$((", self._at):
            self._at = self._find("))", self._at) + 2
            frame.add("$((…))", dynamic=True)
            return None
        if self._text.startswith("$(", self._at):
            self._at += 2
            return self._push(frame, ")", substitution=True)
        quoted = None if frame.double else _ANSI.match(self._text, self._at)
        if quoted:
            frame.add(quoted.group(1), dynamic="\\" in quoted.group(1))
            self._at = quoted.end()
            return None
        self._variable(frame)
        return None

    def _variable(self, frame: _Frame) -> None:
        """Read `$NAME`, `${NAME}`, `${NAME:-default}`, `${anything else}` or a lone `$`."""
        named = _NAME.match(self._text, self._at)
        default = None if named else _DEFAULT.match(self._text, self._at)
        if named:
            name, typed, end = named.group(1) or named.group(2), named.group(), named.end()
            value = frame.scope.value(name)
        elif default:
            typed, end = default.group(), default.end()
            value = frame.scope.value(default.group(1)) or [default.group(2)]
        elif self._text.startswith("${", self._at):
            end = self._find("}", self._at) + 1
            typed, value = self._text[self._at : end], None
        else:
            frame.add("$", dynamic=self._text[self._at + 1 : self._at + 2] in tuple("#?$!-"))
            self._at += 1
            return
        self._at = end
        if value is None:
            frame.add(typed, dynamic=True)
        else:
            self._put(frame, value)

    def _put(self, frame: _Frame, values: list[str]) -> None:
        """Put a variable's words into the command, split at white space outside double quotes."""
        words = values if frame.double else [part for value in values for part in value.split()]
        self._expanded += sum(map(len, words)) + len(words)
        if self._expanded > MAX_EXPANDED:
            raise UnlexedError
        for index, word in enumerate(words):
            if index:
                frame.end_word()
            frame.add(word)

    def _parenthesis(self, frame: _Frame, character: str) -> _Frame | None:
        if character == ")":
            self._at += 1
            return self._close(frame) if frame.closer == ")" else frame
        if self._text.startswith("((", self._at) and not frame.open and not frame.words:
            self._at = self._find("))", self._at) + 2
            return None
        self._at += 1
        if frame.open:  # an array, a function's name
            frame.end_word()
        return self._push(frame, ")")

    def _push(self, frame: _Frame, closer: str, *, substitution: bool = False) -> _Frame | None:
        """Begin a sub-shell or substitution; no command is complete by that."""
        if len(self._stack) > MAX_DEPTH:
            raise UnlexedError
        self._stack.append(_Frame(frame.scope.copy(), closer, substitution=substitution))
        return None

    def _close(self, frame: _Frame) -> _Frame:
        """End a sub-shell or substitution; return its frame, whose last command is complete."""
        self._stack.pop()
        if frame.substitution:
            self._stack[-1].add("$(…)", dynamic=True)
        return frame

    def _redirect(self, frame: _Frame) -> _Frame | None:
        """Skip a redirection with its target; remember a here-document; enter `<( )`."""
        if frame.open and not frame.dynamic and "".join(frame.parts).isdigit():
            frame.parts, frame.open = [], False
        frame.end_word()
        heredoc = _HEREDOC.match(self._text, self._at)
        if heredoc:
            self._heredocs.append(heredoc.group(1))
            self._at = heredoc.end()
            return None
        if self._text.startswith(("<(", ">("), self._at):
            self._at += 2
            return self._push(frame, ")", substitution=True)
        self._at = self._match(_REDIRECT)
        frame.skip = True
        return None

    def _skip_heredocs(self) -> None:
        """Take the bodies of the here-documents that begin at this line."""
        for delimiter in self._heredocs:
            lines: list[str] = []
            while self._at < len(self._text):
                end = self._text.find("\n", self._at)
                end = len(self._text) if end < 0 else end
                line = self._text[self._at : end]
                self._at = end + 1
                if line.strip("\t") == delimiter:
                    break
                lines.append(line)
            self.bodies.append("\n".join(lines))
        self._heredocs = []

    def _find(self, what: str, start: int) -> int:
        end = self._text.find(what, start)
        if end < 0:
            raise UnlexedError
        return end

    def _match(self, pattern: re.Pattern[str]) -> int:
        """Return where `pattern` ends at the current position; that position where it does not match."""
        found = pattern.match(self._text, self._at)
        return found.end() if found else self._at
