# SPDX-License-Identifier: Apache-2.0
"""`sifgate audit export` and `sifgate audit pseudonym`: records for other programs, and what a pseudonym stands for."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from sifgate.audit import query
from sifgate.audit.files import history, lines
from sifgate.audit.pseudonym import Pseudonyms, read_key
from sifgate.audit.record import AuditRecord, decode, encode
from sifgate.audit.verify import sorted_files
from sifgate.cli.main import ALLOWED, UNDECIDED
from sifgate.config import AuditSettings, Places, load_settings
from sifgate.errors import AuditError, ConfigError
from sifgate.render.escape import printable

EPILOG = """\
examples:
  sifgate audit export --format csv --since 30d > launches.csv
  sifgate audit export --format syslog --to udp:loghost.site.example:514 --action block
  sifgate audit export --format journald --since 1h

Reads the log itself, oldest first, packed files included. Fields named in `audit.pseudonymise` come out as
pseudonyms, except with --clear.
exit codes: 0 done, 2 usage or configuration, 3 some lines or files could not be read
"""
PSEUDONYM_EPILOG = """\
examples:
  sifgate audit pseudonym alice
  sifgate audit query --site --user "$(sifgate audit pseudonym alice)"
"""
FORMATS = ("json", "csv", "syslog", "journald")


def register(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both parsers."""
    from sifgate.cli.audit import add_filters, since

    parser = tasks.add_parser(
        "export",
        help="write records as JSON lines, CSV, syslog messages or journal entries",
        description="Write records as JSON lines, CSV, syslog messages (RFC 5424) or journal entries.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--format", choices=FORMATS, required=True, help="form of the output")
    parser.add_argument(
        "--to",
        default="",
        metavar="WHERE",
        help="syslog: - or unix:/dev/log, udp:HOST:PORT, tcp:HOST:PORT; journald: its socket (default: where it is)",
    )
    parser.add_argument("--since", type=since, metavar="WHEN", help="newer than WHEN: 24h, 7d, a date")
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="a log, with its rotated files (default: this node's)"
    )
    parser.add_argument("--clear", action="store_true", help="no pseudonyms")
    add_filters(parser)
    told = tasks.add_parser(
        "pseudonym",
        help="tell the pseudonym of a user, path or number",
        description="Tell the pseudonym of a name, path or number, with the site's key.",
        epilog=PSEUDONYM_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    told.add_argument(
        "names", nargs="+", metavar="NAME", help="a user, group, account, path or word; a uid or gid"
    )


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Write all records that match; say what could not be read."""
    settings = load_settings(places.etc / "sifgate.yaml").audit
    reading = Reading(arguments, places, _disguise(settings) if not arguments.clear else _as_it_is)
    _WRITERS[arguments.format](reading.records(), arguments.to)
    sys.stdout.flush()
    for problem in reading.problems:
        print(f"sifgate: {printable(problem)}", file=sys.stderr)
    return UNDECIDED if reading.problems else ALLOWED


def tell(arguments: argparse.Namespace, places: Places) -> int:
    """Print the pseudonyms of names, one a line, in their order; of a number those of uid and text."""
    settings = load_settings(places.etc / "sifgate.yaml").audit
    pseudonyms = Pseudonyms(read_key(settings.pseudonym_key), ())
    for name in arguments.names:
        number = f" {pseudonyms.of_number(int(name))}" if name.isdecimal() else ""
        print(pseudonyms.of(name) + number)
    return ALLOWED


class Reading:
    """The records of a log that match, oldest first."""

    def __init__(
        self, arguments: argparse.Namespace, places: Places, disguise: Callable[[AuditRecord], AuditRecord]
    ) -> None:
        from sifgate.cli.audit import FILTERS

        self._log: Path = arguments.log or places.log / "audit.jsonl"
        self._disguise = disguise
        given = {name: str(value) for name, _, _ in FILTERS if (value := getattr(arguments, name))}
        try:
            self._wanted = query.matcher({**given, **({"since": arguments.since} if arguments.since else {})})
        except ValueError as error:
            raise ConfigError(str(error)) from error
        self._unreadable = 0
        self._files: list[str] = []

    @property
    def problems(self) -> list[str]:
        """What could not be read, in words."""
        torn = [f"{self._unreadable} lines hold no record"] if self._unreadable else []
        return [*self._files, *torn]

    def records(self) -> Iterator[AuditRecord]:
        """Yield them; raises ConfigError where there is no log."""
        files = history(self._log)
        if not files:
            raise ConfigError(f"{self._log}: no audit log", hint="--log names another one")
        for file in self._in_order(files):
            try:
                for _, line in lines(file):
                    yield from self._record(line)
            except AuditError as error:
                self._files.append(str(error))

    def _in_order(self, files: list[Path]) -> list[Path]:
        try:
            return sorted_files(files)
        except AuditError:
            return files  # the one that cannot be read is named when its turn comes

    def _record(self, line: bytes) -> Iterator[AuditRecord]:
        try:
            record = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._unreadable += 1
            return
        if self._wanted(record):
            yield self._disguise(record)


def _disguise(settings: AuditSettings) -> Callable[[AuditRecord], AuditRecord]:
    if not settings.pseudonymise:
        return _as_it_is
    return Pseudonyms(read_key(settings.pseudonym_key), settings.pseudonymise).disguise


def _as_it_is(record: AuditRecord) -> AuditRecord:
    return record


def _json(records: Iterator[AuditRecord], where: str) -> None:
    del where
    for record in records:
        sys.stdout.buffer.write(encode(record))


def _csv(records: Iterator[AuditRecord], where: str) -> None:
    from sifgate.audit.export.rows import write_csv

    del where
    stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
    try:
        write_csv(records, stream)
    finally:
        stream.detach()


def _syslog(records: Iterator[AuditRecord], where: str) -> None:
    from sifgate.audit.export.syslog import Target, message

    with closing(Target(where or "-", sys.stdout.buffer)) as target:
        for record in records:
            _sent(target.send, message(record), where)


def _journald(records: Iterator[AuditRecord], where: str) -> None:
    from sifgate.audit.export.journald import SOCKET, Journal, entry

    with closing(Journal(where or SOCKET)) as target:
        for record in records:
            _sent(target.send, entry(record), where or SOCKET)


def _sent(send: Callable[[bytes], None], content: bytes, where: str) -> None:
    try:
        send(content)
    except BrokenPipeError:
        if where in ("", "-"):
            raise
        raise ConfigError(f"{where}: nobody listens there any more") from None
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror or os.strerror(error.errno or 0)}") from error


_WRITERS: dict[str, Callable[[Iterator[AuditRecord], str], None]] = {
    "json": _json,
    "csv": _csv,
    "syslog": _syslog,
    "journald": _journald,
}
