# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of the embedded engine for a bench alone, which can be stopped and forgotten by memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sifgate.config import Places
from sifgate.engine import postgres
from sifgate.engine.layout import Layout
from sifgate.store.database import Database

_WITHOUT = "clair,mirror,server,agent"


class OwnDatabase:
    """The engine below one directory, of which only the database runs."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._layout = Layout(Places.under(root))
        self.dsn = postgres.connection(self._layout, "sifgate", "sifgate")

    def start(self) -> None:
        """Start it."""
        self._sifgate("up", "--without", _WITHOUT)

    def stop(self) -> None:
        """Stop it."""
        self._sifgate("down")

    def restart(self) -> None:
        """Stop it, let the kernel forget its files, start it."""
        self.stop()
        for path in self._files():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
        self.start()

    def size(self) -> int:
        """Return the bytes of its files, write-ahead log left out."""
        return sum(path.stat().st_size for path in self._files() if "pg_wal" not in path.parts)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Give an open database of it."""
        opened = Database(self.dsn)
        opened.open()
        try:
            yield opened
        finally:
            opened.close()

    def _files(self) -> list[Path]:
        return [path for path in self._layout.database.rglob("*") if path.is_file()]

    def _sifgate(self, *words: str) -> None:
        command = [sys.executable, "-m", "sifgate.cli.main", "--root", str(self._root), *words]
        subprocess.run(command, check=True, capture_output=True)


@contextmanager
def running() -> Iterator[OwnDatabase]:
    """Run a database of one's own; its files are removed at the end."""
    root = Path(tempfile.mkdtemp(prefix="sgb"))
    root.chmod(0o755)  # PostgreSQL's own uid goes through it
    own = OwnDatabase(root)
    try:
        own.start()
        yield own
    finally:
        try:
            own.stop()
        finally:
            shutil.rmtree(root)
