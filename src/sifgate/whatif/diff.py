# SPDX-License-Identifier: Apache-2.0
"""What changed between two policies, in words; what it changes for launches a simulation tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import msgspec

from sifgate.model.decision import Action
from sifgate.policy.document import Policy, Rule, Stance
from sifgate.policy.schedule import Schedule

PARTS = {
    "rules": "rule",
    "scopes": "scope",
    "trust": "trusted store",
    "exceptions": "exception",
}
UNSAID = frozenset({*PARTS, "stance", "files", "digest", "launch_fields", "vex"})


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not the same."""

    kind: str
    """`added`, `removed`, `changed`."""
    what: str
    """`rule kev`, `mode`, `exception SEC-7`, …"""
    text: str = ""
    """How, in words."""


def differences(old: Policy, new: Policy) -> list[Difference]:
    """Return what is not the same, settings first, then rules, scopes, stores, exceptions and VEX."""
    outside = list(_stances("", old.stance, new.stance))
    found = [*outside, *_settings(old, new)]
    for field, word in PARTS.items():
        found += _parts(word, getattr(old, field), getattr(new, field))
    everywhere = {(each.what, each.text) for each in outside}
    inherited = (each.what.partition(" of scope ")[0] for each in found)
    told = [
        each
        for each, what in zip(found, inherited, strict=True)
        if what == each.what or (what, each.text) not in everywhere
    ]
    return [*told, *_order(old, new), *_vex(old, new)]


def _settings(old: Policy, new: Policy) -> Iterator[Difference]:
    for field in Policy.__struct_fields__:
        before, after = getattr(old, field), getattr(new, field)
        if field not in UNSAID and before != after:
            yield Difference("changed", field, f"{_said(before)} → {_said(after)}")


def _parts(word: str, old: tuple[Any, ...], new: tuple[Any, ...]) -> Iterator[Difference]:
    """Yield what differs between parts that have ids."""
    before, after = ({part.id: part for part in parts} for parts in (old, new))
    for name, part in after.items():
        if name not in before:
            yield Difference("added", f"{word} {name}", _summary(part))
    for name, part in before.items():
        if name not in after:
            yield Difference("removed", f"{word} {name}", _summary(part))
        elif part != after[name]:
            yield from _changed(word, part, after[name])


def _changed(word: str, before: Any, after: Any) -> Iterator[Difference]:
    for field in type(before).__struct_fields__:
        one, other = getattr(before, field), getattr(after, field)
        if one == other:
            continue
        if isinstance(one, Stance):
            yield from _stances(f" of {word} {before.id}", one, other)
        else:
            name = "action" if field == "now" else field
            yield Difference("changed", f"{name} of {word} {before.id}", f"{_said(one)} → {_said(other)}")


def _stances(suffix: str, old: Stance, new: Stance) -> Iterator[Difference]:
    for field in Stance.__struct_fields__:
        before, after = getattr(old, field), getattr(new, field)
        if before == after:
            continue
        if isinstance(before, Mapping):
            for key in sorted({*before, *after}, key=_said):
                if before.get(key) != after.get(key):
                    text = f"{_said(before.get(key))} → {_said(after.get(key))}"
                    yield Difference("changed", f"{field}.{_said(key)}{suffix}", text)
        else:
            yield Difference("changed", f"{field}{suffix}", f"{_said(before)} → {_said(after)}")


def _order(old: Policy, new: Policy) -> Iterator[Difference]:
    """Yield a difference where scopes that both have come in another order: the first that matches wins."""
    for word, before, after in (("scopes", old.scopes, new.scopes), ("trusted stores", old.trust, new.trust)):
        ours = [each.id for each in before]
        theirs = [each.id for each in after]
        if [name for name in ours if name in theirs] != [name for name in theirs if name in ours]:
            yield Difference("changed", f"order of {word}", f"{', '.join(ours)} → {', '.join(theirs)}")


def _vex(old: Policy, new: Policy) -> Iterator[Difference]:
    before, after = set(old.vex), set(new.vex)
    for kind, statements in (("added", after - before), ("removed", before - after)):
        documents = sorted({statement.document for statement in statements})
        for document in documents:
            number = sum(statement.document == document for statement in statements)
            yield Difference(kind, f"VEX {document}", f"{number} statements")


def _summary(part: Any) -> str:
    if isinstance(part, Rule):
        return f"asks for {_said(part.action)}"
    if hasattr(part, "expires"):
        named = ", ".join(part.vulnerabilities) or "every vulnerability of its package"
        return f"{named}, until {part.expires}: {part.reason}"
    return ""


def _said(value: Any) -> str:
    """Return a value as it would stand in a policy, in one line."""
    match value:
        case None | "":
            text = "none"
        case Action():
            text = value.word
        case Enum():
            text = str(value.value)
        case bool():
            text = str(value).lower()
        case tuple():
            text = "[" + ", ".join(map(_said, value)) + "]"
        case Schedule(steps=()):
            text = value.now.word
        case Schedule():
            steps = ", ".join(f"{step.day}: {step.action.word}" for step in value.steps)
            text = f"{{now: {value.now.word}, {steps}}}"
        case msgspec.Struct():
            text = _fields(value)
        case _:
            text = str(value)
    return text


def _fields(value: msgspec.Struct) -> str:
    """Return what is given of a value, behind the word of its condition where it is one."""
    given = ((name, getattr(value, name)) for name in value.__struct_fields__)
    told = ", ".join(f"{name}: {_said(inner)}" for name, inner in given if inner not in ((), "", None))
    return f"{getattr(value, 'key', '')} {{{told}}}".strip()
