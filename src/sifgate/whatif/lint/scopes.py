# SPDX-License-Identifier: Apache-2.0
"""Scopes and trusted stores that can never match, since an earlier one takes their launches, or that change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from sifgate.model.launch import Door
from sifgate.policy.document import Policy
from sifgate.policy.points import point_of
from sifgate.policy.scopes import ScopeMatch
from sifgate.whatif.lint.complaint import Complaint, Weight
from sifgate.whatif.lint.places import Places

_REMEDY = "take it out, or move it up: the first that matches wins"


def check_scopes(policy: Policy, places: Places) -> Iterator[Complaint]:
    """Yield what is wrong with scopes and trusted stores."""
    scopes = [(scope.id, scope.match) for scope in policy.scopes]
    stores = [(store.id, store.match) for store in policy.trust]
    for kind, word, named in (("scopes", "scope", scopes), ("trust", "trusted store", stores)):
        for number, (name, match) in enumerate(named):
            place = places.of(kind, name)
            if why := _never(match, named[:number]):
                text = f"{word} {name} can never match: {why}"
                yield Complaint("scope-never-matches", Weight.ERROR, place, text, _REMEDY)
    for scope in policy.scopes:
        if scope.stance == policy.stance:
            text = f"scope {scope.id} sets what holds outside it anyway"
            yield Complaint(
                "scope-changes-nothing",
                Weight.INFO,
                places.of("scopes", scope.id),
                text,
                "take it out, unless it keeps launches from a later scope",
            )


def _never(match: ScopeMatch, earlier: Sequence[tuple[str, ScopeMatch]]) -> str:
    if match.door and match.point:
        points = {point_of(Door(door)).value for door in match.door}
        if not points.intersection(match.point):
            return "none of its doors is at one of its points"
    for name, other in earlier:
        if _takes_all(other, match):
            return f"{name} before it takes all its launches"
    return ""


def _takes_all(outer: ScopeMatch, inner: ScopeMatch) -> bool:
    """Return whether every launch of `inner` is one of `outer`, as far as the words tell."""
    fields = ScopeMatch.__struct_fields__
    wanted = msgspec.structs.asdict(outer)
    given = msgspec.structs.asdict(inner)
    for field in fields:
        if wanted[field] and not (given[field] and set(given[field]) <= set(wanted[field])):
            return False
    return True
