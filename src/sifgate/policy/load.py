# SPDX-License-Identifier: Apache-2.0
"""Reads a policy: the main file, then `policy.d/*.yaml` beside it in name order.

Rules and scopes of all files are appended in that order; of any other key the last file wins, and of the keys
inside `scan_states`, `failure` and `suppress` likewise.
"""

from __future__ import annotations

from pathlib import Path

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.document import Policy
from sifgate.policy.read import policy_from
from sifgate.yamlnode import Node


def load_policy(path: Path) -> Policy:
    """Return the policy at `path`; raises PolicyError with its place. Does not check ownership."""
    return policy_from([_document(file) for file in policy_files(path)])


def policy_files(path: Path) -> tuple[Path, ...]:
    """Return every file that the policy at `path` is read from, in order, for the caller to check."""
    directory = path.parent / "policy.d"
    try:
        entries = sorted(entry for entry in directory.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        return (path,)
    except OSError as error:
        raise PolicyError(f"{directory}: cannot be read: {error.strerror or error}") from error
    for entry in entries:
        if entry.suffix == ".yml":
            hint = f"rename it to {entry.stem}.yaml, or move it away"
            raise PolicyError(f"{entry}: not read: policy files end in .yaml", hint=hint)
    return (path, *(entry for entry in entries if entry.suffix == ".yaml"))


def _document(path: Path) -> Node:
    return yamlfile.load(path, failure=PolicyError)
