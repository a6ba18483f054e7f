# SPDX-License-Identifier: Apache-2.0
"""Files that somebody else could have written are refused, whichever part of their path lets him."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sifgate import fsguard
from sifgate.errors import UnsafeFile

ME = os.geteuid()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that only this user can write."""
    tmp_path.chmod(0o755)
    return tmp_path


def _file(place: Path, mode: int = 0o644) -> Path:
    file = place / "policy.yaml"
    file.write_text("mode: audit\n")
    file.chmod(mode)
    return file


def test_own_file_passes(place: Path) -> None:
    """A file and directories of the running user, writable by nobody else, are safe."""
    fsguard.check(_file(place), owner_uid=ME)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o777])
def test_file_that_others_can_write(place: Path, mode: int) -> None:
    """Group and world write bits are refused, and the hint is the command that helps."""
    file = _file(place, mode)
    with pytest.raises(UnsafeFile, match=f"mode {mode:04o}") as caught:
        fsguard.check(file, owner_uid=ME)
    assert caught.value.hint == f"chmod go-w {file}"


def test_parent_that_others_can_write(place: Path) -> None:
    """A safe file in a directory that others can write can be replaced, so it is refused."""
    inner = place / "etc"
    inner.mkdir()
    file = _file(inner)
    inner.chmod(0o777)
    with pytest.raises(UnsafeFile, match="etc: others can write it"):
        fsguard.check(file, owner_uid=ME)


@pytest.mark.root
def test_sticky_parent(place: Path) -> None:
    """In a sticky directory of root (as /tmp) nobody can rename what belongs to others."""
    inner = place / "tmp"
    inner.mkdir()
    inner.chmod(0o1777)
    fsguard.check(_file(inner))


def test_sticky_does_not_excuse_the_file(place: Path) -> None:
    """A sticky bit on the file itself changes nothing."""
    with pytest.raises(UnsafeFile):
        fsguard.check(_file(place, 0o1666), owner_uid=ME)


@pytest.mark.root
def test_foreign_owner(place: Path) -> None:
    """A file of another uid is refused, unless that uid is allowed by name."""
    file = _file(place)
    os.chown(file, 12345, 0)
    with pytest.raises(UnsafeFile, match="owned by uid 12345"):
        fsguard.check(file)
    fsguard.check(file, also=frozenset({12345}))


def test_link_through_an_unsafe_directory(place: Path) -> None:
    """Whoever can move a link's target decides what is read: links are followed one by one."""
    _file(place)
    inner = place / "inner"
    inner.mkdir()
    target = _file(inner)
    inner.chmod(0o777)
    link = place / "link.yaml"
    link.symlink_to(target)
    with pytest.raises(UnsafeFile, match="inner: others can write it"):
        fsguard.check(link, owner_uid=ME)


def test_relative_link_with_dots(place: Path) -> None:
    """`..` in a link is taken from where the link really lies."""
    (place / "a").mkdir(mode=0o755)
    link = place / "a" / "link"
    link.symlink_to("../policy.yaml")
    _file(place)
    fsguard.check(link, owner_uid=ME)


def test_loop_of_links(place: Path) -> None:
    """Links that lead to each other end in an error, not in a loop."""
    (place / "a").symlink_to("b")
    (place / "b").symlink_to("a")
    with pytest.raises(UnsafeFile, match="too many symbolic links"):
        fsguard.check(place / "a", owner_uid=ME)


@pytest.mark.parametrize("name", ["missing", "policy.yaml/below", "nul\0byte"])
def test_what_is_no_file(place: Path, name: str) -> None:
    """A missing file, a file as directory, a NUL byte: an error with a hint each."""
    _file(place)
    with pytest.raises(UnsafeFile) as caught:
        fsguard.check(place / name, owner_uid=ME)
    assert caught.value.hint
