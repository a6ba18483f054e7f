# SPDX-License-Identifier: Apache-2.0
"""Writes OpenVEX v0.2.0: one statement, refused where it would be against the format or set nothing aside."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from typing import Any

import msgspec

from sifgate.errors import ConfigError
from sifgate.model.purl import parse_purl
from sifgate.model.vex import VexStatus
from sifgate.vex.names import flaw_names
from sifgate.vex.openvex import CONTEXTS
from sifgate.vex.product import REGISTRY, digest_of
from sifgate.vex.words import JUSTIFICATIONS
from sifgate.yamlnode import is_visible, nearest, quoted

MAX_TEXT = 1000


class Draft(msgspec.Struct, frozen=True):
    """What a site wants to say."""

    author: str
    vulnerability: str
    status: VexStatus
    products: tuple[str, ...]
    """Package URLs, or SHA-256 digests of image files."""
    aliases: tuple[str, ...] = ()
    subcomponents: tuple[str, ...] = ()
    """Package URLs inside the images."""
    justification: str = ""
    impact: str = ""
    action: str = ""
    identity: str = ""
    """IRI of the document; empty: one is made."""


def openvex(draft: Draft, now: datetime) -> bytes:
    """Return the document as JSON; raises ConfigError for what the format or common sense forbids."""
    _check_texts(draft)
    _check_names(draft)
    _check_status(draft)
    _check_products(draft)
    stamp = now.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    vulnerability: dict[str, Any] = {"name": draft.vulnerability}
    if draft.aliases:
        vulnerability["aliases"] = list(dict.fromkeys(draft.aliases))
    statement = {
        "vulnerability": vulnerability,
        "timestamp": stamp,
        "products": [_product(product, draft.subcomponents) for product in dict.fromkeys(draft.products)],
        "status": draft.status.value,
        "justification": draft.justification,
        "impact_statement": draft.impact,
        "action_statement": draft.action,
    }
    document = {
        "@context": CONTEXTS[1],
        "@id": draft.identity or uuid.uuid4().urn,
        "author": draft.author,
        "timestamp": stamp,
        "version": 1,
        "statements": [{key: value for key, value in statement.items() if value}],
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def _check_texts(draft: Draft) -> None:
    if not draft.author:
        raise ConfigError(
            "a VEX document needs an author", hint="name yourself as the policy trusts you: --author"
        )
    for name in ("author", "justification", "impact", "action", "identity"):
        text: str = getattr(draft, name)
        if len(text) > MAX_TEXT or not all(map(is_visible, text)):
            raise ConfigError(
                f"{name}: expected one line of at most {MAX_TEXT} characters, got {quoted(text)}"
            )
    if draft.identity and ":" not in draft.identity:
        raise ConfigError(f"{quoted(draft.identity)} is no IRI: it needs a scheme, such as https: or urn:")


def _check_names(draft: Draft) -> None:
    for name in (draft.vulnerability, *draft.aliases):
        if not flaw_names(name, ()):
            raise ConfigError(f"{quoted(name)} is no identifier of a vulnerability, such as CVE-2026-1234")


def _check_status(draft: Draft) -> None:
    """Raise unless justification, impact and action stand where OpenVEX wants them, and nowhere else."""
    settled = draft.status is VexStatus.NOT_AFFECTED
    if draft.justification and draft.justification not in JUSTIFICATIONS:
        close = nearest(draft.justification, JUSTIFICATIONS)
        raise ConfigError(
            f"{quoted(draft.justification)} is no justification of OpenVEX{close}: {', '.join(JUSTIFICATIONS)}"
        )
    if settled and not draft.justification and not draft.impact:
        raise ConfigError("not_affected needs a justification or an impact statement")
    if not settled and (draft.justification or draft.impact):
        raise ConfigError(f"{draft.status.value} takes neither justification nor impact statement")
    if (draft.status is VexStatus.AFFECTED) is not bool(draft.action):
        raise ConfigError("affected needs an action statement, and nothing else takes one")


def _check_products(draft: Draft) -> None:
    if not draft.products:
        raise ConfigError("a statement without products says nothing", hint="--product PURL, or --image FILE")
    images = [product for product in draft.products if digest_of(product)]
    for purl in (*(set(draft.products) - set(images)), *draft.subcomponents):
        try:
            parts = parse_purl(purl)
        except ValueError as error:
            raise ConfigError(
                f"{quoted(purl)}: {error}", hint="for example pkg:deb/debian/curl@7.88.1-10"
            ) from None
        if parts.type in REGISTRY:
            raise ConfigError(f"{quoted(purl)}: an image is known by the digest of its file: --image FILE")
        if draft.status is VexStatus.FIXED and not parts.version and purl in draft.products:
            raise ConfigError(f"{quoted(purl)}: fixed needs the version that is fixed")
    if draft.subcomponents and len(images) < len(draft.products):
        raise ConfigError(
            "only images have components here: which package holds which is not known of an image"
        )


def _product(product: str, subcomponents: tuple[str, ...]) -> dict[str, Any]:
    digest = digest_of(product)
    if not digest:
        return {"@id": product, "identifiers": {"purl": product}}
    made: dict[str, Any] = {"@id": f"urn:{digest}", "hashes": {"sha-256": digest.removeprefix("sha256:")}}
    if subcomponents:
        made["subcomponents"] = [{"@id": purl, "identifiers": {"purl": purl}} for purl in subcomponents]
    return made
