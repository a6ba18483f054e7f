# SPDX-License-Identifier: Apache-2.0
"""Advisories from an offline bundle: imported by Clair's own tool, dated by the bundle, refused when it is none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from tests.integration.conftest import new_root, sifgate, start, stop

from sifgate.engine import bundle, report
from sifgate.errors import EngineError

pytestmark = pytest.mark.engine


def _line(updater: str, number: int) -> str:
    vulnerability = {
        "updater": updater, "name": f"CVE-2099-000{number}", "description": "", "issued": "2099-01-01T00:00:00Z",
        "links": "https://example.test/", "severity": "high", "normalized_severity": "High",
        "package": {"name": "zlib", "kind": "source"},
        "distribution": {"did": "debian", "name": "Debian GNU/Linux", "version": "12 (bookworm)", "version_id": "12"},
        "fixed_in_version": "1:9.9-1",
    }  # fmt: skip
    entry = {
        "Updater": updater, "Fingerprint": "f1", "Date": "2026-01-02T03:04:05Z", "Kind": "vulnerability",
        "Ref": "00000000-0000-4000-8000-000000000001", "Vuln": vulnerability,
    }  # fmt: skip
    return json.dumps(entry) + "\n"


def _configure(root: Path, content: bytes) -> Path:
    """Write a bundle and a configuration that names it; return the bundle."""
    file = root / "advisories.gz"
    file.write_bytes(content)
    (root / "etc").mkdir()
    settings = {"engine": {"advisories": {"source": "bundle", "path": str(file)}}}
    (root / "etc" / "sifgate.yaml").write_text(json.dumps(settings))
    for path in (file, root / "etc" / "sifgate.yaml"):
        path.chmod(0o600)
    return file


def test_bundle_is_imported() -> None:
    """`up` is up when the bundle is in; a second start skips what is there; no mirror runs, nobody goes online."""
    root = new_root()
    try:
        lines = "".join(_line("site/demo", number) for number in range(3))
        _configure(root, gzip.compress(lines.encode()))
        for _ in range(2):
            engine = start(root, "--without", "server,agent")
            told = report.alive(engine.layout.state_file)
            assert told is not None
            assert told.parts["mirror"].state == "left out"
            assert [(row.updater, row.count, row.as_of.year) for row in told.advisories] == [
                ("site/demo", 3, 2026)
            ]
            assert (root / "log" / "import.log").stat().st_mode & 0o077 == 0
            assert sifgate(root, "down").returncode == 0
    finally:
        stop(root)


def test_file_that_is_no_bundle() -> None:
    """A file of another kind ends `up` with what to do, and nothing is left running."""
    root = new_root()
    try:
        _configure(root, gzip.compress(b"<html>not found</html>\n"))
        done = sifgate(root, "up", "--without", "server,agent")
        assert done.returncode == 3
        assert "not a bundle of advisories" in done.stderr
        assert "clairctl export-updaters" in done.stderr
        assert sifgate(root, "status").returncode == 3
    finally:
        stop(root)


@pytest.mark.parametrize(
    "content", [b"", b"\x1f\x8b\x08\x00broken", b"\x28\xb5\x2f\xfdbroken", b"{}\n", b"\xff\n"]
)
def test_dates_of_what_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    """Empty, cut off, of another kind: an error with a hint each."""
    file = tmp_path / "bundle"
    file.write_bytes(content)
    with pytest.raises(EngineError, match="bundle") as caught:
        bundle.dates(file)
    assert caught.value.hint
