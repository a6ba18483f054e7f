# SPDX-License-Identifier: Apache-2.0
"""Reports for people: order, summary, coverage, pipes and terminals."""

from __future__ import annotations

import io
import re

import msgspec
import pytest
from tests.unit.render.reports import STANDING, SUPPRESSED, VERDICT

from sifgate.model.finding import Finding
from sifgate.model.verdict import Coverage, FailureCause, ScanState, Standing, UnscannableCause, Verdict
from sifgate.render.table import print_report


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def report(standing: Standing, suppressed: tuple[int, ...] = (), stream: io.StringIO | None = None) -> str:
    """Return the report as printed."""
    stream = stream or io.StringIO()
    print_report("x.sif", standing, suppressed, stream)
    return stream.getvalue()


def with_verdict(verdict: Verdict) -> Standing:
    """Return a standing of the verdict's own state."""
    return Standing(state=verdict.state, verdict=verdict)


def test_the_worst_comes_first_and_a_line_is_a_row() -> None:
    """Severity, then known exploited, then fixable; every column in one line of a pipe."""
    lines = report(STANDING, SUPPRESSED).splitlines()
    assert lines[0].split() == [
        "SEVERITY",
        "VULNERABILITY",
        "KEV",
        "PACKAGE",
        "INSTALLED",
        "FIXED",
        "IN",
        "LINK",
    ]
    assert [line.split()[1] for line in lines[1:5]] == [
        "CVE-2025-3",
        "CVE-2025-48384",
        "CVE-2025-2",
        "CVE-2024-1",
    ]
    assert lines[2].split() == [
        "High", "CVE-2025-48384", "KEV", "git:amd64", "1:2.30.2-1+deb11u2", "1:2.30.2-1+deb11u5",
        "https://security-tracker.debian.org/tracker/CVE-2025-48384",
    ]  # fmt: skip
    assert "Suppressed by the policy (listed, not counted):" in lines


def test_the_summary_counts_and_the_coverage_stands_beside_it() -> None:
    """Counts by severity, fixable, known exploited, suppressed, distribution with its end of life, advisories' date."""
    text = report(STANDING, SUPPRESSED)
    assert "x.sif  fp:9f2c41a7  Debian GNU/Linux 11 (bullseye) (end of life 2026-08-31)" in text
    assert "4 vulnerabilities in 4 findings (1 critical, 2 high, 1 low); with a fix: 3;" in text
    assert "; known exploited (KEV): 1; suppressed: 1" in text
    assert "Coverage: 333 packages (330 dpkg, 3 python) seen; compared with advisories of 2026-11-20." in text


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_names_in_images_cannot_move_the_terminal(stream: type[io.StringIO]) -> None:
    """Escapes, titles, reordering and markup of package names are shown, not obeyed."""
    text = report(STANDING, SUPPRESSED, stream())
    joined = "".join(text.split())
    assert re.sub(r"\x1b\[[0-9;]*m", "", joined).isprintable()
    assert "\x1b]0;" not in text
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert "evil" in joined
    assert "\\x1b" in joined


def test_only_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets none, whatever the environment says of colours; NO_COLOR rules on a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b" not in report(STANDING)
    monkeypatch.delenv("FORCE_COLOR")
    assert "\x1b[" in report(STANDING, (), Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in report(STANDING, (), Terminal())


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_a_terminal_is_not_overrun(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are folded to the width."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    table = report(STANDING, (), Terminal()).split("\n\n")[0]
    rows = [row for row in re.sub(r"\x1b\[[0-9;]*m", "", table).splitlines() if not row.startswith("(")]
    assert max(map(len, rows)) <= int(columns)
    assert ("security-tracker" in table) == (columns == "200")


def test_no_findings_are_never_shown_without_coverage() -> None:
    """0 vulnerabilities of an image that was not looked at would be a lie."""
    clean = with_verdict(msgspec.structs.replace(VERDICT, findings=()))
    assert "0 vulnerabilities in 0 findings" in report(clean)
    assert "compared with advisories of 2026-11-20" in report(clean)
    blind = msgspec.structs.replace(VERDICT, findings=(), state=ScanState.UNSUPPORTED, coverage=Coverage())
    assert "no distribution was recognised" in report(with_verdict(blind))
    assert "State unsupported" in report(with_verdict(blind))
    assert "0 vuln" not in report(with_verdict(blind))
    bare = msgspec.structs.replace(VERDICT, findings=(), coverage=Coverage(distribution="Rocky Linux 9"))
    assert "that nothing was found means nothing" in report(with_verdict(bare))


@pytest.mark.parametrize(
    "standing",
    [
        *(Standing(state=state, detail="why\x1b[2J") for state in ScanState if state is not ScanState.KNOWN),
        *(Standing(cause=cause) for cause in FailureCause),
        *(Standing(state=ScanState.UNSCANNABLE, unscannable=cause) for cause in UnscannableCause),
    ],
)
def test_without_a_verdict_no_number_is_shown(standing: Standing) -> None:
    """What is not known is said in words."""
    text = report(standing)
    assert text.startswith("x.sif: nothing is known of its vulnerabilities (")
    assert "0 vuln" not in text
    assert "\x1b" not in text


def test_a_thousand_findings_are_quick_and_complete() -> None:
    """The report of a real image has more than a thousand rows."""
    many = tuple(Finding(f"CVE-2025-{n}", f"p{n}", "1") for n in range(2000))
    assert report(with_verdict(msgspec.structs.replace(VERDICT, findings=many))).count("CVE-2025-") == 2000
