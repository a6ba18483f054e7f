# SPDX-License-Identifier: Apache-2.0
"""The policies that come with sifgate: `observe` watches, `balanced` is where most sites end, `strict` goes further."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

PRESETS = ("observe", "balanced", "strict")


def preset(name: str) -> str:
    """Return the text of a preset, to be written as a policy file; raises KeyError for another name."""
    if name not in PRESETS:
        raise KeyError(name)
    return preset_path(name).read_text("utf-8")


def preset_path(name: str) -> Path:
    """Return where a preset of `PRESETS` lies."""
    return Path(str(resources.files("sifgate.policy"))) / "presets" / f"{name}.yaml"
