# SPDX-License-Identifier: Apache-2.0
"""Reads the image stores that the site vouches for."""

from __future__ import annotations

from collections.abc import Iterable

from sifgate.policy.read_match import read_match
from sifgate.policy.read_rules import read_identifier
from sifgate.policy.scopes import IMAGE_FIELDS
from sifgate.policy.trust import Skip, TrustedStore
from sifgate.yamlnode import Node, quoted

MAX_STORES = 100
SKIPS = tuple(skip.value for skip in Skip)


def read_trust(files: Iterable[dict[str, Node]]) -> tuple[TrustedStore, ...]:
    """Return the stores of all files in order."""
    stores: dict[str, TrustedStore] = {}
    for fields in files:
        for node in fields["trust"].sequence(minimum=1, maximum=MAX_STORES) if "trust" in fields else ():
            store = _store(node)
            if store.id in stores:
                raise node.mapping()["id"].error(f"the store id {quoted(store.id)} is taken")
            stores[store.id] = store
    return tuple(stores.values())


def _store(node: Node) -> TrustedStore:
    fields = node.mapping(keys=("id", "match", "skip"), required=("id", "match", "skip"))
    match = read_match(fields["match"], IMAGE_FIELDS)
    if not (match.owner or match.signed_by):
        raise fields["match"].error(
            'a path alone is not enough, somebody may put a file there: add "owner" or "signed_by"'
        )
    return TrustedStore(
        id=read_identifier(fields["id"]), match=match, skip=Skip(fields["skip"].choice(SKIPS))
    )
