# SPDX-License-Identifier: Apache-2.0
"""Records in the forms of other programs: spreadsheets that run nothing, syslog and journald with real sockets."""

from __future__ import annotations

import csv
import io
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.records import record

from sifgate.audit.export import journald, syslog
from sifgate.audit.export.fields import FIELDS, flat
from sifgate.audit.export.rows import inert, write_csv
from sifgate.audit.record import AuditRecord, ReasonLine
from sifgate.errors import ConfigError
from sifgate.model.decision import Aside
from sifgate.model.image import ImageFacts

FORMULAS = ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://x")', "＝1+1"]  # noqa: RUF001


def table(records: list[AuditRecord]) -> list[dict[str, str]]:
    """Write CSV and read it with the standard reader."""
    stream = io.StringIO(newline="")
    write_csv(records, stream)
    return list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))


def test_csv_holds_every_field() -> None:
    """One row a record, in order, under the names of the fields."""
    rows = table([record(1), record(2)])
    assert [row["job"] for row in rows] == ["1", "2"]
    assert tuple(rows[0]) == FIELDS
    assert rows[0]["findings"] == "CVE-2025-48384 git 1:2.30.2"
    assert rows[0]["step"] == ""


@pytest.mark.parametrize("text", FORMULAS)
def test_csv_runs_nothing(text: str) -> None:
    """A cell that a spreadsheet would take for a formula begins with an apostrophe, in every field a user can fill."""
    bad = record(
        1,
        path=text,
        image=text,
        user=text,
        user_reason=text,
        argv=(text,),
        name=text,
        cwd=text,
        claimed={text: text},
    )
    (row,) = table([bad])
    for field in ("path", "image", "user", "user_reason", "argv", "name", "cwd", "claimed"):
        assert not row[field].startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝")), field  # noqa: RUF001


@given(st.text(max_size=60))
def test_csv_gives_back_what_it_was_given(text: str) -> None:
    """Quotes, commas, semicolons and line ends stay inside their cell."""
    (row,) = table([record(1, user_reason=text)])
    assert row["user_reason"] == inert(flat(record(1, user_reason=text))["user_reason"])
    assert not row["user_reason"].startswith(("=", "+", "-", "@", "\t", "\r"))


MESSAGE = re.compile(
    rb"<(\d{1,3})>1 (\S+) (\S+) sifgate - (\S+) "
    rb"\[sifgate@32473((?: [a-z_]+=\"(?:[^\"\\\]]|\\[\"\\\]])*\")*)\] \xef\xbb\xbf(.*)",
    re.DOTALL,
)
VALUE = re.compile(rb"([a-z_]+)=\"((?:[^\"\\\]]|\\[\"\\\]])*)\"")


@given(st.text(max_size=100), st.text(max_size=40))
def test_syslog_message_is_well_formed_whatever_a_user_typed(path: str, node: str) -> None:
    """Quotes, brackets and backslashes are escaped, nothing ends a value or a line early."""
    content = syslog.message(record(1, path=path, node=node, user=path))
    found = MESSAGE.fullmatch(content)
    assert found is not None, content
    assert b"\n" not in content
    values = dict(VALUE.findall(found.group(5)))
    if path not in ("", "0", "no"):
        shown = re.sub(rb"\\([\"\\\]])", rb"\1", values[b"path"]).decode()
        assert shown == flat(record(1, path=path))["path"]


def test_syslog_header_says_when_where_and_how_bad() -> None:
    """Facility authpriv, severity by action, the record's own time and node."""
    found = MESSAGE.fullmatch(syslog.message(record(1)))
    assert found is not None
    assert found.groups()[:4] == (b"84", record(1).time.encode(), b"n1", b"decided")
    assert b"block /home/alice/x.sif for alice at spank: known to be exploited" in found.group(6)
    allowed = MESSAGE.fullmatch(syslog.message(record(1, action="allow", time="yesterday")))
    assert allowed is not None
    assert allowed.groups()[:2] == (b"86", b"-")


def test_syslog_goes_to_a_unix_socket(tmp_path: Path) -> None:
    """As /dev/log is one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "log"))
        with closing(syslog.Target(f"unix:{tmp_path / 'log'}")) as target:
            target.send(syslog.message(record(1)))
        assert listener.recv(65_536) == syslog.message(record(1))


def test_syslog_goes_over_udp() -> None:
    """One datagram a message."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        with closing(syslog.Target(f"udp:127.0.0.1:{listener.getsockname()[1]}")) as target:
            target.send(syslog.message(record(1)))
        assert listener.recv(65_536) == syslog.message(record(1))


