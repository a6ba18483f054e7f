# SPDX-License-Identifier: Apache-2.0
"""The flags of Apptainer and SingularityCE, all releases in one table, from `grammar.json`.

No flag takes a value in one release or product and none in another for the same command, so one union table
parses them all (checked over Apptainer 1.2.5 … 1.5.3 and SingularityCE 3.9.9 … 4.5.1). The file is written
by `testbed/reduce_flags.py`.
"""

from __future__ import annotations

import pkgutil

import msgspec


class Flags(msgspec.Struct, frozen=True):
    """The flags of one command."""

    bool: frozenset[str] = frozenset()
    value: frozenset[str] = frozenset()
    short: dict[str, str] = {}

    def __or__(self, other: Flags) -> Flags:
        """Return the flags of both."""
        return Flags(self.bool | other.bool, self.value | other.value, self.short | other.short)


class Grammar(msgspec.Struct, frozen=True):
    """The reduced table."""

    root: Flags
    shared: Flags
    """What every launching command has."""
    launching: dict[str, Flags]
    """Commands that start an image; the first positional is the image."""
    bundled: dict[str, Flags]
    """Commands that start an OCI bundle named by `--bundle`."""
    other: frozenset[str]
    """Every other command: none of them runs what is in an image."""
    transports: frozenset[str]
    """Transports that need no `//` after their colon."""
    environment: dict[str, tuple[str, ...]]
    """Flag → its variables, without `APPTAINER_` or `SINGULARITY_`, for flags that can inject content."""

    def flags(self, command: str) -> Flags | None:
        """Return the flags of a command that starts a container; None for any other."""
        own = self.launching.get(command)
        return self.shared | own if own is not None else self.bundled.get(command)


def _load() -> Grammar:
    data = pkgutil.get_data("sifgate.origin", "grammar.json")
    if data is None:  # only a loader without resources returns None
        raise RuntimeError("sifgate.origin: grammar.json is missing from the installation")
    return msgspec.json.decode(data, type=Grammar)


GRAMMAR = _load()
