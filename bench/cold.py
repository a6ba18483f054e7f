# SPDX-License-Identifier: Apache-2.0
"""The first answer about an image that nobody has seen, against the predecessor's way and against only unpacking it.

All on the same image (bullseye-sci: 333 packages, about 525 MB as SIF), the same machine and the same Clair, with a
warm page cache for everybody.
"""

from __future__ import annotations

import os
import ssl
import statistics
import tempfile
import time
from pathlib import Path

from testbed.errors import TestbedError

from bench.figure import Figure, median_seconds
from bench.gate import clair_of, gate
from bench.predecessor import unsquash_seconds, whole_image_seconds
from bench.subject import subject
from sifgate.client import Client
from sifgate.engine import keys
from sifgate.engine.layout import Layout
from sifgate.image.worker import extract

COLD_RUNS = 3
PATIENCE = 120.0
POLICY = """\
schema: sifgate.policy/v1
mode: enforce
scan_wait: 40s
rules:
  - id: kev-fixable
    when: {kev: true, fixable: true}
    action: block
"""


def measure() -> list[Figure]:
    """Return the figures; takes several minutes, most of them the predecessor's."""
    found = subject()
    image, offset = found.path, found.offset
    with tempfile.TemporaryDirectory(prefix="sifgate-bench-") as place:
        scratch = Path(place)
        cold = [_cold(image) for _ in range(COLD_RUNS - 1)]
        with gate(POLICY) as layout:
            cold.append(_first_answer(layout, image))
            clair, tls = clair_of(layout), _tls(layout)
            before, handed = whole_image_seconds(image, offset, scratch, clair, tls)
        unsquash = median_seconds(3, lambda: unsquash_seconds(image, offset, scratch), prepare=os.sync)
    return _figures(image, statistics.median(cold), unsquash, before, handed)


def _figures(image: Path, cold: float, unsquash: float, before: float, handed: int) -> list[Figure]:
    descriptor = os.open(image, os.O_RDONLY)
    try:
        found, layer = extract(descriptor)
        os.close(layer)
    finally:
        os.close(descriptor)
    size = image.stat().st_size
    return [
        Figure("predecessor's way (unpack, tar.gz, sha256, whole image)", before, "s"),
        Figure("bare unsquashfs -p 2", unsquash, "s"),
        Figure(
            "cold answer, from ask to decision", cold, "s", note=f"median of {COLD_RUNS}, each on a new gate"
        ),
        Figure(
            "  cold answer, times faster than the predecessor's way",
            before / cold,
            "×",
            target=40,
            at_least=True,
        ),
        Figure("  cold answer, of a bare unsquashfs", cold / unsquash, "×", target=0.5),
        Figure("bytes to Clair, predecessor's way", handed / 1e6, "MB"),
        Figure("bytes to Clair", found.layer_size / 1e6, "MB"),
        Figure(
            "  bytes to Clair, share of the predecessor's", 100 * found.layer_size / handed, "%", target=0.1
        ),
        Figure("share of the image's bytes read", 100 * found.bytes_read / size, "%"),
    ]


def _cold(image: Path) -> float:
    with gate(POLICY) as layout:
        return _first_answer(layout, image)


def _first_answer(layout: Layout, image: Path) -> float:
    """Return the seconds from the question of a launch to its decision; the image must be refused for what it holds."""
    client = Client(str(layout.places.run / "agent.sock"))
    os.sync()  # nobody pays for what others have left to be written
    fields = [
        ("door", b"cli"),
        ("cwd", b"/"),
        ("path", os.fsencode(image)),
        ("deadline_ms", b"%d" % (PATIENCE * 1000)),
    ]
    started = time.perf_counter()
    decision = client.ask(fields, deadline=PATIENCE)
    seconds = time.perf_counter() - started
    if decision.text("action") != "block" or "CVE-2025-48384" not in decision.text("notice"):
        raise TestbedError(
            f"the first answer about {image.name} is {decision.text('action')}: {decision.text('notice')}"
        )
    return seconds


def _tls(layout: Layout) -> ssl.SSLContext:
    """Return a context with the server's certificate, which Clair trusts when it fetches layers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys.certificate_file(layout, "server"), keys.key_file(layout, "server"))
    return context
