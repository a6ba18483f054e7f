# SPDX-License-Identifier: Apache-2.0
"""Simulations, differences, findings of lint and outcomes of cases as people read them."""

from __future__ import annotations

from typing import TextIO

from sifgate.render.escape import printable
from sifgate.render.table import Column, print_table
from sifgate.whatif.counts import Counts, Size

SIZES = (
    Column("launches", right=True),
    Column("users", right=True),
    Column("accounts", right=True),
    Column("images", right=True),
)
_WORDS = {"block": "refused", "warn": "warned", "log": "logged", "allow": "allowed"}


def print_counts(counts: Counts, stream: TextIO) -> None:
    """Print what a simulation has counted: the sum first, then by rule and image."""
    print(_heading(counts), file=stream)
    if not counts.judged.launches:
        print("No launch was judged.", file=stream)
    print_table((Column("candidate"), *SIZES), _outcomes(counts), stream)
    print(file=stream)
    if counts.rules:
        asked = (Column("rule"), Column("asks for"), *SIZES, Column("newly refused", right=True))
        print_table(asked, _rules(counts), stream)
        print(file=stream)
    if counts.affected:
        print("Images of which launches would newly be refused:", file=stream)
        columns = (Column("image", fold=True), *SIZES[:3], Column("by", fold=True))
        rows = (
            (image.path or image.image, *_size(image.size)[:3], ", ".join(image.rules))
            for image in counts.affected
        )
        print_table(columns, rows, stream)
        print(file=stream)
    for sentence in sentences(counts):
        print(printable(sentence), file=stream)


def print_changes(counts: Counts, stream: TextIO) -> None:
    """Print which launches fare differently, by what became of them before and what becomes of them now."""
    columns = (Column("before"), Column("after"), *SIZES)
    rows = ((_WORDS[each.before], _WORDS[each.after], *_size(each.size)) for each in counts.changes)
    print_table(columns, rows, stream)


def sentences(counts: Counts) -> list[str]:
    """Return what it comes to, in words."""
    against = "than the present policy" if counts.present else "than what happened"
    newly, freed = counts.newly_refused, counts.no_longer_refused
    of = f"{newly.users} users, {newly.accounts} accounts, {newly.images} images"
    refused = f"Refused that passed before: {newly.launches} launches of {of}"
    lines = [f"{refused}; no longer refused: {freed.launches} (other {against})."]
    would = counts.by_would_be.get("block", Size()).launches
    if counts.counted == "done" and would > counts.by_action.get("block", Size()).launches:
        lines.append(f"In mode enforce it would refuse {would} launches (--enforce counts these).")
    moved = [
        f"{number} {_WORDS[then]} then and {_WORDS[now]} now"
        for then, now, number in counts.happened
        if then != now
    ]
    if moved and counts.present:
        lines.append("Beside what happened: " + "; ".join(moved) + ".")
    lines += [f"NOT JUDGED: {number} launches: {why}." for why, number in counts.unjudged.items()]
    if counts.unreadable:
        lines.append(f"NOT READ: {counts.unreadable} lines or reports.")
    return lines


def _heading(counts: Counts) -> str:
    when = f"as of {counts.at[:19]}Z" if counts.at else "each at its own time"
    between = f" from {counts.first[:10]} to {counts.last[:10]}" if counts.first else ""
    judged = counts.judged
    return (
        f"{judged.launches} launches of {judged.users} users, {judged.accounts} accounts, {judged.images} images"
        f"{between}, {when}"
    )


def _outcomes(counts: Counts) -> list[tuple[str, ...]]:
    chosen = counts.by_action if counts.counted == "done" else counts.by_would_be
    return [(_WORDS[action], *_size(size)) for action, size in chosen.items()]


def _rules(counts: Counts) -> list[tuple[str, ...]]:
    return [
        (rule.rule, action, *_size(size), str(rule.newly_refused.launches) if action == "block" else "")
        for rule in counts.rules
        for action, size in rule.by_action.items()
    ]


def _size(size: Size) -> tuple[str, str, str, str]:
    return (str(size.launches), str(size.users), str(size.accounts), str(size.images))
