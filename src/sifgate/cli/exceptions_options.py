# SPDX-License-Identifier: Apache-2.0
"""What the tasks of `sifgate exceptions` share: their options, and where the policy keeps its exceptions."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from sifgate.cli.policy_files import in_force
from sifgate.config import Places
from sifgate.errors import ConfigError
from sifgate.policy.exceptions.limits import MAX_DAYS
from sifgate.policy.sources import PolicySources


def add_policy(parser: argparse.ArgumentParser) -> None:
    """Add `--policy`."""
    parser.add_argument("--policy", type=Path, metavar="FILE", help="default: the policy in force")


def policy_file(named: Path | None, places: Places) -> Path:
    """Return the policy's main file; raises ConfigError where there is none."""
    path = named or in_force(places)
    if not path.is_file():
        raise ConfigError(f"{path}: no such policy file", hint="--policy FILE names one")
    return path


def directory_of(sources: PolicySources) -> Path:
    """Return the exceptions directory; raises ConfigError where the policy names none."""
    if not sources.exception_directory:
        raise ConfigError(
            "the policy names no directory of exceptions",
            hint="put `exceptions: {directory: /etc/sifgate/exceptions.d}` into it and create the directory",
        )
    return Path(sources.exception_directory)


def days(text: str) -> int:
    """Return the number of days that `30d` or `30` means; raises ArgumentTypeError."""
    parts = re.fullmatch(r"([0-9]{1,5})d?", text, re.ASCII)
    if parts is None or int(parts[1]) > MAX_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days such as 30d")
    return int(parts[1])
