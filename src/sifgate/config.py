# SPDX-License-Identifier: Apache-2.0
"""Where sifgate keeps its files, and the settings in `sifgate.yaml`."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class Places(msgspec.Struct, frozen=True):
    """The five directories of docs/protocol.md §3."""

    etc: Path
    run: Path
    state: Path
    log: Path
    cache: Path

    @classmethod
    def under(cls, root: Path) -> Places:
        """Return the places below one directory (`--root DIR`)."""
        return cls(etc=root / "etc", run=root / "run", state=root / "state", log=root / "log", cache=root / "cache")

    @classmethod
    def of_system(cls) -> Places:
        """Return the places of an installation that root runs."""
        return cls(
            etc=Path("/etc/sifgate"),
            run=Path("/run/sifgate"),
            state=Path("/var/lib/sifgate"),
            log=Path("/var/log/sifgate"),
            cache=Path("/var/cache/sifgate"),
        )

    @classmethod
    def of_user(cls, environment: dict[str, str], home: Path) -> Places:
        """Return the XDG places of a user (base directory specification 0.8: relative values are ignored)."""

        def base(name: str, default: Path) -> Path:
            value = environment.get(name, "")
            return Path(value) if value.startswith("/") else default

        state = base("XDG_STATE_HOME", home / ".local/state") / "sifgate"
        runtime = base("XDG_RUNTIME_DIR", state / "run")
        return cls(
            etc=base("XDG_CONFIG_HOME", home / ".config") / "sifgate",
            run=runtime / "sifgate" if runtime != state / "run" else runtime,
            state=state,
            log=state / "log",
            cache=base("XDG_CACHE_HOME", home / ".cache") / "sifgate",
        )

    @classmethod
    def here(cls, root: str = "") -> Places:
        """Return the places for this process: `root` if given, the system's for uid 0, else the user's."""
        if root:
            return cls.under(Path(root).resolve())
        if os.geteuid() == 0:
            return cls.of_system()
        return cls.of_user(dict(os.environ), Path.home())
