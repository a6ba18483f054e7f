# SPDX-License-Identifier: Apache-2.0
"""Tables for people: the report that readers of Quay or clair-singularity expect, and its summary.

On a terminal: coloured, folded to its width. In a pipe: no colours, one row a line however long. Text of
images is never markup and never moves the terminal. "0 vulnerabilities" never stands without what the
scanner could see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TextIO

from sifgate.model.finding import Finding
from sifgate.model.verdict import ScanState, Standing, Verdict
from sifgate.render.documents import divide, summary
from sifgate.render.escape import printable

_COLOURS = {
    "Critical": "bold red",
    "High": "red",
    "Medium": "yellow",
    "KEV": "bold red",
    "block": "red",
    "warn": "yellow",
}
"""Cells that are coloured on a terminal."""


class Column(NamedTuple):
    """One column of a table."""

    title: str
    right: bool = False
    fold: bool = False
    """Whether its text may go over several lines of a terminal."""
    wide: bool = False
    """Whether a terminal that is narrower than `WIDE` does without it."""


WIDE = 130
"""Columns of a terminal below which wide columns would only be folded into shreds."""


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]], stream: TextIO) -> None:
    """Print a table with a header line; cells are escaped here."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if stream.isatty():
        _print_folded(columns, cells, stream)
    else:
        _print_lines(columns, cells, stream)


def _print_lines(columns: Sequence[Column], rows: list[list[str]], stream: TextIO) -> None:
    """Print one row a line, columns aligned, nothing cut."""
    lines = [[column.title.upper() for column in columns], *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        padded = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        print("  ".join(padded).rstrip(), file=stream)


def _print_folded(columns: Sequence[Column], rows: list[list[str]], stream: TextIO) -> None:
    """Print a coloured table folded to the terminal's width (NO_COLOR is obeyed by rich)."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=stream, markup=False, highlight=False, emoji=False)
    shown = [index for index, column in enumerate(columns) if not column.wide or console.width >= WIDE]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in (columns[index] for index in shown):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(
            Text(column.title.upper()), justify=justify, overflow="fold", no_wrap=not column.fold
        )
    for row in rows:
        table.add_row(*(Text(row[index], style=_COLOURS.get(row[index], "")) for index in shown))
    console.print(table)
    left_out = ", ".join(column.title for index, column in enumerate(columns) if index not in shown)
    if left_out:
        print(f"({left_out}: in a terminal of {WIDE} columns, in a pipe, or with --format json)", file=stream)


FINDING_COLUMNS = (
    Column("severity"),
    Column("vulnerability"),
    Column("KEV"),
    Column("package", fold=True),
    Column("installed", fold=True),
    Column("fixed in", fold=True),
    Column("link", fold=True, wide=True),
)


def print_report(image: str, standing: Standing, suppressed: tuple[int, ...], stream: TextIO) -> None:
    """Print everything known of an image: table, suppressed findings, summary, coverage."""
    counted, listed = divide(standing.verdict, suppressed)
    if counted:
        print_table(FINDING_COLUMNS, map(_row, counted), stream)
        print(file=stream)
    if listed:
        print("Suppressed by the policy (listed, not counted):", file=stream)
        print_table(FINDING_COLUMNS, map(_row, listed), stream)
        print(file=stream)
    for sentence in report_lines(image, standing, counted, len(listed)):
        print(printable(sentence), file=stream)


def _row(finding: Finding) -> tuple[str, ...]:
    return (
        finding.severity.label,
        finding.vulnerability,
        "KEV" if finding.kev else "",
        f"{finding.package}:{finding.arch}" if finding.arch else finding.package,
        finding.version,
        finding.fixed_version or "-",
        finding.link,
    )


def report_lines(image: str, standing: Standing, counted: list[Finding], suppressed: int) -> list[str]:
    """Return the sentences under the table: image, counts, coverage, what is missing."""
    verdict = standing.verdict
    if verdict is None:
        why = f": {standing.detail}" if standing.detail else ""
        return [f"{image}: nothing is known of its vulnerabilities ({_standing_word(standing)}{why})"]
    lines = [f"{image}  fp:{verdict.fingerprint[:8]}  {_distribution(verdict)}"]
    seen_all = standing.state is ScanState.KNOWN
    lines.append(
        _counts(counted, suppressed) if counted or seen_all else "Nothing was found, but not all was seen."
    )
    lines.append(_coverage(verdict))
    detail = standing.detail or verdict.detail
    if not seen_all:
        lines.append(f"State {_standing_word(standing)}" + (f": {detail}" if detail else ""))
    lines += [f"Contradiction: {text}" for text in verdict.facts.contradictions if text not in detail]
    return [*lines, *(note for note in verdict.coverage.notes if seen_all or note not in detail)]


def _standing_word(standing: Standing) -> str:
    word = (standing.state or standing.cause or ScanState.UNRESOLVED).value
    return f"{word}: {standing.unscannable.value}" if standing.unscannable else word


def _distribution(verdict: Verdict) -> str:
    name = verdict.coverage.distribution or verdict.os_release.pretty_name or "no distribution recognised"
    ends = max(verdict.end_of_life.eol, verdict.end_of_life.lts)
    return f"{name} (end of life {ends})" if ends else name


def _counts(counted: list[Finding], suppressed: int) -> str:
    facts = summary(counted, suppressed)
    severities = ", ".join(
        f"{count} {label.lower()}" for label, count in facts["by_severity"].items() if count
    )
    text = f"{facts['vulnerabilities']} vulnerabilities in {facts['findings']} findings"
    text += f" ({severities})" if severities else ""
    text += f"; with a fix: {facts['fixable']}; known exploited (KEV): {facts['kev']}"
    return text + (f"; suppressed: {suppressed}" if suppressed else "")


def _coverage(verdict: Verdict) -> str:
    """Return the sentence that must stand beside every count."""
    coverage = verdict.coverage
    packages = ", ".join(f"{count} {manager}" for manager, count in sorted(coverage.packages.items()))
    seen = f"{sum(coverage.packages.values())} packages ({packages})" if packages else "no packages"
    if not coverage.distribution:
        against = "no distribution was recognised, so none of its advisories were looked at"
    elif not coverage.advisories:
        against = (
            f"no advisories for {coverage.distribution} are loaded: that nothing was found means nothing"
        )
    else:
        against = f"compared with advisories of {verdict.generation.advisories[:10] or 'an unknown date'}"
    when = verdict.scanned_at or "at an unknown time"
    return (
        f"Coverage: {seen} seen; {against}. Scanned {when} by Clair {verdict.clair_version or '(unknown)'}."
    )
