# SPDX-License-Identifier: Apache-2.0
"""Lines come out sorted however many files it takes, and no file stays behind."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest

from sifgate.whatif import spool as module
from sifgate.whatif.spool import Spool, merged


@pytest.mark.parametrize("run_bytes", [1, 100, 1 << 20])
def test_lines_come_out_sorted(run_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run, several, and more than are merged at a time."""
    monkeypatch.setattr(module, "FAN_IN", 4)
    lines = [b"%d\n" % number for number in range(300)] * 2
    random.Random(1).shuffle(lines)  # noqa: S311  # the same disorder each time
    with closing(Spool(tmp_path, run_bytes=run_bytes)) as spool:
        for line in lines:
            spool.add(line)
        assert list(merged(spool.runs())) == sorted(lines)
        assert list(merged(spool.runs())) == sorted(lines)
    assert not list(tmp_path.iterdir())


def test_nothing_comes_out_of_nothing() -> None:
    """An empty log is no error here."""
    with closing(Spool()) as spool:
        assert list(merged(spool.runs())) == []