def test_syslog_goes_over_tcp_with_counted_octets() -> None:
    """Each message says its length, so that none runs into the next."""
    got = io.BytesIO()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            connection, _ = listener.accept()
            with connection:
                while chunk := connection.recv(4096):
                    got.write(chunk)

        thread = threading.Thread(target=take)
        thread.start()
        with closing(syslog.Target(f"tcp:127.0.0.1:{listener.getsockname()[1]}")) as target:
            for number in (1, 2):
                target.send(syslog.message(record(number)))
        thread.join(10)
    content = got.getvalue()
    for number in (1, 2):
        length, _, content = content.partition(b" ")
        assert content[: int(length)] == syslog.message(record(number))
        content = content[int(length) :]
    assert content == b""


@pytest.mark.parametrize(
    "where", ["udp:nowhere", "tcp:127.0.0.1:99999x", "carrier:pigeon", "unix:", "unix:/nonexistent"]
)
def test_bad_targets_are_said(where: str) -> None:
    """A target that is none, or where nobody listens, is an error before anything is read."""
    with pytest.raises(ConfigError):
        syslog.Target(where)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket like journald's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "journal"))
        yield listener


def fields_of(content: bytes) -> dict[str, bytes]:
    """Return the fields of a journal entry, read as journald does."""
    found = {}
    while content:
        line, _, content = content.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(content[:8], "little")
            value, content = content[8 : 8 + size], content[8 + size + 1 :]
        found[name.decode()] = value
    return found


def test_journal_entry_arrives_with_its_fields(journal: socket.socket, tmp_path: Path) -> None:
    """Over a real datagram socket, searchable by field."""
    with closing(journald.Journal(str(tmp_path / "journal"))) as target:
        target.send(journald.entry(record(1)))
    fields = fields_of(journal.recv(1 << 20))
    assert fields["SIFGATE_ACTION"] == b"block"
    assert fields["SIFGATE_USER"] == b"alice"
    assert fields["PRIORITY"] == b"4"
    assert fields["SYSLOG_IDENTIFIER"] == b"sifgate"
    assert b"known to be exploited" in fields["MESSAGE"]


@given(st.text(max_size=200))
def test_no_user_can_forge_a_journal_field(text: str) -> None:
    """Whatever a user typed is the value of its own field."""
    fields = fields_of(
        journald.entry(record(1, path=text, user_reason=text + "\nPRIORITY=0\nSIFGATE_ACTION=allow"))
    )
    assert fields["SIFGATE_ACTION"] == b"block"
    assert fields["PRIORITY"] == b"4"


def test_largest_record_fits_a_datagram(journal: socket.socket, tmp_path: Path) -> None:
    """With every field as long as a record lets it be."""
    long = "ü" * 1024
    reasons = tuple(ReasonLine(long, "block", long, 5, tuple([long[:256]] * 5)) for _ in range(8))
    big = record(1)
    words = dict.fromkeys(("path", "image", "detail", "cwd", "user_reason", "user", "account"), long)
    big = msgspec.structs.replace(
        big,
        **words,
        reasons=reasons,
        argv=("ü" * 2048,),
        content_injected=(long,) * 16,
        claimed={f"{index}": long[:256] for index in range(16)},
        aside=tuple(Aside("vex", long[:256], 1) for _ in range(20)),
        facts=ImageFacts(owner=long, signers=("AB" * 20,) * 10),
    )
    with closing(journald.Journal(str(tmp_path / "journal"))) as target:
        target.send(journald.entry(big))
    assert fields_of(journal.recv(1 << 20))["SIFGATE_ACTION"] == b"block"
    assert len(syslog.message(big)) < 65_507


def test_missing_journal_is_said(tmp_path: Path) -> None:
    """No journald here: an error that says so."""
    with pytest.raises(ConfigError, match="journald"):
        raise_hint(tmp_path)


def raise_hint(place: Path) -> None:
    """Connect to nobody; raise the hint as text."""
    try:
        journald.Journal(str(place / "nothing"))
    except ConfigError as error:
        raise ConfigError(error.hint) from error
