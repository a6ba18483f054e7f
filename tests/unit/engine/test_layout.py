# SPDX-License-Identifier: Apache-2.0
"""Places that cannot hold an engine are refused with a hint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sifgate.config import Places
from sifgate.engine import layout
from sifgate.engine.accounts import Account, Accounts
from sifgate.errors import EngineError, UnsafeFile

ME = Account("me", os.geteuid(), os.getegid())
ALL_ME = Accounts(db=ME, clair=ME, server=ME, scan=ME, agent=ME)
OTHER = Account("other", 61000, 61000)


def test_socket_path_too_long(short: Path) -> None:
    """A unix socket's path has 107 bytes; a longer one is an error before anything is made."""
    places = Places.under(short / ("x" * 100))
    with pytest.raises(EngineError, match="at most 107") as caught:
        layout.prepare(layout.Layout(places), ALL_ME)
    assert "shorter" in caught.value.hint
    assert not places.run.exists()


def test_file_where_a_directory_should_be(short: Path) -> None:
    """A file in the way is named."""
    (short / "run").write_text("")
    with pytest.raises(EngineError, match="run: not a directory"):
        layout.prepare(layout.Layout(Places.under(short)), ALL_ME)


def test_link_where_a_directory_should_be(short: Path) -> None:
    """A link in the way is not followed when modes are set."""
    (short / "elsewhere").mkdir()
    (short / "state").symlink_to(short / "elsewhere")
    with pytest.raises(EngineError, match="state"):
        layout.prepare(layout.Layout(Places.under(short)), ALL_ME)


def test_place_that_others_can_write(short: Path) -> None:
    """Directories below one that others can write are refused: they could be swapped."""
    short.chmod(0o777)
    with pytest.raises(UnsafeFile, match="others can write it"):
        layout.prepare(layout.Layout(Places.under(short)), ALL_ME)


@pytest.mark.root
def test_place_that_the_parts_cannot_enter(short: Path) -> None:
    """With users of their own the parts must be able to enter the directories above."""
    short.chmod(0o700)
    apart = Accounts(db=OTHER, clair=OTHER, server=OTHER, scan=OTHER, agent=ME)
    with pytest.raises(EngineError, match="cannot enter it"):
        layout.prepare(layout.Layout(Places.under(short)), apart)


def test_wrong_modes_are_put_right(short: Path) -> None:
    """A second start repairs directories whose mode somebody has loosened."""
    found = layout.Layout(Places.under(short))
    layout.prepare(found, ALL_ME)
    found.database.chmod(0o777)
    layout.prepare(found, ALL_ME)
    assert found.database.stat().st_mode & 0o777 == 0o700
