# SPDX-License-Identifier: Apache-2.0
"""A whole gate of the bench's own: PostgreSQL, Clair, server and agent below a temporary directory."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.cache import cache_root
from testbed.errors import TestbedError

from sifgate.clair import token
from sifgate.clair.api import Clair
from sifgate.clair.exchange import Address, Exchange
from sifgate.clair.retry import Patience
from sifgate.config import Places
from sifgate.engine import keys, report
from sifgate.engine.layout import Layout

SIFGATE = Path(sys.executable).with_name("sifgate")


@contextmanager
def gate(policy: str, root: Path | None = None) -> Iterator[Layout]:
    """Run a gate with `policy` until the block ends, below `root` or a directory of its own; it knows no image."""
    mine = root is None
    root = root or Path(tempfile.mkdtemp(prefix="b"))
    root.chmod(0o755)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/policy.yaml").write_text(policy)
    try:
        _sifgate(root, "up", "--cache", str(cache_root()))
        yield Layout(Places.under(root))
    finally:
        _sifgate(root, "down")
        if mine:
            shutil.rmtree(root)


def clair_of(layout: Layout) -> Clair:
    """Return a client of the gate's Clair, as the server has one."""
    found = report.alive(layout.state_file)
    if found is None:
        raise TestbedError("the gate of the bench is not up")
    address = Address(
        url=found.clair_url,
        key=token.read_key(layout.secrets("server") / "psk"),
        certificates=str(keys.certificate_file(layout, "clair")),
    )
    return Clair(Exchange(address), Patience(), threading.Event())


def _sifgate(root: Path, *words: str) -> None:
    done = subprocess.run([SIFGATE, "--root", root, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TestbedError(f"sifgate {words[0]}: {done.stdout}{done.stderr}")
