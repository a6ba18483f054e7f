# SPDX-License-Identifier: Apache-2.0
"""Which launches one policy cannot tell apart: equal keys, equal decisions on equal standings at equal moments.

Coarser than `Policy.launch_key`, which holds a user's name where only matters which scope he falls into: a site's
launches of one image fall into a handful of classes, however many users, paths and jobs there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from sifgate.model.launch import LaunchEvent
from sifgate.policy.document import Policy
from sifgate.policy.exceptions.candidates import Candidates


class Likeness:
    """The classes of launches under one policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._scoped = tuple(each for each in policy.exceptions if each.scope.launch_fields())
        self._candidates = Candidates(each.scope for each in self._scoped)
        names = sorted(_plain_fields(policy))
        self._values = attrgetter(*names) if names else None

    def key(self, launch: LaunchEvent) -> tuple[object, ...]:
        """Return what the decision on a launch may depend on, beside standing and moment."""
        scope, store = self._policy.scope_of(launch), self._policy.store_of(launch)
        return (
            None if scope is None else scope.id,
            None if store is None else store.id,
            tuple(
                number for number in self._candidates.of(launch) if self._scoped[number].scope.holds(launch)
            ),
            None if self._values is None else self._values(launch),
        )


def _plain_fields(policy: Policy) -> frozenset[str]:
    """Return the launch fields that are read for more than to find scope, store and exceptions."""
    matched = _all(scope.match.launch_fields() for scope in policy.scopes)
    matched |= _all(store.match.launch_fields() for store in policy.trust)
    matched |= _all(each.scope.launch_fields() for each in policy.exceptions)
    read = _all(rule.when.launch_fields() for rule in policy.rules)
    read |= _all(each.package.launch_fields() for each in policy.exceptions if each.package is not None)
    if policy.vex:
        read |= {"image.digest"}
    if any(stance.enforcement_points for stance in policy.stances()):
        read |= {"door"}
    return (policy.launch_fields - matched) | (policy.launch_fields & read)


def _all(parts: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*parts)
