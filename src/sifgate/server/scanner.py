# SPDX-License-Identifier: Apache-2.0
"""One scan: slim layer → Clair → coverage, findings, feeds → verdict in the store."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
from collections.abc import Callable
from datetime import datetime, timezone

import msgspec

from sifgate.clair import schema
from sifgate.clair.api import Clair, LayerSource
from sifgate.clair.coverage import coverage_of, recognised
from sifgate.clair.faults import NotIndexed
from sifgate.clair.findings import findings_of
from sifgate.clair.identifiers import cves
from sifgate.errors import SifgateError
from sifgate.model.clocks import Clocks
from sifgate.model.verdict import Verdict
from sifgate.server import canary
from sifgate.server.advisories import Advisories
from sifgate.server.canary import Canary
from sifgate.server.handout import Handout
from sifgate.store import clocks, verdicts
from sifgate.store.database import Connection
from sifgate.store.layers import Layer, Layers
from sifgate.verdict import assemble, digest
from sifgate.verdict.joins import sightings

_DATE = len("2026-01-02")


class LayerWanted(SifgateError):
    """The layer's bytes are needed and not here: a node must upload them again."""

    code = "layer_wanted"


class Scanned(msgspec.Struct, frozen=True):
    """What a verdict is made of, but for the dates that this site keeps."""

    scan: assemble.Scan
    advisories: Advisories
    at: str
    """ISO time."""
    failure: str | None = None
    """How Clair fails on the layer; None: it does not."""

    def verdict(self, since: Clocks) -> Verdict:
        """Return the verdict, with the dates that this site keeps."""
        feeds, generation = self.advisories.feeds, self.advisories.generation
        if self.failure is not None:
            return assemble.failed(self.scan, feeds, generation, self.at, self.failure)
        return assemble.assemble(self.scan, feeds, generation, self.at, since)


class Scanner:
    """Turns layers into verdicts; usable from several threads."""

    def __init__(
        self,
        clair: Clair,
        layers: Layers,
        handout: Handout,
        *,
        manifest_key: bytes,
        clair_version: str,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._clair = clair
        self._layers = layers
        self._handout = handout
        self._manifest_key = manifest_key
        self._clair_version = clair_version
        self._canary = Canary(clair, handout, manifest_key)
        self._now = now

    def scan(self, fingerprint: str, advisories: Advisories) -> Scanned:
        """Return what Clair says of a layer, indexed where it is not yet; raises LayerWanted and Clair's errors."""
        layer = self._layer(fingerprint)
        manifest = manifest_hash(self._manifest_key, layer.slim_version, layer.digest)
        if layer.indexed_under != advisories.index_state and (layer.kept or not layer.indexed_under):
            layer = self._index(layer, manifest, advisories.index_state)
        try:
            report = self._clair.report(manifest, layer.digest)
        except NotIndexed:  # Clair has a new database
            layer = self._index(layer, manifest, advisories.index_state)
            report = self._clair.report(manifest, layer.digest)
        return self._judged(layer, report, advisories)

    def failed(self, fingerprint: str, advisories: Advisories, detail: str) -> Scanned:
        """Return what stands for a layer on which Clair fails."""
        layer = self._layer(fingerprint)
        scan = assemble.Scan(fingerprint=fingerprint, facts=layer.facts, clair_version=self._clair_version)
        return Scanned(scan=scan, advisories=advisories, at=self._stamp(), failure=detail)

    def _layer(self, fingerprint: str) -> Layer:
        layer = self._layers.read(fingerprint)
        if layer is None:
            raise LayerWanted(f"no layer of {fingerprint} is here")
        return layer

    def _index(self, layer: Layer, manifest: str, index_state: str) -> Layer:
        """Return the layer as indexed; each try of Clair's gets an address of its own, closed at the end."""
        fd = self._layers.fetch(layer)
        if fd is None:
            raise LayerWanted(f"the layer of {layer.fingerprint} was dropped")
        try:
            with contextlib.ExitStack() as stack:

                def source() -> LayerSource:
                    return stack.enter_context(self._handout.offered(fd, layer.size))

                self._clair.index(manifest, layer.digest, source)
        finally:
            os.close(fd)
        self._layers.indexed(layer.fingerprint, index_state)
        return msgspec.structs.replace(layer, indexed_under=index_state)

    def _judged(self, layer: Layer, report: schema.VulnerabilityReport, advisories: Advisories) -> Scanned:
        findings = findings_of(report)
        without = frozenset[tuple[str, str]]()
        if not any(
            finding.updater == canary.UPDATER for finding in findings
        ):  # one finding shows that there are some
            without = self._canary.without(recognised(report), advisories.operations)
        scan = assemble.Scan(
            fingerprint=layer.fingerprint,
            facts=layer.facts,
            coverage=coverage_of(report, advisories.operations, layer.facts, without=without),
            findings=findings,
            clair_version=self._clair_version,
            index_state=layer.indexed_under,
        )
        return Scanned(scan=scan, advisories=advisories, at=self._stamp())

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="seconds").replace("+00:00", "Z")


def manifest_hash(key: bytes, slim_version: int, layer_digest: str) -> str:
    """Return the hash under which Clair knows a layer.

    Keyed, because Clair believes whoever registers a hash first (clair.md §1.2): without the key nobody can register
    harmless layers under the hash of a harmful one.
    """
    message = b"sifgate-manifest\0%d\0%s" % (slim_version, layer_digest.encode("ascii"))
    return "sha256:" + hmac.new(key, message, hashlib.sha256).hexdigest()


def keep(connection: Connection, scanned: Scanned) -> Verdict:
    """Return the verdict, stored as the newest of its fingerprint and its dates kept, in the caller's transaction."""
    scan = scanned.scan
    seen = sightings(scan.findings, scan.facts.os_release)
    verdict = scanned.verdict(clocks.mark(connection, scan.fingerprint, seen, scanned.at[:_DATE]))
    body = digest.canonical(verdict)
    named = {
        name
        for finding in verdict.findings
        for name in cves(" ".join((finding.vulnerability, *finding.aliases)))
    }
    verdicts.keep(
        connection,
        fingerprint=verdict.fingerprint,
        generation=verdict.generation.id,
        state=verdict.state.value,
        digest=digest.digest(body),
        canonical=body,
        cves=sorted(named),
    )
    return verdict
