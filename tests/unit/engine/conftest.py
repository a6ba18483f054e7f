# SPDX-License-Identifier: Apache-2.0
"""A directory whose path leaves room for unix sockets (pytest's own is too long)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short path that only this user can write and everybody can enter."""
    place = Path(tempfile.mkdtemp(prefix="e"))
    place.chmod(0o755)
    yield place
    place.chmod(0o700)
    shutil.rmtree(place)
