# SPDX-License-Identifier: Apache-2.0
"""`all: [...]`, `any: [...]`, `not: {...}`: conditions put together, about findings, the image, or both; three-valued.

A tree that asks about findings is judged for one finding at a time, with what it asks about the image the same for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sifgate.model.finding import Finding
from sifgate.policy.conditions.column import Column
from sifgate.policy.conditions.family import Condition, Group, Phrase, Situation, Truth
from sifgate.policy.conditions.phrases import joined, listed
from sifgate.yamlnode import Node

MAX_PARTS = 100
_MOST = Truth.TRUE + Truth.FALSE


class TreeCondition(Condition, frozen=True):
    """Conditions put together."""

    of_findings = True

    parts: tuple[Condition, ...]

    @property
    def parts_inside(self) -> tuple[Condition, ...]:
        """Return the parts."""
        return self.parts

    @property
    def per_finding(self) -> bool:
        """Return whether one of the parts asks about the finding."""
        return any(part.per_finding for part in self.parts)

    def reads(self) -> frozenset[str]:
        """Return what the parts read."""
        return frozenset[str]().union(*(part.reads() for part in self.parts))

    def columns(self, situation: Situation) -> tuple[Column, ...]:
        """Return the columns of the parts."""
        return tuple(column for part in self.parts for column in part.columns(situation))

    def launch_fields(self) -> frozenset[str]:
        """Return what the parts read of the launch."""
        return frozenset[str]().union(*(part.launch_fields() for part in self.parts))

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the clocks of the parts."""
        return tuple(at for part in self.parts for at in part.clocks(situation))

    def witnesses(self, situation: Situation) -> tuple[Group, ...]:
        """Return the findings that the parts about the image speak of, where these hold."""
        found: dict[int, Group] = {}
        for part in self.parts:
            if not part.per_finding and situation.truth_of(part) is not Truth.FALSE:
                found |= {id(group): group for group in part.witnesses(situation)}
        return tuple(found.values())

    def answers(self, finding: Finding, situation: Situation) -> Iterable[Truth]:
        """Yield the answers of the parts; of those about the image, the one that is the same for all findings."""
        for part in self.parts:
            yield part.test(finding, situation) if part.per_finding else situation.truth_of(part)


class AllCondition(TreeCondition, frozen=True):
    """Whether every part holds."""

    key = "all"

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> AllCondition:
        """Return the condition for a list of mappings, each of which must hold as a whole."""
        return cls(parts=_alternatives(node, vocabulary))

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return the least of the answers."""
        least = Truth.TRUE
        for truth in self.answers(finding, situation):
            least = min(least, truth)
            if least is Truth.FALSE:
                break
        return least

    def bounds(self, situation: Situation) -> tuple[Truth, Truth]:
        """Return the least of the parts' bounds."""
        least, most = zip(*(part.bounds(situation) for part in self.parts), strict=True)
        return min(least), min(most)

    def phrase(self, situation: Situation) -> Phrase:
        """Return the parts one after the other."""
        return joined(part.phrase(situation) for part in self.parts)


class AnyCondition(TreeCondition, frozen=True):
    """Whether at least one part holds."""

    key = "any"

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> AnyCondition:
        """Return the condition for a list of mappings, one of which must hold as a whole."""
        return cls(parts=_alternatives(node, vocabulary))

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return the greatest of the answers."""
        most = Truth.FALSE
        for truth in self.answers(finding, situation):
            most = max(most, truth)
            if most is Truth.TRUE:
                break
        return most

    def bounds(self, situation: Situation) -> tuple[Truth, Truth]:
        """Return the greatest of the parts' bounds."""
        least, most = zip(*(part.bounds(situation) for part in self.parts), strict=True)
        return max(least), max(most)

    def phrase(self, situation: Situation) -> Phrase:
        """Return the parts about findings with `or` between them, and the facts of the image that hold."""
        single = [part.phrase(situation) for part in self.parts if part.per_finding]
        facts = [
            part.phrase(situation)
            for part in self.parts
            if not part.per_finding and situation.truth_of(part) is not Truth.FALSE
        ]
        words = listed(single, " or ")
        tails = (*(phrase.tail for phrase in single), *(fact.tail for fact in facts))
        return Phrase(after=words, tail=", ".join(dict.fromkeys(filter(None, tails))))


class NotCondition(TreeCondition, frozen=True):
    """Whether what stands inside does not hold as a whole; not of unknown is unknown."""

    key = "not"

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> NotCondition:
        """Return the condition for a mapping; a count inside is an error.

        One more vulnerability could make it false, and so loosen the decision.
        """
        parts = read_parts(node, vocabulary)
        if any(part.counts_findings for part in _every(parts)):
            raise node.error(
                '"count" cannot stand under "not": one more vulnerability would loosen the decision'
            )
        return cls(parts=parts)

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return the opposite of the least of the answers."""
        return Truth(_MOST - min(self.answers(finding, situation)))

    def bounds(self, situation: Situation) -> tuple[Truth, Truth]:
        """Return the opposites of the bounds inside, which change places."""
        least, most = zip(*(part.bounds(situation) for part in self.parts), strict=True)
        return Truth(_MOST - min(most)), Truth(_MOST - min(least))

    def phrase(self, situation: Situation) -> Phrase:
        """Return `that are not …`, and the facts of the image."""
        single = joined(part.phrase(situation) for part in self.parts if part.per_finding)
        facts = joined(part.phrase(situation) for part in self.parts if not part.per_finding)
        words = listed([single], " or ", before="not ") if single.before or single.after else ""
        tails = filter(None, (single.tail, facts.tail))
        return Phrase(after=words, tail=", ".join(tails))


def read_parts(node: Node, vocabulary: Mapping[str, type[Condition]]) -> tuple[Condition, ...]:
    """Return the conditions of a mapping, by key; an empty one is an error: it would hold for everything."""
    fields = node.mapping(keys=vocabulary)
    if not fields:
        raise node.error("it is empty: it needs at least one condition")
    return tuple(vocabulary[key].parse(value, vocabulary) for key, value in sorted(fields.items()))


def _alternatives(node: Node, vocabulary: Mapping[str, type[Condition]]) -> tuple[Condition, ...]:
    """Return a condition for each mapping of a list; one with several keys is an `all` of them."""
    found: list[Condition] = []
    for item in node.sequence(minimum=1, maximum=MAX_PARTS):
        parts = read_parts(item, vocabulary)
        found.append(parts[0] if len(parts) == 1 else AllCondition(parts=parts))
    return tuple(found)


def _every(parts: Iterable[Condition]) -> Iterable[Condition]:
    for part in parts:
        yield part
        yield from _every(part.parts_inside)
