# SPDX-License-Identifier: Apache-2.0
"""The policies that come with sifgate: `observe` watches, `balanced` is where most sites end, `strict` goes further."""

from __future__ import annotations

from importlib import resources

PRESETS = ("observe", "balanced", "strict")


def preset(name: str) -> str:
    """Return the text of a preset, to be written as a policy file; raises KeyError for another name."""
    if name not in PRESETS:
        raise KeyError(name)
    return (resources.files("sifgate.policy") / "presets" / f"{name}.yaml").read_text("utf-8")
