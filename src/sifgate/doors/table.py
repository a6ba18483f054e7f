# SPDX-License-Identifier: Apache-2.0
"""The doors by name, each imported when it is asked for: what is broken in one keeps no other from being taken away."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator

from sifgate.doors.door import Door
from sifgate.errors import ConfigError

MODULES: dict[str, str] = {
    "spank": "spank",
    "submit": "submit",
    "prolog": "prolog",
    "wrapper": "wrapper",
    "apptainer-plugin": "apptainer_plugin",
    "oci-hook": "oci",
    "enroot-hook": "enroot",
    "guard": "guard",
}
"""Each door's word (`sifgate WORD install`) and the module of `sifgate.doors` whose `DOOR` it is; order:
`submit` speaks through `spank`, and the guard is the last to see a launch."""


def find(name: str) -> Door:
    """Return a door; raises ConfigError where there is none of this name, or its code cannot be loaded."""
    module = MODULES.get(name)
    if module is None:
        raise ConfigError(f"{name}: no door (there are: {', '.join(MODULES)})")
    try:
        door: Door = importlib.import_module(f"sifgate.doors.{module}").DOOR
    except Exception as error:
        raise ConfigError(
            f"{name}: its code cannot be loaded: {error}", hint="install the packages of sifgate again"
        ) from error
    return door


def named(names: Iterable[str]) -> Iterator[str]:
    """Yield the names of doors that were asked for, all where none was; raises ConfigError for a word that is none."""
    chosen = list(names)
    for name in chosen:
        if name not in MODULES:
            raise ConfigError(f"{name}: no door (there are: {', '.join(MODULES)})")
    yield from (name for name in MODULES if not chosen or name in chosen)
