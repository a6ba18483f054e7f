# SPDX-License-Identifier: Apache-2.0
"""Alarms: told once per occasion, counted each time, one printable line."""

from __future__ import annotations

import syslog

from sifgate.agent import alarms
from sifgate.agent.alarms import Alarms


def test_each_occasion_is_told_once_and_counted_always() -> None:
    """A storm of launches fills no syslog; another occasion, or another name, is news."""
    told: list[str] = []
    bell = Alarms(lambda _priority, text: told.append(text))
    for name, occasion in (("a", 1), ("a", 1), ("b", 1), ("a", 2), ("a", 1)):
        bell.ring(name, occasion, f"occasion {occasion}")
    assert told == ["sifgate: a: occasion 1", "sifgate: b: occasion 1", "sifgate: a: occasion 2"]
    assert bell.count == {"a": 4, "b": 1}


def test_users_words_cannot_make_lines_of_their_own() -> None:
    """A name of a file is part of the text: it stays on its line, at the urgency that it has."""
    told: list[tuple[int, str]] = []
    Alarms(lambda priority, text: told.append((priority, text))).ring(
        "a", 0, "x\n<0>kernel: \x1b[2J" + "y" * 5000
    )
    ((priority, text),) = told
    assert priority == syslog.LOG_ALERT | syslog.LOG_AUTHPRIV
    assert text.isprintable()
    assert len(text) < 1100


def test_memory_of_occasions_is_bounded() -> None:
    """The oldest are forgotten first: told once more at worst."""
    told: list[str] = []
    bell = Alarms(lambda _priority, text: told.append(text))
    for occasion in range(alarms.LIMIT + 1):
        bell.ring("a", occasion, "")
    bell.ring("a", alarms.LIMIT, "")
    assert len(told) == alarms.LIMIT + 1
    bell.ring("a", 0, "")
    assert len(told) == alarms.LIMIT + 2
