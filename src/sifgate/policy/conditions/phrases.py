# SPDX-License-Identifier: Apache-2.0
"""Conditions in words, put together into one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from sifgate.policy.conditions.family import Phrase


def joined(phrases: Iterable[Phrase]) -> Phrase:
    """Return one phrase that says all of them."""
    parts = tuple(phrases)
    return Phrase(
        before=" ".join(filter(None, (part.before for part in parts))),
        after=" ".join(filter(None, (part.after for part in parts))),
        tail=", ".join(filter(None, (part.tail for part in parts))),
    )


def sentence(phrase: Phrase, count: int) -> str:
    """Return e.g. `2 known-exploited vulnerabilities with a fix`; without findings only the tail."""
    if not count:
        return phrase.tail
    noun = "vulnerability" if count == 1 else "vulnerabilities"
    words = " ".join(filter(None, (str(count), phrase.before, noun, phrase.after)))
    return ", ".join(filter(None, (words, phrase.tail)))
