# SPDX-License-Identifier: Apache-2.0
"""A real server process for tests, its requests, and slim layers of small trees made by the real worker."""

from __future__ import annotations

import hashlib
import os
import secrets
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psycopg
import requests
from testbed.filetrees import Tree, write_tree

from sifgate.image.worker import extract
from sifgate.model.image import Extraction
from sifgate.model.verdict import Verdict
from sifgate.verdict import digest

T = TypeVar("T")
READY_SECONDS = 30.0
TOKENS = {"node": "node-token", "viewer": "viewer-token", "admin": "admin-token"}
MEDIA_TYPE = "application/vnd.sifgate.layer.v1"


class Slim(msgspec.Struct, frozen=True):
    """A slim layer as the agent would send it."""

    extraction: Extraction
    tar: bytes

    @property
    def fingerprint(self) -> str:
        """Return its address."""
        return self.extraction.fingerprint

    def envelope(self, **changes: object) -> bytes:
        """Return the upload's body, with some members of its head changed."""
        found = self.extraction
        head: dict[str, object] = {
            "slim_version": found.slim_version,
            "layer_digest": found.layer_digest,
            "layer_size": found.layer_size,
            "facts": found.facts,
        }
        content = msgspec.json.encode({**head, **changes})
        return struct.pack(">Q", len(content)) + content + self.tar


def slim_of(tree: Tree, directory: Path) -> Slim:
    """Return the slim layer of a tree, by the real sandboxed worker."""
    root = write_tree(tree, directory / secrets.token_hex(4))
    root.chmod(0o755)
    image = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        extraction, layer = extract(image)
    finally:
        os.close(image)
    with os.fdopen(layer, "rb") as stream:
        return Slim(extraction=extraction, tar=stream.read())


class Files(msgspec.Struct, frozen=True):
    """What a server process is given."""

    dsn: str
    clair_url: str
    tls_cert: Path
    tls_key: Path
    manifest_key: Path
    state: Path
    tokens: Path
    psk: Path | None = None
    clair_ca: Path | None = None
    feeds: Path | None = None

    def words(self, port: int) -> list[str]:
        """Return the command line."""
        words = [
            sys.executable, "-m", "sifgate.server.main", "--listen", f"127.0.0.1:{port}", "--database", self.dsn,
            "--clair", self.clair_url, "--tls-cert", self.tls_cert, "--tls-key", self.tls_key,
            "--manifest-key-file", self.manifest_key, "--state", self.state, "--tokens-file", self.tokens,
            "--poll", "0.5", "--clair-version", "v4.9.0",
        ]  # fmt: skip
        for name, value in (
            ("--clair-psk-file", self.psk),
            ("--clair-ca", self.clair_ca),
            ("--feeds", self.feeds),
        ):
            words += [name, value] if value else []
        return [str(word) for word in words]


class Site:
    """One server process and what one asks of it."""

    def __init__(self, files: Files, *more: str) -> None:
        self.files = files
        self.log = files.state / f"server-{secrets.token_hex(4)}.log"
        with self.log.open("wb") as log:
            words = [*files.words(0), *more]
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            self.url = self._ready()
        except BaseException:
            self.kill()
            raise

    def _ready(self) -> str:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], READY_SECONDS)
        line = self.process.stdout.readline() if readable else ""
        assert line.startswith("sifgate server listening on https://"), self.log.read_text()
        return line.split()[-1]

    def kill(self) -> None:
        """End the process without any warning."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def end(self) -> int:
        """End the process by SIGTERM and return its status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        if self.process.stdout:
            self.process.stdout.close()
        return status

    def ask(self, method: str, path: str, *, role: str = "node", **options: Any) -> requests.Response:
        """Send a request with the token of a role (empty: none)."""
        headers = {
            **({"Authorization": f"Bearer {TOKENS[role]}"} if role else {}),
            **options.pop("headers", {}),
        }
        return requests.request(
            method, self.url + path, headers=headers, verify=str(self.files.tls_cert), timeout=60, **options
        )

    def put(self, slim: Slim, **changes: object) -> requests.Response:
        """Upload a layer."""
        return self.ask(
            "PUT",
            f"/v1/layers/{slim.fingerprint}",
            data=slim.envelope(**changes),
            headers={"Content-Type": MEDIA_TYPE},
        )

    def get(self, fingerprint: str, wait: float = 0.0) -> requests.Response:
        """Ask for a verdict."""
        return self.ask("GET", f"/v1/verdicts/{fingerprint}?wait={wait}")

    def judged(self, slim: Slim) -> Verdict:
        """Upload a layer and return its verdict."""
        assert self.put(slim).status_code in {200, 202}
        return self.verdict(slim.fingerprint)

    def verdict(self, fingerprint: str) -> Verdict:
        """Return the verdict of a layer that was uploaded, its bytes checked against their address."""
        answer = self.get(fingerprint, wait=30)
        assert answer.status_code == 200, (answer.status_code, answer.text, self.log.read_text()[-2000:])
        assert answer.headers["ETag"] == f'"{digest.digest(answer.content)}"'
        return digest.decode(answer.content)


def eventually(look: Callable[[], T], seconds: float = 20.0) -> T:
    """Return the first true thing that `look` returns; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds} s; last seen: {found!r}"
        time.sleep(0.05)
    return found


@contextmanager
def own_schema(dsn: str) -> Iterator[str]:
    """Give a connection string to an empty schema of its own in a shared database."""
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        try:
            yield psycopg.conninfo.make_conninfo(dsn, options=f"-csearch_path={name}")
        finally:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


def write_tokens(path: Path) -> Path:
    """Write a tokens file with one token for each role."""
    lines = [f"{role} {role} {hashlib.sha256(token.encode()).hexdigest()}" for role, token in TOKENS.items()]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path
