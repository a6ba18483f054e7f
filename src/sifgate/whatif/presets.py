# SPDX-License-Identifier: Apache-2.0
"""The policies that sifgate ships for a site to begin with."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

PRESETS = ("observe", "balanced", "strict")


def preset_path(name: str) -> Path:
    """Return where a preset of `PRESETS` lies."""
    return Path(str(resources.files("sifgate.policy"))) / "presets" / f"{name}.yaml"
