# SPDX-License-Identifier: Apache-2.0
"""A real engine for the tests: PostgreSQL, Clair and the shipped advisories, plus three packages of Alpine 3.8."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from testbed.cache import cache_root

from sifgate.config import Places
from sifgate.engine import reach, report
from sifgate.engine.layout import Layout

ALPINE = Path(__file__).parents[1] / "data" / "alpine" / "secdb-v3.8.json"
MINUTES = 15 * 60.0


class RunningEngine(msgspec.Struct, frozen=True):
    """Where the parts of an engine are and what is needed to talk to them (as the test's own uid)."""

    root: Path
    clair_url: str
    psk_file: Path
    ca_file: Path
    """The certificate of Clair, which is all that its clients should trust."""
    dsn: str
    """The server's own, empty database (of the whole gate: the one that its server uses)."""
    tls_cert: Path
    tls_key: Path
    """A certificate that Clair trusts when it fetches layers."""
    tokens_file: Path
    token_file: Path
    """The admin token named in `tokens_file`, in clear."""
    manifest_key_file: Path
    feeds: Path
    server_url: str
    """Empty where the server is left out."""

    @property
    def places(self) -> Places:
        """Return the engine's directories."""
        return Places.under(self.root)

    @property
    def layout(self) -> Layout:
        """Return the engine's files."""
        return Layout(self.places)


def sifgate(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with all its places below `root`."""
    command = [sys.executable, "-m", "sifgate.cli.main", "--root", str(root), *words]
    environment = {**os.environ, "SIFGATE_CACHE": str(cache_root())}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=MINUTES, env=environment
    )


def new_root() -> Path:
    """Return a directory that the parts' uids can enter, with a path short enough for sockets."""
    root = Path(tempfile.mkdtemp(prefix="e"))
    root.chmod(0o755)
    return root


def alpine_directory(root: Path) -> Path:
    """Return a directory of advisories in the layout of Alpine's security database, below `root`."""
    directory = root / "advisories"
    packages = json.loads(ALPINE.read_text())["packages"]
    for minor in range(3, 9):  # Clair wants every release from v3.3 on
        place = directory / "alpine" / f"v3.{minor}"
        place.mkdir(parents=True)
        rows = (
            [{"pkg": {"name": name, "secfixes": fixes}} for name, fixes in packages.items()]
            if minor == 8
            else []
        )
        (place / "main.json").write_text(
            json.dumps({"distroversion": f"v3.{minor}", "reponame": "main", "packages": rows})
        )
    (directory / "alpine" / "last-update").write_text("2020-06-08T13:44:53Z\n")
    return directory


def start(root: Path, *words: str) -> RunningEngine:
    """Start an engine below `root`; fail with its own words if it does not come up."""
    done = sifgate(root, "up", *words)
    if done.returncode:
        logs = "".join(
            f"\n{file.name}: {file.read_text(errors='replace')[-800:]}" for file in (root / "log").glob("*")
        )
        pytest.fail(f"sifgate up: {done.stdout}{done.stderr}{logs}")
    return describe(root)


def describe(root: Path) -> RunningEngine:
    """Return how to reach the engine that runs below `root`."""
    from sifgate.engine import keys, postgres

    layout = Layout(Places.under(root))
    found = report.alive(layout.state_file)
    assert found is not None
    server = found.parts["server"]
    return RunningEngine(
        root=root,
        clair_url=found.clair_url,
        psk_file=layout.secrets("server") / "psk",
        ca_file=keys.certificate_file(layout, "clair"),
        dsn=postgres.connection(layout, "sifgate", "sifgate"),
        tls_cert=keys.certificate_file(layout, "server"),
        tls_key=keys.key_file(layout, "server"),
        tokens_file=layout.secrets("server") / "tokens",
        token_file=layout.secrets("agent") / "token",
        manifest_key_file=layout.secrets("server") / "manifest.key",
        feeds=layout.feeds,
        server_url=f"https://{server.address}" if server.address else "",
    )


def stop(root: Path) -> None:
    """Stop the engine below `root` and remove its directory; fail if anything stays."""
    done = sifgate(root, "down")
    shutil.rmtree(root)
    assert done.returncode == 0, done.stderr


def running(*words: str) -> Iterator[RunningEngine]:
    """Run an engine of its own for a fixture."""
    root = new_root()
    try:
        yield start(root, "--advisories-dir", str(alpine_directory(root)), *words)
    finally:
        stop(root)


@pytest.fixture(scope="session")
def engine() -> Iterator[RunningEngine]:
    """PostgreSQL and Clair with all shipped advisories, shared by the session: do not kill anything in it."""
    yield from running("--without", "server,agent")


@pytest.fixture(scope="session")
def gate() -> Iterator[RunningEngine]:
    """The same with server and agent, shared by the session: do not kill anything in it."""
    yield from running()


@pytest.fixture
def own_engine() -> Iterator[RunningEngine]:
    """PostgreSQL and Clair of this test alone."""
    yield from running("--without", "server,agent")


def user(arguments: Sequence[str], uid: int, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -c CODE ARGUMENTS` as another uid without any groups (root only)."""
    words = reach.command([sys.executable, "-I", "-c", *arguments], uid, uid, [])
    return subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=MINUTES, cwd="/",
        env={"PATH": os.environ["PATH"], **environment},
    )  # fmt: skip
