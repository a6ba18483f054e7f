# SPDX-License-Identifier: Apache-2.0
"""The package-data trees hold what their known answers were counted for."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from testbed.errors import TestbedError
from testbed.filetrees import FILE_TREES, Link, bullseye_sci, jar, old_wheels, write_tree
from testbed.images import image_names, obtain_image
from testbed.rpm import rpm_packages


def test_dpkg_status_has_every_package() -> None:
    """Each row of the list is one installed stanza; a source is named where it differs."""
    status = bullseye_sci()["var/lib/dpkg/status"]
    assert isinstance(status, bytes)
    text = status.decode()
    assert text.count("Status: install ok installed\n") == text.count("Package: ") == 335
    assert "\n\n" in text
    git = next(stanza for stanza in text.split("\n\n") if stanza.startswith("Package: git\n"))
    assert "Version: 1:2.30.2-1+deb11u2" in git


@pytest.mark.parametrize("name", sorted(FILE_TREES))
def test_every_tree_states_its_distribution(name: str, tmp_path: Path) -> None:
    """`etc/os-release` is a link into the tree, as distributions ship it."""
    root = write_tree(FILE_TREES[name](), tmp_path / name)
    release = root / "etc/os-release"
    assert release.is_symlink()
    assert "VERSION_ID=" in release.read_text()


def test_archives_are_deterministic_zips() -> None:
    """The Java fixture has the same bytes each time; the nested archive is inside the outer one."""
    first, second = jar(), jar()
    assert first == second
    war = first["opt/app/app.war"]
    assert isinstance(war, bytes)
    with zipfile.ZipFile(io.BytesIO(war)) as outer:
        assert "WEB-INF/lib/log4j-core-2.14.1.jar" in outer.namelist()


def test_wheels_are_those_of_real_releases() -> None:
    """The metadata states the versions that advisories speak of."""
    tree = old_wheels()
    metadata = tree["opt/old/lib/python3.9/site-packages/requests-2.19.1.dist-info/METADATA"]
    assert isinstance(metadata, bytes)
    assert b"\nName: requests\nVersion: 2.19.1\n" in metadata


def test_links_are_written_as_links(tmp_path: Path) -> None:
    """A tree can hold files, links and empty directories."""
    root = write_tree({"a/b": b"x", "c": Link("a/b"), "d": None}, tmp_path)
    assert (root / "c").read_bytes() == b"x"
    assert (root / "d").is_dir()


def test_unknown_image_is_an_error_with_the_names() -> None:
    """A misspelt name is answered by the list of names."""
    with pytest.raises(TestbedError, match="alpine-3"):
        obtain_image("alpine")


def test_rpm_list_has_one_row_a_package() -> None:
    """The manifest's packages, without keys, one version each."""
    names = [name for name, _, _ in rpm_packages()]
    assert len(names) == len(set(names)) > 100
    assert "gpg-pubkey" not in names


def test_small_image_is_packed_for_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package tree becomes a SIF whose squashfs starts at a page, and is built once."""
    if shutil.which("mksquashfs") is None:
        pytest.skip("needs mksquashfs (Debian package squashfs-tools)")
    monkeypatch.setenv("SIFGATE_CACHE", str(tmp_path))
    image = obtain_image("alpine-3.8.4.sif")
    data = image.read_bytes()
    offset = int.from_bytes(data[4096 + 17 : 4096 + 25], "little")
    assert data[offset : offset + 4] == b"hsqs"
    listing = subprocess.run(
        ["unsquashfs", "-offset", str(offset), "-ls", str(image)], capture_output=True, check=True
    )
    assert b"squashfs-root/lib/apk/db/installed" in listing.stdout
    assert obtain_image("alpine-3.8.4.sif") == image


def test_names_come_as_directory_and_as_image() -> None:
    """Every directory can be had as SIF."""
    names = image_names()
    assert {f"{name}.sif" for name in names if not name.endswith(".sif")} <= set(names)
