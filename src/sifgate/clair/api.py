# SPDX-License-Identifier: Apache-2.0
"""The questions that sifgate asks Clair, and what each of its refusals means (the table of clair.md §1.7)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from sifgate.clair import schema
from sifgate.clair.exchange import Answer, Broken, Exchange
from sifgate.clair.faults import (
    ClairBusy,
    ClairDied,
    ClairNotReady,
    ClairRefusesKey,
    ClairSlow,
    ForeignLayer,
    LayerNotFetched,
    NotIndexed,
    ScannerBroke,
)
from sifgate.clair.retry import Patience, retried
from sifgate.errors import ClairUnavailable, ScanFailed

T = TypeVar("T")

INDEX = "/indexer/api/v1/index_report"
STATE = "/indexer/api/v1/index_state"
REPORT = "/matcher/api/v1/vulnerability_report/"
OPERATIONS = "/matcher/api/v1/internal/update_operation?latest=true&kind="

OUTAGES = (
    "connection refused",
    "failed to connect",
    "conn closed",
    "SQLSTATE",
    "too many clients",
    "context deadline exceeded",
    "context canceled",
    "no space left on device",
)
"""Texts in Clair's 500 answers that speak of its database or disk, not of the image."""
_OK, _CREATED, _ACCEPTED, _NOT_MODIFIED = 200, 201, 202, 304
_BAD, _UNAUTHORIZED, _NOT_FOUND, _TOO_MANY, _INTERNAL = 400, 401, 404, 429, 500


class LayerSource(msgspec.Struct, frozen=True):
    """Where Clair fetches a layer, and the headers that open the door."""

    uri: str
    headers: dict[str, list[str]]


class Clair:
    """One Clair; usable from several threads."""

    def __init__(self, exchange: Exchange, patience: Patience, stop: threading.Event) -> None:
        self._exchange = exchange
        self._patience = patience
        self._stop = stop

    def index(self, manifest: str, layer: str, source: Callable[[], LayerSource]) -> schema.IndexReport:
        """Return the finished index report of one layer under the hash `manifest`.

        `source` is called for each try, so that each has an address of its own. Raises ClairDied, ClairBusy or another
        ClairUnavailable; ScanFailed (also ClairSlow, ForeignLayer) if this layer is at fault.
        """

        def once() -> schema.IndexReport:
            place = source()
            layers = [{"hash": layer, "uri": place.uri, "headers": place.headers}]
            return self._index(msgspec.json.encode({"hash": manifest, "layers": layers}))

        report = retried(once, self._patience, self._stop)
        _refuse_foreign(report, layer)
        return report

    def report(self, manifest: str, layer: str) -> schema.VulnerabilityReport:
        """Return the report of `manifest` as matched now; raises NotIndexed, ScanFailed, ClairUnavailable."""
        report = retried(lambda: self._report(manifest), self._patience, self._stop)
        _refuse_foreign(report, layer)
        return report

    def operations(self, kind: str, known: str = "") -> tuple[str, dict[str, schema.UpdateOperation]] | None:
        """Return (mark, newest operation by updater); None if Clair is still at the mark `known`.

        `kind` is `vulnerability` or `enrichment`. Asks once; raises ClairUnavailable.
        """
        answer = self._exchange.send("GET", OPERATIONS + kind, seconds=self._patience.probe, match=known)
        if answer.status == _NOT_MODIFIED and known:
            return None
        return answer.etag, _expected(answer, _OK, schema.decode_operations)

    def index_state(self) -> str:
        """Return the name of Clair's set of scanners; asks once, raises ClairUnavailable."""
        answer = self._exchange.send("GET", STATE, seconds=self._patience.probe)
        return _expected(answer, _OK, schema.decode_state)

    def _index(self, body: bytes) -> schema.IndexReport:
        try:
            answer = self._exchange.send("POST", INDEX, seconds=self._patience.index, body=body)
        except Broken as error:
            if error.late:
                raise ClairSlow(f"Clair did not finish within {self._patience.index:.0f} s") from error
            raise ClairDied(str(error)) from error
        if answer.status == _BAD:
            raise ScanFailed(
                f"Clair refuses the layer: {schema.decode_error(answer.body) or 'no reason given'}"
            )
        report = _expected(answer, _CREATED, schema.decode_index)
        if report.state != "IndexFinished" or not report.success:
            raise ScanFailed(
                f"Clair's index ended in {report.state or 'no state'}: {report.err or 'no reason given'}"
            )
        return report

    def _report(self, manifest: str) -> schema.VulnerabilityReport:
        answer = self._exchange.send("GET", REPORT + manifest, seconds=self._patience.report)
        if answer.status == _ACCEPTED:
            raise ClairNotReady("Clair has no advisories yet")
        if answer.status == _NOT_FOUND:
            raise NotIndexed(f"Clair knows no finished index of {manifest}")
        return _expected(answer, _OK, schema.decode_report)


def _expected(answer: Answer, status: int, decode: Callable[[bytes], T]) -> T:
    """Return the decoded body of an answer with `status`; raises the error that any other answer means."""
    if answer.status == status:
        try:
            return decode(answer.body)
        except msgspec.DecodeError as error:
            raise ClairUnavailable(f"Clair's answer cannot be read: {error}") from error
    message = schema.decode_error(answer.body)
    if answer.status == _UNAUTHORIZED:
        raise ClairRefusesKey("Clair refuses our key (401)", hint="check --clair-psk-file and both clocks")
    if answer.status == _TOO_MANY:
        raise ClairBusy("all of Clair's index slots are taken (429)")
    if answer.status == _INTERNAL:
        raise _internal(message)
    raise ClairUnavailable(f"Clair answers {answer.status}: {message or 'no reason given'}")


def _internal(message: str) -> ClairUnavailable | ScanFailed:
    """Return the error behind a 500; its text is all that tells them apart (clair.md §1.2, §2.5)."""
    if "fetcher:" in message:
        return LayerNotFetched(f"Clair cannot fetch the layer: {message}")
    if not message or any(text in message for text in OUTAGES):
        return ClairUnavailable(f"Clair's own storage fails: {message or 'no reason given'}")
    return ScannerBroke(f"Clair fails on this image: {message}")


def _refuse_foreign(report: schema.IndexReport | schema.VulnerabilityReport, layer: str) -> None:
    foreign = schema.layers_named(report) - {layer}
    if foreign:
        raise ForeignLayer(f"Clair's report speaks of {min(foreign)}, which we did not submit")
