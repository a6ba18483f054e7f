# SPDX-License-Identifier: Apache-2.0
"""An offline bundle of advisories (`clairctl export-updaters`), handed to Clair's own importer.

The importer runs as Clair's uid and gets the file as its standard input: it need not be able to open it. An operation
that Clair holds already is skipped, so importing at each start costs little.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec
import zstandard

from sifgate import fsguard
from sifgate.engine import clair
from sifgate.engine.accounts import Account
from sifgate.engine.layout import Layout
from sifgate.engine.settings import EngineSettings
from sifgate.errors import EngineError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_HINT = "make one on a connected host: clairctl export-updaters FILE"


class _Line(msgspec.Struct):
    updater: str = msgspec.field(name="Updater")
    date: datetime = msgspec.field(name="Date")


class Import:
    """One run of `clairctl import-updaters`."""

    def __init__(self, layout: Layout, settings: EngineSettings, account: Account) -> None:
        path = Path(settings.advisories.path)
        fsguard.check(path, owner_uid=os.geteuid())
        self._log = layout.log("import")
        descriptor = os.open(
            self._log, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        words = [str(layout.program.with_name("clairctl")), "--config", str(clair.configuration_file(layout))]
        words += ["import-updaters", *_compression(path), "-"]
        try:
            with path.open("rb") as stream:
                self._process = subprocess.Popen(
                    words, cwd="/", env=clair.environment(layout, settings), stdin=stream, stdout=descriptor,
                    stderr=descriptor, start_new_session=True, **account.arguments(),
                )  # fmt: skip
        finally:
            os.close(descriptor)

    def is_done(self) -> bool:
        """Return whether it has ended well; raises `EngineError` if it has failed."""
        code = self._process.poll()
        if code:
            words = self._log.read_text(errors="replace").strip()[-400:]
            raise EngineError(f"the bundle of advisories cannot be imported: {words}", hint=_HINT)
        return code == 0

    def stop(self) -> None:
        """End it, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def dates(path: Path) -> dict[str, datetime]:
    """Return the date of each updater's data in a bundle: Clair itself would show the day of the import.

    Raises `EngineError` for a file that is no bundle.
    """
    found: dict[str, datetime] = {}
    decoder = msgspec.json.Decoder(_Line)
    try:
        with path.open("rb") as raw:
            for line in _lines(raw):
                entry = decoder.decode(line)
                found[entry.updater] = entry.date
    except (OSError, EOFError, msgspec.DecodeError, zstandard.ZstdError) as error:
        raise EngineError(f"{path}: not a bundle of advisories: {error}", hint=_HINT) from error
    if not found:
        raise EngineError(f"{path}: an empty bundle of advisories", hint=_HINT)
    return found


def _magic(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(4)


def _compression(path: Path) -> list[str]:
    magic = _magic(path)
    return ["--gzip"] if magic.startswith(_GZIP) else ["--zstd"] if magic == _ZSTD else []


def _lines(raw: IO[bytes]) -> Iterator[bytes]:
    magic = raw.read(4)
    raw.seek(0)
    if magic.startswith(_GZIP):
        yield from gzip.GzipFile(fileobj=raw)
    elif magic == _ZSTD:
        yield from io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw))
    else:
        yield from raw
