# SPDX-License-Identifier: Apache-2.0
"""Files appear whole or not at all, and never over one that is there."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from sifgate import newfile
from sifgate.errors import ConfigError


def test_a_new_file_is_readable_by_all(tmp_path: Path) -> None:
    """Nothing but the file is left in the directory, whatever the umask."""
    before = os.umask(0o077)
    try:
        newfile.create(tmp_path / "a.yaml", b"content")
    finally:
        os.umask(before)
    assert (tmp_path / "a.yaml").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "a.yaml").stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["a.yaml"]  # noqa: PTH208  # names, hidden ones too


def test_of_many_who_create_one_wins(tmp_path: Path) -> None:
    """Whoever comes second is told, and what the first wrote is whole."""
    path = tmp_path / "a.yaml"
    refused: list[str] = []

    def write(number: int) -> None:
        try:
            newfile.create(path, b"%d" % number * 5000)
        except ConfigError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == [f"{path}: is there already"] * 7
    assert path.read_bytes() in {b"%d" % number * 5000 for number in range(8)}
    assert os.listdir(tmp_path) == ["a.yaml"]  # noqa: PTH208  # names, hidden ones too


def test_a_link_that_is_there_is_not_followed(tmp_path: Path) -> None:
    """A dangling symbolic link is a name that is taken."""
    (tmp_path / "a.yaml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="is there already"):
        newfile.create(tmp_path / "a.yaml", b"content")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("write", [newfile.create, newfile.replace])
def test_a_directory_that_is_not_there_is_an_error(write: object, tmp_path: Path) -> None:
    """The error names the file."""
    assert callable(write)
    with pytest.raises(ConfigError, match=r"gone/a\.yaml: cannot be written: No such file"):
        write(tmp_path / "gone/a.yaml", b"content")


def test_replacing_a_directory_leaves_it(tmp_path: Path) -> None:
    """What cannot be replaced stays, and nothing is left beside it."""
    (tmp_path / "a.yaml").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        newfile.replace(tmp_path / "a.yaml", b"content")
    newfile.create(tmp_path / "b.yaml", b"old")
    newfile.replace(tmp_path / "b.yaml", b"new")
    assert (tmp_path / "b.yaml").read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["a.yaml", "b.yaml"]  # noqa: PTH208  # names, hidden ones too
