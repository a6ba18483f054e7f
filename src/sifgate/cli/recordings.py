# SPDX-License-Identifier: Apache-2.0
"""Recorded launches as the command line names them: this node's log, the site's server, or a directory of reports."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from sifgate.audit.files import history, lines
from sifgate.cli.audit import since
from sifgate.cli.site import Site
from sifgate.config import Places, ServerSettings, load_settings, server_from_engine
from sifgate.errors import AuditError, ConfigError
from sifgate.model.verdict import Verdict
from sifgate.whatif.kept import Kept
from sifgate.whatif.launches import Intake
from sifgate.whatif.recorded import Verdicts
from sifgate.whatif.reports import Reports
from sifgate.whatif.simulate import Question
from sifgate.whatif.spool import Spool, merged
from sifgate.whatif.tally import Tally
from sifgate.whatif.workers import STEP, Progress, simulate_ordered, simulate_unordered

DEFAULT_SINCE = "30d"
SHOWN_PROBLEMS = 10


def add_recordings(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which launches are meant."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--site", action="store_true", help="launches of all nodes, from the server")
    source.add_argument(
        "--reports",
        type=Path,
        metavar="DIR",
        help="reports of `sifgate scan --format json`, or verdicts, *.json",
    )
    source.add_argument(
        "--log", type=Path, metavar="FILE", help="an audit log, with its rotated files (default: this node's)"
    )
    parser.add_argument(
        "--since",
        type=since,
        default=since(DEFAULT_SINCE),
        metavar="WHEN",
        help=f"launches from WHEN on: 24h, 30d, or an ISO date or time (default: {DEFAULT_SINCE})",
    )
    parser.add_argument("--until", type=since, metavar="WHEN", help="launches before WHEN (default: all)")
    parser.add_argument(
        "--processes", type=int, default=min(2, os.cpu_count() or 1), metavar="N", help=argparse.SUPPRESS
    )


class Recordings:
    """The launches that the options mean, ready to be simulated."""

    def __init__(self, arguments: argparse.Namespace, places: Places) -> None:
        self._places = places
        self._site: bool = arguments.site
        self._log: Path = arguments.log or places.log / "audit.jsonl"
        self._processes = max(1, arguments.processes)
        self._until: str = arguments.until or ""
        self.since: str = "" if arguments.reports else arguments.since
        self._reports = _reports(arguments.reports)
        self.intake = Intake(self.since, self._until)
        self._problems: list[str] = []

    @property
    def what(self) -> str:
        """What is read, for the progress line."""
        return "site" if self._site else "reports" if self._reports else str(self._log)

    @property
    def unreadable(self) -> int:
        """Lines, files and reports that could not be read."""
        return self.intake.unreadable + len(self._problems) + len(self._bad_reports)

    @property
    def problems(self) -> list[str]:
        """What could not be read, some of it by name."""
        named = [*self._problems, *self._bad_reports]
        more = [f"and {len(named) - SHOWN_PROBLEMS} more"] if len(named) > SHOWN_PROBLEMS else []
        torn = [f"{self.intake.unreadable} lines hold no record"] if self.intake.unreadable else []
        return [*named[:SHOWN_PROBLEMS], *more, *torn]

    def simulate(self, question: Question, progress: Progress) -> Tally:
        """Return the counts; raises AuditError, ServerUnreachable or ConfigError where there is nothing to read."""
        if self._site:
            site = Site(_server(self._places))
            exported = site.export(self.since, self._until)
            return simulate_ordered(question, exported, self.intake, _decoded(site), progress=progress)
        if self._reports is not None:
            found = self._reports
            return simulate_ordered(question, found.lines(), self.intake, found, progress=progress)
        return simulate_unordered(
            question,
            self._lines(),
            self.intake,
            Kept(self._places.state / "agent/evidence"),
            progress=progress,
            processes=self._processes,
        )

    @contextmanager
    def ordered(self, progress: Progress) -> Iterator[tuple[Callable[[], Iterable[bytes]], Verdicts]]:
        """Yield a function that begins the rows anew, ordered by verdict, and the verdicts; raises as `simulate`."""
        source: Iterator[bytes]
        verdicts: Verdicts
        if self._site:
            site = Site(_server(self._places))
            source, verdicts = site.export(self.since, self._until), _decoded(site)
        elif self._reports is not None:
            source, verdicts = self._reports.lines(), self._reports
        else:
            source, verdicts = self._lines(), Kept(self._places.state / "agent/evidence")
        spool = Spool()
        with closing(spool):
            for count, row in enumerate(self.intake.rows(source), 1):
                spool.add(row)
                if count % STEP == 0:
                    progress("read", count)
            runs = spool.runs()
            yield lambda: merged(runs), verdicts

    @property
    def _bad_reports(self) -> list[str]:
        return self._reports.unreadable if self._reports else []

    def _lines(self) -> Iterator[bytes]:
        """Yield the lines of the log and its rotated files; one that cannot be read is named and passed over."""
        files = history(self._log)
        if not files:
            raise ConfigError(
                f"{self._log}: no audit log",
                hint="--site asks the server, --reports reads a directory, --log names another log",
            )
        earliest = datetime.fromisoformat(self.since.replace("Z", "+00:00")).timestamp()
        for file in files:
            if file.stat().st_mtime < earliest:
                continue
            try:
                yield from (line for _, line in lines(file))
            except AuditError as error:
                if len(files) == 1:
                    raise
                self._problems.append(str(error))


def _reports(directory: Path | None) -> Reports | None:
    if directory is None:
        return None
    if not directory.is_dir():
        raise ConfigError(f"{directory}: no such directory of reports")
    return Reports(directory, datetime.now(timezone.utc))


def _server(places: Places) -> ServerSettings:
    """Return the server of the settings, else that of the embedded engine."""
    named = load_settings(places.etc / "sifgate.yaml").server
    return named if named.url else server_from_engine(places.run)


def _decoded(site: Site) -> Verdicts:
    """Return the server's verdicts by digest."""

    def verdict(digest: str) -> Verdict | None:
        body = site.verdict(digest)
        if body is None:
            return None
        try:
            return msgspec.json.decode(body, type=Verdict)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    return verdict
