# SPDX-License-Identifier: Apache-2.0
"""Image stores that the site vouches for."""

from __future__ import annotations

from enum import Enum

import msgspec

from sifgate.policy.scopes import ScopeMatch


class Skip(str, Enum):
    """What is not asked of an image from a trusted store; failures of sifgate itself always count."""

    RULES = "rules"
    """Rules and `default_action`."""
    ALL = "all"
    """Scan states and freshness too."""


class TrustedStore(msgspec.Struct, frozen=True):
    """Images that are not judged by the rules: by where they lie and whose they are, or by signature."""

    id: str
    match: ScopeMatch
    """Of its fields only `path`, `owner` and `signed_by`, and never a path alone."""
    skip: Skip = Skip.RULES
