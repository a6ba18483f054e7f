# SPDX-License-Identifier: Apache-2.0
"""Outcomes of policy cases as JUnit XML, for the machines that watch a repository of policies."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from sifgate.render.escape import printable
from sifgate.whatif.cases import Outcome


def junit(tables: Sequence[tuple[str, Sequence[Outcome]]]) -> str:
    """Return the document: one suite a table, one test case a case, with what differs as its failure."""
    cases = sum(len(outcomes) for _, outcomes in tables)
    failed = sum(_failed(outcomes) for _, outcomes in tables)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuites name="sifgate policy" tests="{cases}" failures="{failed}" errors="0">')
    for path, outcomes in tables:
        attributes = f'tests="{len(outcomes)}" failures="{_failed(outcomes)}" errors="0" skipped="0"'
        lines.append(f"  <testsuite name={_attribute(path)} {attributes}>")
        lines += [line for outcome in outcomes for line in _case(path, outcome)]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _case(path: str, outcome: Outcome) -> list[str]:
    case = outcome.case
    line = case.place.rpartition(":")[2]
    head = f"    <testcase classname={_attribute(path)} name={_attribute(case.name)} line={_attribute(line)}"
    if not outcome.differences:
        return [f"{head}/>"]
    message = _attribute("; ".join(outcome.differences))
    body = escape(printable("\n".join([case.place, *outcome.differences]), newlines=True))
    return [f"{head}>", f"      <failure message={message}>{body}</failure>", "    </testcase>"]


def _attribute(text: str) -> str:
    """Return text as a quoted attribute: what XML cannot hold is escaped as on a terminal."""
    return quoteattr(printable(text))


def _failed(outcomes: Sequence[Outcome]) -> int:
    return sum(bool(outcome.differences) for outcome in outcomes)
