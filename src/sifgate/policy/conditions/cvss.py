# SPDX-License-Identifier: Apache-2.0
"""`cvss: ">= 7.0"`, or `{score: ">= 7.0", version: "3.1"}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sifgate.model.finding import Finding, Score
from sifgate.policy.conditions.column import Column
from sifgate.policy.conditions.comparison import Comparison, read_number
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node

VERSIONS = {"2.0": ("2.0",), "3.x": ("3.0", "3.1"), "3.0": ("3.0",), "3.1": ("3.1",), "4.0": ("4.0",)}
"""Words of a policy, and the versions of the standard that they mean."""
HIGHEST = 10


class CvssCondition(Condition, frozen=True):
    """Whether the base score stands on the right side of a border; of several versions the highest score counts.

    Scores are compared in tenths, as CVSS defines them. Without `version` the highest score of all is meant.
    """

    key = "cvss"
    of_findings = True

    score: Comparison
    version: tuple[str, ...] = ()

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> CvssCondition:
        """Return the condition for a comparison, or for a mapping of `score` and `version`."""
        del vocabulary
        if not node.is_mapping:
            return cls(score=read_number(node, maximum=HIGHEST, places=1))
        fields = node.mapping(keys=("score", "version"), required=("score",))
        words = fields["version"].one_or_more(_version) if "version" in fields else ()
        versions = {version for word in words for version in VERSIONS[word]}
        score = read_number(fields["score"], maximum=HIGHEST, places=1)
        return cls(score=score, version=tuple(sorted(versions)))

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the score fits; unknown where there is none of these versions."""
        del situation
        return self._of_versions()(finding.scores) if self.version else self._answers()(finding.cvss)

    def reads(self) -> frozenset[str]:
        """Return `cvss`, or `scores` where versions are named."""
        return frozenset({"scores" if self.version else "cvss"})

    def columns(self, situation: Situation) -> tuple[Column, ...]:
        """Return on which side of the border the score stands."""
        del situation
        if self.version:
            return (Column(("scores",), self._of_versions()),)
        return (Column(("cvss",), self._answers()),)

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `with a CVSS score of at least 7.0 (version 3.1)`."""
        del situation
        versions = f" (version {' or '.join(self.version)})" if self.version else ""
        return Phrase(after=f"with a CVSS score of {self.score.say('{:.1f}'.format)}{versions}")

    def _of_versions(self) -> Callable[[tuple[Score, ...]], Truth]:
        """Return what tells the answer for scores by version, quick for thousands of them."""
        answer, versions = self._answers(), self.version

        def answer_of(scores: tuple[Score, ...]) -> Truth:
            highest = -1.0
            for each in scores:
                if each.score > highest and each.version in versions:
                    highest = each.score
            return answer(highest)

        return answer_of

    def _answers(self) -> Callable[[float], Truth]:
        """Return what tells the answer for a score."""
        holds = self.score.checker()

        def answer(value: float) -> Truth:
            if not 0 <= value <= HIGHEST:
                return Truth.UNKNOWN
            return Truth.TRUE if holds(round(value, 1)) else Truth.FALSE

        return answer


def _version(node: Node) -> str:
    return node.choice(VERSIONS)
