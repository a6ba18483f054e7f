# SPDX-License-Identifier: Apache-2.0
"""A directory of verdicts as launches: canonical verdicts, or the documents of `sifgate scan --format json`.

Each report stands for one launch of its image by nobody in particular.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from sifgate.audit.record import AuditRecord, encode
from sifgate.model.finding import Finding, Severity
from sifgate.model.image import CoverageFacts, OsRelease
from sifgate.model.launch import Door
from sifgate.model.verdict import Coverage, EndOfLife, Generation, ScanState, Verdict
from sifgate.verdict.digest import canonical, digest

MOST_BYTES = 256 << 20
"""Of one report."""


class Document(msgspec.Struct, frozen=True):
    """What `sifgate scan --format json` prints; counts are null where nothing is known of the image."""

    schema: int
    image: str
    findings: list[dict[str, Any]]
    suppressed: list[dict[str, Any]]
    fingerprint: str = ""
    state: str | None = None
    cause: str | None = None
    unscannable: str | None = None
    detail: str = ""
    distribution: OsRelease | None = None
    end_of_life: EndOfLife | None = None
    coverage: dict[str, Any] | None = None
    generation: Generation | None = None
    clair: dict[str, str] | None = None
    scanned_at: str | None = None


class Reports:
    """The reports of a directory; as a function it returns a verdict by digest."""

    def __init__(self, directory: Path, now: datetime) -> None:
        self._directory = directory
        self._time = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._files: dict[str, Path] = {}
        self.unreadable: list[str] = []
        """What is wrong with a file that holds no report, `path: why`."""

    def lines(self) -> Iterator[bytes]:
        """Yield each report as the line of an audit log that its launch would have left."""
        for path in sorted(self._directory.rglob("*.json")):
            try:
                record, verdict = read_report(path, self._time)
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else error
                self.unreadable.append(f"{path}: {why}")
                continue
            if verdict is not None:
                self._files[record.verdict] = path
            yield encode(record)

    def __call__(self, wanted: str) -> Verdict | None:
        """Return the verdict of a report that `lines` has named."""
        path = self._files.get(wanted)
        if path is None:
            return None
        try:
            return read_report(path, self._time)[1]
        except (OSError, ValueError):
            return None


def read_report(path: Path, time: str) -> tuple[AuditRecord, Verdict | None]:
    """Return a report as record and verdict (None where it knows only a state); raises OSError, ValueError."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES} bytes")
    body = path.read_bytes()
    try:
        verdict: Verdict | None = msgspec.json.decode(body, type=Verdict)
        image, state, cause, unscannable, detail = path.stem, "", None, None, ""
    except msgspec.DecodeError:
        try:
            document = msgspec.json.decode(body, type=Document)
        except msgspec.DecodeError as error:
            hint = "neither a verdict nor a document of `sifgate scan --format json`"
            raise ValueError(f"{hint}: {error}") from error
        verdict = _verdict(document)
        image, state, cause = document.image, document.state or "", document.cause
        unscannable, detail = document.unscannable, document.detail
    named = "" if verdict is None else digest(canonical(verdict))
    record = AuditRecord(
        id="",
        time=time,
        node="",
        door=Door.SPANK.value,
        action="allow",
        state=state if verdict is None else verdict.state.value,
        cause=cause or "",
        unscannable=unscannable or "",
        detail=detail,
        image=image,
        path=image if image.startswith("/") else "",
        fingerprint="" if verdict is None else verdict.fingerprint,
        verdict=named,
    )
    return record, verdict


def _verdict(document: Document) -> Verdict | None:
    """Return the verdict that a document tells of; None where it tells of none. Raises ValueError."""
    if document.coverage is None:
        return None
    seen = dict(document.coverage)
    facts = CoverageFacts(
        os_release=document.distribution or OsRelease(),
        contradictions=tuple(seen.pop("contradictions", ())),
        omitted=tuple(seen.pop("omitted", ())),
    )
    clair = document.clair or {}
    findings = [_finding(fields) for fields in (*document.findings, *document.suppressed)]
    return Verdict(
        fingerprint=document.fingerprint,
        state=ScanState(document.state or ScanState.KNOWN.value),
        findings=tuple(sorted(findings, key=_order)),
        coverage=msgspec.convert(seen, Coverage),
        os_release=document.distribution or OsRelease(),
        end_of_life=document.end_of_life or EndOfLife(),
        facts=facts,
        clair_version=clair.get("version", ""),
        index_state=clair.get("state", ""),
        generation=document.generation or Generation(),
        scanned_at=document.scanned_at or "",
        detail=document.detail,
    )


def _finding(fields: dict[str, Any]) -> Finding:
    """Return a finding; what a document leaves open (null) is not known."""
    given = {key: value for key, value in fields.items() if value is not None}
    given["severity"] = _severity(given.get("severity", ""))
    given["ratings"] = [
        {**each, "severity": _severity(each.get("severity", ""))} for each in given.get("ratings", ())
    ]
    return msgspec.convert(given, Finding)


def _severity(value: object) -> Severity:
    """Return a severity written as word or number; raises ValueError for a number that is none."""
    return Severity(value) if isinstance(value, int) else Severity.parse(str(value))


def _order(finding: Finding) -> tuple[str, ...]:
    return (finding.vulnerability, finding.package, finding.version, finding.arch, finding.path)
