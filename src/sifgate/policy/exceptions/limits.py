# SPDX-License-Identifier: Apache-2.0
"""What the policy asks of every exception: how long it may last, what it must state, who may approve it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from sifgate.yamlnode import Node

REQUIRABLE = ("approved_by", "justification", "scope", "ticket")
"""Keys of an exception that a site may ask for; `reason`, `author`, `created` and `expires` are always asked for."""
LIMIT_KEYS = ("max_days", "announce", "require", "self_approval")
MAX_DAYS = 3660
DAY = timedelta(days=1)


class ExceptionLimits(msgspec.Struct, frozen=True):
    """The policy's key `exceptions`, without the directory and its owner."""

    max_days: int = 0
    """Days from `created` to `expires` at most; 0: no cap."""
    announce_days: int = 14
    """So many days before its end an exception is announced as expiring."""
    require: tuple[str, ...] = ()
    self_approval: bool = False
    """Whether author and approver may be the same."""


def read_limits(fields: Mapping[str, Node], below: ExceptionLimits) -> ExceptionLimits:
    """Return the limits `below` with what `fields` set over them; other keys are not looked at."""
    changes: dict[str, object] = {}
    if "max_days" in fields:
        changes["max_days"] = fields["max_days"].integer(minimum=1, maximum=MAX_DAYS)
    if "announce" in fields:
        changes["announce_days"] = _days(fields["announce"])
    if "require" in fields:
        named = (node.choice(REQUIRABLE) for node in fields["require"].sequence(maximum=len(REQUIRABLE)))
        changes["require"] = tuple(sorted(set(named)))
    if "self_approval" in fields:
        changes["self_approval"] = fields["self_approval"].boolean()
    return msgspec.structs.replace(below, **changes)


def _days(node: Node) -> int:
    length = node.duration(maximum=MAX_DAYS * DAY)
    if length % DAY:
        raise node.error("expected whole days, such as 14d: exceptions end with a day")
    return length // DAY
