# SPDX-License-Identifier: Apache-2.0
"""When one `when` holds only where another holds, and when none can hold at all; as far as their words tell.

Cautious: what it claims is certain, what it does not claim may still be so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from sifgate.policy.conditions.comparison import Comparison
from sifgate.policy.conditions.count import CountCondition
from sifgate.policy.conditions.cvss import CvssCondition
from sifgate.policy.conditions.distro import DistroCondition
from sifgate.policy.conditions.epss import EpssCondition
from sifgate.policy.conditions.family import Condition
from sifgate.policy.conditions.fixable import FixableCondition
from sifgate.policy.conditions.kev import KevCondition
from sifgate.policy.conditions.severity import SeverityCondition
from sifgate.policy.conditions.tree import AllCondition, AnyCondition, NotCondition
from sifgate.policy.conditions.when import When

_UP = frozenset({">=", ">"})
_DOWN = frozenset({"<=", "<"})


def narrower(inner: When, outer: When) -> bool:
    """Return whether `outer` certainly holds wherever `inner` does."""
    given = tuple(flat(inner.parts))
    return all(any(implies(part, wanted) for part in given) for wanted in flat(outer.parts))


def contradiction(when: When) -> str:
    """Return which two conditions of a `when` can never hold together, in words; empty: none is known."""
    for one, other in combinations(flat(when.parts), 2):
        if excludes(one, other) or excludes(other, one):
            return " and ".join(dict.fromkeys((_word(one), _word(other))))
    return ""


def flat(parts: Iterable[Condition]) -> Iterator[Condition]:
    """Yield conditions that must all hold, those of `all` one by one."""
    for part in parts:
        if isinstance(part, AllCondition):
            yield from flat(part.parts)
        else:
            yield part


def implies(given: Condition, wanted: Condition) -> bool:
    """Return whether `wanted` certainly holds wherever `given` does, for the same finding."""
    certain = given == wanted
    match given, wanted:
        case _, AnyCondition() if not certain:
            certain = any(implies(given, part) for part in wanted.parts)
        case SeverityCondition(), SeverityCondition():
            certain = set(given.accepted) <= set(wanted.accepted)
        case EpssCondition(), EpssCondition():
            certain = _within(given.probability, wanted.probability)
        case CvssCondition(), CvssCondition():
            certain = given.version == wanted.version and _within(given.score, wanted.score)
        case CountCondition(), CountCondition():
            fewer = all(any(implies(part, other) for part in given.parts) for other in wanted.parts)
            certain = fewer and given.over >= wanted.over
    return certain


def excludes(one: Condition, other: Condition) -> bool:
    """Return whether two conditions can certainly not both hold, for the same finding."""
    certain = False
    match one, other:
        case NotCondition(), _ if len(one.parts) == 1:
            certain = implies(other, one.parts[0])
        case SeverityCondition(), SeverityCondition():
            certain = not set(one.accepted) & set(other.accepted)
        case (KevCondition(), KevCondition()) | (FixableCondition(), FixableCondition()):
            certain = one != other
        case EpssCondition(), EpssCondition():
            certain = _apart(one.probability, other.probability)
        case CvssCondition(), CvssCondition():
            certain = one.version == other.version and _apart(one.score, other.score)
        case DistroCondition(), DistroCondition():
            certain = bool(one.id) and bool(other.id) and not set(one.id) & set(other.id)
    return certain


def _within(inner: Comparison, outer: Comparison) -> bool:
    """Return whether every number that meets `inner` meets `outer`."""
    if inner.sign == "=":
        return outer.holds(inner.border)
    for signs, beyond in ((_UP, inner.border > outer.border), (_DOWN, inner.border < outer.border)):
        if inner.sign in signs and outer.sign in signs:
            same = inner.border == outer.border and (inner.sign == outer.sign or "=" in outer.sign)
            return beyond or same
    return False


def _apart(one: Comparison, other: Comparison) -> bool:
    """Return whether no number meets both."""
    if one.sign == "=":
        return not other.holds(one.border)
    if other.sign == "=":
        return not one.holds(other.border)
    low, high = (one, other) if one.sign in _UP else (other, one)
    if low.sign not in _UP or high.sign not in _DOWN:
        return False
    return low.border > high.border or (
        low.border == high.border and not (low.sign == ">=" and high.sign == "<=")
    )


def _word(condition: Condition) -> str:
    inner = f" {condition.parts[0].key}" if isinstance(condition, NotCondition) else ""
    return condition.key + inner
