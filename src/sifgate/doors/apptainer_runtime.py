# SPDX-License-Identifier: Apache-2.0
"""One Apptainer on a node, and where its build says that its things lie."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sifgate.errors import ConfigError

PLUGIN = "sifgate"
"""As the manifest of our plugin calls it."""
CANARY = "pkg/plugin/plugin.go"
"""By which `apptainer plugin compile` knows its source tree."""
CALL_LIMIT = 20.0
Done = subprocess.CompletedProcess[str]


def entering(tree: Path) -> list[str]:
    """Return the words before a command that is to run in `tree`; a tree needs its own /proc to compile in."""
    return [] if tree == Path("/") else ["chroot", str(tree)]


class Manifest(msgspec.Struct, frozen=True):
    """What an installed plugin says of itself."""

    version: str = ""


class Runtime:
    """One Apptainer below the root `tree`."""

    def __init__(self, tree: Path, program: str) -> None:
        """Ask the runtime where its things lie; raises ConfigError where there is none.

        One that ends every command because of a plugin says it no more, but still lists its plugins: `places` is then
        empty.
        """
        self.tree = tree
        self.program = program
        self.places = self._ask()
        if not self.places and PLUGIN not in self.call("plugin", "list").stdout.split():
            raise ConfigError(f"{program}: does not say where it keeps plugins (`{program} buildcfg`)")

    def _ask(self) -> dict[str, str]:
        lines = self.call("buildcfg").stdout.splitlines()
        places = dict(line.split("=", 1) for line in lines if "=" in line)
        return places if "PLUGIN_ROOTDIR" in places else {}

    def recover(self) -> None:
        """Disable a plugin that keeps the runtime from saying anything, and ask again; raises ConfigError."""
        if not self.places:
            self.done("plugin", "disable", PLUGIN)
            self.places = self._ask()
        if not self.places:
            raise ConfigError(f"{self.program}: does not work without our plugin either: {self.complaint()}")

    def complaint(self) -> str:
        """Return why the runtime does not load its plugins, "" where it does: one of another build ends it."""
        ended = self.call("--version")
        return "" if ended.returncode == 0 else ended.stderr.strip()[-300:]

    @property
    def label(self) -> str:
        """Return its name and version, for one line."""
        return f"{self.program} {self.places.get('PACKAGE_VERSION', '')}".rstrip()

    @property
    def home(self) -> Path:
        """Return where our plugin lies once it is installed."""
        return self.inside(self.places["PLUGIN_ROOTDIR"]) / PLUGIN

    def inside(self, path: str | Path) -> Path:
        """Return a path of the tree as this process sees it."""
        return self.tree / str(path).lstrip("/")

    def source(self, chosen: str) -> str:
        """Return the source tree: the chosen one, else the one above the build directory; "" where it is not there."""
        built = self.places.get("BUILDDIR", "")
        source = chosen or (str(Path(built).parent) if built.startswith("/") else "")
        return source if source and self.inside(source).joinpath(CANARY).is_file() else ""

    def call(
        self, *words: str, limit: float = CALL_LIMIT, environment: Mapping[str, str] | None = None
    ) -> Done:
        """Run one of its commands; raises ConfigError where it cannot be started or does not end."""
        command = [*entering(self.tree), self.program, *words]
        try:
            return subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, errors="backslashreplace", timeout=limit, check=False,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigError(f"{self.program}: cannot be run: {error}") from error

    def done(
        self, *words: str, limit: float = CALL_LIMIT, environment: Mapping[str, str] | None = None
    ) -> None:
        """Run one of its commands; raises ConfigError with its last words where it fails."""
        ended = self.call(*words, limit=limit, environment=environment)
        if ended.returncode != 0:
            said = (ended.stderr or ended.stdout).strip()[-600:]
            raise ConfigError(f"`{self.program} {' '.join(words[:2])}` ended with {ended.returncode}: {said}")

    def installed(self) -> str:
        """Return the version of our plugin that lies there, "" where none does."""
        if not self.places:
            return "?"
        try:
            text = (self.home / "object.manifest").read_bytes()
            return msgspec.json.decode(text, type=Manifest).version or "?"
        except (OSError, msgspec.DecodeError):
            return ""

    def enabled(self) -> bool:
        """Return whether the runtime loads it (its own record: `<sha256 of the name>.meta`)."""
        if not self.places:
            return True
        record = self.home.parent / f"{hashlib.sha256(PLUGIN.encode()).hexdigest()}.meta"
        try:
            return b'"Enabled":true' in record.read_bytes()
        except OSError:
            return False
