# SPDX-License-Identifier: Apache-2.0
"""Clair says the same of the slim layer and of the whole tree: the point of the slim layer, asked of Clair itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from testbed.images import obtain_image
from testbed.rootfs import obtain_tree
from tests.integration.conftest import RunningEngine

from sifgate.clair import schema, token
from sifgate.clair.api import Clair, LayerSource
from sifgate.clair.exchange import Address, Exchange
from sifgate.clair.retry import Patience
from sifgate.image.worker import extract, recheck

pytestmark = pytest.mark.engine

DIRECTORIES = ("alpine-3.8.4", "rpm", "jar")
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"

Package = tuple[str, str, str, str, str, tuple[str, ...]]
Seen = tuple[frozenset[tuple[str, ...]], frozenset[Package], frozenset[tuple[Package, str]]]


class Layers:
    """A small HTTP server that hands files to Clair by their digest."""

    def __init__(self, directory: Path) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = directory / self.path.strip("/")
                self.send_response(200)
                self.send_header("Content-Type", LAYER_TYPE)
                self.send_header("Content-Length", str(path.stat().st_size))
                self.end_headers()
                with path.open("rb") as file:
                    shutil.copyfileobj(file, self.wfile, 1 << 20)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.directory = directory
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def put(self, path: Path) -> str:
        """Take a file and return its digest."""
        whole = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                whole.update(piece)
        digest = whole.hexdigest()
        path.rename(self.directory / digest)
        return f"sha256:{digest}"

    def source(self, digest: str) -> LayerSource:
        """Return where Clair finds it."""
        port = self._server.server_address[1]
        return LayerSource(uri=f"http://127.0.0.1:{port}/{digest.removeprefix('sha256:')}", headers={})

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    """Hand out layers for the length of one test."""
    directory = tmp_path / "layers"
    directory.mkdir()
    server = Layers(directory)
    yield server
    server.close()


def _own_copy(secret: Path, directory: Path) -> Path:
    """Copy a secret of the engine's uid to one of ours."""
    path = directory / secret.name
    path.write_bytes(secret.read_bytes())
    path.chmod(0o600)
    return path


@pytest.fixture
def clair(engine: RunningEngine, tmp_path: Path) -> Clair:
    """Return the engine's Clair."""
    key = token.read_key(_own_copy(engine.psk_file, tmp_path))
    address = Address(url=engine.clair_url, key=key, certificates=str(engine.ca_file))
    return Clair(Exchange(address), Patience(), threading.Event())


def full_tar(tree: Path, target: Path) -> Path:
    """Write the whole tree as a registry would hand it out: every entry, hard links as files, no sockets."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for directory, names, files in os.walk(tree):
            names.sort()
            for name in sorted([*names, *files]):
                path = Path(directory, name)
                if not stat.S_ISSOCK(path.lstat().st_mode):
                    archive.inodes.clear()  # type: ignore[attr-defined]  # no hard links: tarfile remembers inodes here
                    archive.add(path, arcname=str(path.relative_to(tree)), recursive=False)
    return target


def slim_tar(image: Path, target: Path) -> Path:
    """Write the slim layer of an image, after the recheck that a server makes."""
    fd = os.open(image, os.O_RDONLY)
    try:
        extraction, layer = extract(fd)
    finally:
        os.close(fd)
    recheck(layer, extraction)
    assert extraction.facts.contradictions == ()
    assert extraction.facts.omitted == ()
    with os.fdopen(layer, "rb") as source, target.open("wb") as output:
        shutil.copyfileobj(source, output, 1 << 20)
    return target


def seen_by(clair: Clair, layers: Layers, path: Path) -> Seen:
    """Return distributions, packages with where they are, and findings of a layer, as sets without Clair's ids."""
    digest = layers.put(path)
    clair.index(digest, digest, lambda: layers.source(digest))
    report = clair.report(digest, digest)
    distributions = frozenset((each.did, each.version_id) for each in (report.distributions or {}).values())
    packages = {key: _package(report, key) for key in report.packages or {}}
    names = {key: each.name for key, each in (report.vulnerabilities or {}).items()}
    found = frozenset(
        (packages[key], names[number])
        for key, numbers in (report.package_vulnerabilities or {}).items()
        for number in numbers or ()
    )
    return distributions, frozenset(packages.values()), found


def _package(report: schema.VulnerabilityReport, key: str) -> Package:
    package = (report.packages or {})[key]
    source = package.source
    places = tuple(sorted({each.package_db for each in (report.environments or {}).get(key, [])}))
    above = f"{source.name} {source.version}" if source else ""
    return package.name, package.version, package.kind, package.arch, above, places


def _both(clair: Clair, layers: Layers, image: Path, tree: Path, tmp_path: Path) -> tuple[Seen, Seen]:
    slim = seen_by(clair, layers, slim_tar(image, tmp_path / "slim.tar"))
    return slim, seen_by(clair, layers, full_tar(tree, tmp_path / "full.tar"))


@pytest.mark.parametrize("name", DIRECTORIES)
def test_fixture_gives_the_same_report(clair: Clair, layers: Layers, tmp_path: Path, name: str) -> None:
    """Alpine, rpm and a jar: same distribution, packages and findings from the slim layer."""
    image = obtain_image(f"{name}.sif")
    slim, full = _both(clair, layers, image, obtain_image(name), tmp_path)
    assert slim == full
    assert full[1]


@pytest.mark.live
@pytest.mark.parametrize("name", ["bullseye-sci", "trixie"])
def test_debian_gives_the_same_report(clair: Clair, layers: Layers, tmp_path: Path, name: str) -> None:
    """A whole Debian: the same 371 vulnerabilities, or the same nothing."""
    slim, full = _both(clair, layers, obtain_image(f"{name}.sif"), obtain_tree(name), tmp_path)
    assert slim == full
    assert len(full[1]) > 50


@pytest.mark.live
def test_go_and_wheels_give_the_same_report(clair: Clair, layers: Layers, tmp_path: Path) -> None:
    """Go binaries found by their headers, wheels of a virtual environment: nothing is missed."""
    image, tree = obtain_image("trixie-go.sif"), obtain_image("trixie-go")
    slim, full = _both(clair, layers, image, tree, tmp_path)
    assert slim == full
    assert any(each[0] == "stdlib" for each in full[1])
    assert any(each[0] == "requests" for each in full[1])
