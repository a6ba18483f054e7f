# SPDX-License-Identifier: Apache-2.0
"""Records as CSV (RFC 4180) that a spreadsheet shows and never runs."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from sifgate.audit.export.fields import FIELDS, flat
from sifgate.audit.record import AuditRecord

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - full-width forms do it too
"""Beginnings that make a spreadsheet take a text for a formula."""


def write_csv(records: Iterable[AuditRecord], stream: TextIO) -> None:
    """Write a heading and one row a record; the stream must have been opened with `newline=""`."""
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(FIELDS)
    for record in records:
        writer.writerow(map(inert, flat(record).values()))


def inert(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: with an apostrophe in front where it looks like one."""
    return f"'{text}" if text.startswith(_FORMULA) else text
