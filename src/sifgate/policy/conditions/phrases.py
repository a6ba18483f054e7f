# SPDX-License-Identifier: Apache-2.0
"""Conditions in words, put together into one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sifgate.policy.conditions.family import Phrase

_RELATIVE = "that are "
_SINGULAR = (("that are ", "that is "), ("that were ", "that was "))


def joined(phrases: Iterable[Phrase]) -> Phrase:
    """Return one phrase that says all of them; a fact that several tell is told once."""
    parts = tuple(phrases)
    return Phrase(
        before=" ".join(filter(None, (part.before for part in parts))),
        after=" ".join(filter(None, (part.after for part in parts))),
        tail=", ".join(dict.fromkeys(filter(None, (part.tail for part in parts)))),
    )


def listed(phrases: Sequence[Phrase], between: str, *, before: str = "") -> str:
    """Return `that are A or B` for phrases about findings, each in brackets where it is more than one thing."""
    words = [text for phrase in phrases if (text := _clause(phrase))]
    return f"{_RELATIVE}{before}{between.join(words)}" if words else ""


def sentence(phrase: Phrase, count: int) -> str:
    """Return e.g. `2 known-exploited vulnerabilities with a fix`; without findings only the tail."""
    if not count:
        return phrase.tail
    noun = "vulnerability" if count == 1 else "vulnerabilities"
    after = phrase.after
    for many, one in _SINGULAR if count == 1 else ():
        after = after.replace(many, one)
    words = " ".join(filter(None, (str(count), phrase.before, noun, after)))
    return ", ".join(filter(None, (words, phrase.tail)))


def _clause(phrase: Phrase) -> str:
    """Return a phrase about findings as what may follow `that are`, in brackets where it is more than one thing."""
    after = phrase.after.removeprefix(_RELATIVE).removeprefix("that were ")
    text = " ".join(filter(None, (phrase.before, after)))
    return f"({text})" if (phrase.before and after) or _is_open(text) else text


def _is_open(text: str) -> bool:
    """Return whether an `or` stands outside brackets."""
    depth = 0
    for word in text.split():
        if word == "or" and not depth:
            return True
        depth += word.count("(") - word.count(")")
    return False
