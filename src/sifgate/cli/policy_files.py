# SPDX-License-Identifier: Apache-2.0
"""The policies that a question on the command line is about: the candidate, and the one in force."""

from __future__ import annotations

from pathlib import Path

from sifgate.config import Places
from sifgate.errors import ConfigError
from sifgate.policy.document import Policy
from sifgate.policy.load import load_policy
from sifgate.policy.preset import PRESETS, preset_path


def in_force(places: Places) -> Path:
    """Return where the policy in force is: the machine's for a user who has none of his own."""
    own = places.etc / "policy.yaml"
    machine = Places.of_system().etc / "policy.yaml"
    return machine if places == Places.here() and not own.exists() else own


def named_policy(path: Path) -> Path:
    """Return the path; raises ConfigError where there is no such file."""
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such policy file", hint="name one, or write one: `sifgate policy init`"
        )
    return path


def candidate_policy(path: Path) -> Policy:
    """Return the policy in a file, or a preset by its name; raises ConfigError for neither, PolicyError."""
    if str(path) in PRESETS and not path.exists():
        return load_policy(preset_path(str(path)))
    return load_policy(named_policy(path))


def present_policy(named: str, places: Places) -> Policy | None:
    """Return the policy to compare with: `named`, else the one in force; None for `none` or where there is none."""
    if named == "none":
        return None
    if named:
        return candidate_policy(Path(named))
    path = in_force(places)
    return load_policy(path) if path.is_file() else None
