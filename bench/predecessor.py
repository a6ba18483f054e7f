# SPDX-License-Identifier: Apache-2.0
"""The predecessor's way, step by step: unpack, tar.gz, sha256, hand the whole image to Clair.

clair-singularity 0.2.0 did this against Clair's old API (`build --sandbox`, `tar -zcf`, sha256, an HTTP server of its
own); here the same steps go to the same Clair v4 that sifgate uses, so that only the way differs.
"""

from __future__ import annotations

import hashlib
import http.server
import os
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sifgate.clair.api import Clair, LayerSource

_CHUNK = 1 << 20


def unsquash_seconds(squashfs: Path, offset: int, scratch: Path) -> float:
    """Return the wall time of a bare `unsquashfs -p 2`, the floor of every scanner that unpacks."""
    with tempfile.TemporaryDirectory(dir=scratch) as target:
        started = time.perf_counter()
        _unsquash(squashfs, offset, Path(target) / "tree")
        return time.perf_counter() - started


def whole_image_seconds(
    squashfs: Path, offset: int, scratch: Path, clair: Clair, tls: ssl.SSLContext
) -> tuple[float, int]:
    """Return wall time and bytes handed to Clair for the predecessor's way."""
    with tempfile.TemporaryDirectory(dir=scratch) as target:
        os.sync()
        started = time.perf_counter()
        tree = Path(target) / "tree"
        _unsquash(squashfs, offset, tree)
        archive = Path(target) / "image.tar.gz"
        subprocess.run(["tar", "-zcf", archive, "-C", tree, "."], check=True)
        digest = _sha256(archive)
        with _served(archive, tls) as uri:
            manifest = "sha256:" + hashlib.sha256(f"predecessor {digest} {started}".encode()).hexdigest()
            clair.index(manifest, digest, lambda: LayerSource(uri=uri, headers={}))
            clair.report(manifest, digest)
        return time.perf_counter() - started, archive.stat().st_size


def _unsquash(squashfs: Path, offset: int, tree: Path) -> None:
    subprocess.run(
        ["unsquashfs", "-quiet", "-no-progress", "-p", "2", "-offset", str(offset), "-d", tree, squashfs],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _sha256(archive: Path) -> str:
    digest = hashlib.sha256()
    with archive.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return "sha256:" + digest.hexdigest()


@contextmanager
def _served(archive: Path, tls: ssl.SSLContext) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.docker.image.rootfs.diff.tar.gzip")
            self.send_header("Content-Length", str(archive.stat().st_size))
            self.end_headers()
            with archive.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    self.wfile.write(chunk)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}/image.tar.gz"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
