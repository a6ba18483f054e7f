# SPDX-License-Identifier: Apache-2.0
"""Whether a statement can set a finding aside at all, and if not why, in words; pure."""

from __future__ import annotations

from collections.abc import Iterable

from sifgate.model.purl import parse_purl
from sifgate.model.vex import VexStatement, VexStatus
from sifgate.vex.document import VexDocument
from sifgate.vex.match import SETTLING
from sifgate.vex.trust import is_trusted


def why_without_effect(document: VexDocument, statement: VexStatement, trusted: Iterable[str]) -> str:
    """Return why a statement sets nothing aside; empty where it does once its product is met."""
    fixed = statement.status is VexStatus.FIXED
    obstacles = (
        (not is_trusted(document.author, trusted), "its author is not trusted"),
        (document.draft, "the document is a draft"),
        (not statement.vulnerabilities, "it names no vulnerability that is known here"),
        (statement.status not in SETTLING, f"{statement.status.value}: the finding counts"),
        (not statement.products, "it names no product that an image shows"),
        (fixed and not any(map(_exact, statement.products)), "it does not say which version is fixed"),
    )
    return next((why for stands, why in obstacles if stands), "")


def _exact(product: str) -> bool:
    return product.startswith("sha256:") or bool(parse_purl(product).version)
