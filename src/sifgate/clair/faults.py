# SPDX-License-Identifier: Apache-2.0
"""Finer kinds of the two scanner errors, for those who decide whether to try again.

`ClairUnavailable` and `ScanFailed` themselves are in `sifgate.errors`; who does not care about the kind catches these.
"""

from __future__ import annotations

from sifgate.errors import ClairUnavailable, ScanFailed, ScannerError


class ClairBusy(ClairUnavailable):
    """All index slots taken until the deadline; requesters can bring that about, so the image is merely pending."""

    code = "clair_busy"


class ClairNotReady(ClairUnavailable):
    """Clair's matcher has no advisories yet (202)."""

    code = "clair_not_ready"


class ClairRefusesKey(ClairUnavailable):
    """Wrong pre-shared key, or clocks more than 15 s apart (401); trying again is of no use."""

    code = "clair_refuses_key"


class ClairDied(ClairUnavailable):
    """The connection broke while Clair was indexing: it may have died of this very image."""

    code = "clair_died"


class ClairSlow(ScanFailed):
    """Clair did not finish within the time that one image may take."""

    code = "clair_slow"


class ForeignLayer(ScanFailed):
    """Clair's report names a layer that we did not submit: somebody else registered this manifest."""

    code = "foreign_layer"


class NotIndexed(ScannerError):
    """Clair has no finished index report of this manifest: it must be indexed first (404)."""

    code = "not_indexed"


class LayerNotFetched(ClairUnavailable):
    """Clair could not fetch the layer from us (500 with `fetcher:`)."""

    code = "layer_not_fetched"


class ScannerBroke(ScanFailed):
    """A scanner or matcher of Clair failed on this image (500); mostly it would fail again."""

    code = "scanner_broke"
