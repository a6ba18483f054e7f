# SPDX-License-Identifier: Apache-2.0
"""dpkg's record that a package's file belongs under another name; the files themselves are not touched here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from sifgate.errors import ConfigError

_ADMIN = "var/lib/dpkg"
_LIMIT_S = 60


class Diversion:
    """One file of a tree, as dpkg knows it, and the name under which packages are to write it."""

    def __init__(self, tree: Path, path: Path, target: Path) -> None:
        """Both paths as seen inside the tree."""
        self._admin = tree / _ADMIN
        self.path = path
        self.target = target

    @property
    def is_owned(self) -> bool:
        """Return whether a package of this tree owns the file, under whatever name it lies."""
        if not (self._admin / "status").is_file():
            return False
        found = self._run("dpkg-query", "--search", str(self.path))
        owners = [
            line
            for line in found.stdout.splitlines()
            if not line.startswith(("diversion by ", "local diversion "))
        ]
        return found.returncode == 0 and bool(owners)

    @property
    def is_recorded(self) -> bool:
        """Return whether packages write the file under the target's name."""
        if not (self._admin / "status").is_file():
            return False
        return self._run("dpkg-divert", "--truename", str(self.path)).stdout.strip() == str(self.target)

    def record(self) -> None:
        """Have packages write the file under the target's name; raises ConfigError where dpkg does not want that."""
        self._change("--add")

    def forget(self) -> None:
        """Have packages write the file under its own name again; raises ConfigError where dpkg does not want that."""
        self._change("--remove")

    def _change(self, how: str) -> None:
        done = self._run(
            "dpkg-divert", "--quiet", "--no-rename", "--divert", str(self.target), how, str(self.path)
        )
        if done.returncode != 0:
            raise ConfigError(f"dpkg-divert {how} {self.path}: {(done.stderr or done.stdout).strip()}")

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a tool of dpkg on the tree's records; in a maintainer script its own variables would name others."""
        if shutil.which(program) is None:
            raise ConfigError(
                f"{self.path} is dpkg's, and there is no {program} here", hint="run it inside the tree"
            )
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DPKG_")}
        return subprocess.run(
            [program, "--admindir", str(self._admin), *words],
            env={**kept, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_S,
        )
