# SPDX-License-Identifier: Apache-2.0
"""Layers handed to Clair: for the time of one scan, to whoever knows its secret."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator

import msgspec

from sifgate.clair.api import LayerSource

PATH = "/v1/handout/"
HEADER = "X-Sifgate-Handout"
MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar"
"""Clair compares it literally: no parameters (clair.md §2.2)."""


class Open(msgspec.Struct, frozen=True):
    """One layer that may be fetched."""

    fd: int
    size: int
    secret_hash: bytes


class Handout:
    """The layers that Clair may fetch now; usable from several threads."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._lock = threading.Lock()
        self._open: dict[str, Open] = {}

    @contextlib.contextmanager
    def offered(self, fd: int, size: int) -> Iterator[LayerSource]:
        """Offer the bytes behind `fd` under a new address with a new secret, until the block ends."""
        name, secret = secrets.token_hex(16), secrets.token_urlsafe(32)
        with self._lock:
            self._open[name] = Open(fd=fd, size=size, secret_hash=hashlib.sha256(secret.encode()).digest())
        try:
            yield LayerSource(uri=f"{self._base_url}{PATH}{name}", headers={HEADER: [secret]})
        finally:
            with self._lock:
                del self._open[name]

    def take(self, name: str, secret: str) -> tuple[int, int] | None:
        """Return a descriptor (the caller closes it) and the size of the layer of that name, if the secret is right.

        Duplicated under the lock: the offer may end while Clair still reads, and its number be somebody else's.
        """
        given = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        with self._lock:
            layer = self._open.get(name)
            if layer is None or not secrets.compare_digest(given, layer.secret_hash):
                return None
            return os.dup(layer.fd), layer.size
