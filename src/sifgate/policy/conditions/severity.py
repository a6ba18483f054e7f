# SPDX-License-Identifier: Apache-2.0
"""`severity: ">= high"`, or a list of words."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping

from sifgate.model.finding import Finding, Severity
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node

_COMPARISON = re.compile(r"(>=|<=|>|<|=)\s*([A-Za-z]+)")
_OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq}
_WORDS = tuple(severity.name.lower() for severity in Severity)
_KNOWN = tuple(severity for severity in Severity if severity is not Severity.UNKNOWN)


class SeverityCondition(Condition, frozen=True):
    """Whether the severity is one of those named; `unknown` severity is missing data unless it is named."""

    key = "severity"
    of_findings = True

    accepted: tuple[Severity, ...]
    """Ascending."""

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> SeverityCondition:
        """Return the condition; a bare word is refused, since it may be meant as "at least" or "exactly"."""
        del vocabulary
        if node.is_sequence:
            named = {_severity(item, item.text()) for item in node.sequence(minimum=1)}
            return cls(accepted=tuple(sorted(named)))
        return cls(accepted=_compared(node))

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the finding's severity is accepted."""
        del situation
        if finding.severity in self.accepted:
            return Truth.TRUE
        return Truth.UNKNOWN if finding.severity is Severity.UNKNOWN else Truth.FALSE

    def reads(self) -> frozenset[str]:
        """Return `severity`."""
        return frozenset({"severity"})

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `critical`, `high or critical`."""
        del situation
        if len(self.accepted) == len(Severity):
            return Phrase()
        return Phrase(before=" or ".join(severity.name.lower() for severity in self.accepted))


def _compared(node: Node) -> tuple[Severity, ...]:
    text = node.text()
    parts = _COMPARISON.fullmatch(text.strip())
    if parts is None:
        raise _ambiguous(node, text)
    border = _severity(node, parts[2])
    if border is Severity.UNKNOWN:
        if parts[1] == "=":
            return (border,)
        raise node.error('"unknown" has no place on the scale: write "= unknown", or a list that holds it')
    accepted = tuple(severity for severity in _KNOWN if _OPERATORS[parts[1]](severity, border))
    if not accepted:
        raise node.error(f'no severity is "{text}"')
    return accepted


def _ambiguous(node: Node, text: str) -> Exception:
    if text.strip().lower() in _WORDS:
        word = text.strip().lower()
        return node.error(f'say which: ">= {word}" (at least) or "= {word}" (exactly)')
    return node.expected('a comparison such as ">= high", or a list of severities')


def _severity(node: Node, word: str) -> Severity:
    if word.lower() not in _WORDS:
        text = f'"{word[:60]}" is no severity; valid: {", ".join(_WORDS)}'
        raise node.error(text, word=word.lower(), valid=_WORDS)
    return Severity.parse(word)
