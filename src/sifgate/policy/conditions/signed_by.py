# SPDX-License-Identifier: Apache-2.0
"""`signed_by: ["1111…"]`, or `any`: which of the site's keys have signed the whole image."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sifgate.model.finding import Finding
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node, quoted

ANY = "any"
_FINGERPRINT = re.compile(r"[0-9A-F]{40}([0-9A-F]{24})?", re.ASCII)
_TAIL = 16
"""Digits of a fingerprint that people compare."""


class SignedByCondition(Condition, frozen=True):
    """Whether one of these keys has a valid signature over all of the image; unknown where nobody has looked."""

    key = "signed_by"
    of_findings = False
    of_verdict = False

    keys: tuple[str, ...] = ()
    """Upper-case fingerprints; empty: any key of the site's key ring."""

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> SignedByCondition:
        """Return the condition for `any`, one fingerprint, or a list of them."""
        del vocabulary
        if node.content == ANY:
            return cls()
        return cls(keys=tuple(sorted(set(node.one_or_more(read_key)))))

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether one of the keys has signed."""
        del finding
        signers = situation.launch.image.signers
        if signers is None:
            return Truth.UNKNOWN
        return Truth.of(bool(signers) if not self.keys else not set(self.keys).isdisjoint(signers))

    def launch_fields(self) -> frozenset[str]:
        """Return `image.signers`."""
        return frozenset({"image.signers"})

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `the image has no signature of a site key`."""
        signers = situation.launch.image.signers
        if signers is None:
            return Phrase(tail="the image's signatures are not known")
        if not signers:
            return Phrase(tail="the image has no signature of a site key")
        return Phrase(tail=f"the image is signed by {', '.join(key[-_TAIL:] for key in signers)}")


def read_key(node: Node) -> str:
    """Return the fingerprint of a key, upper case, without the spaces that programs print in it."""
    text = node.text(maximum=100)
    found = text.replace(" ", "").upper().removeprefix("0X")
    if not text.isascii() or not _FINGERPRINT.fullmatch(found):
        raise node.error(f"expected the 40 or 64 hex digits of a key's fingerprint, got {quoted(text)}")
    return found
