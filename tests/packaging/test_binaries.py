# SPDX-License-Identifier: Apache-2.0
"""What is compiled in the packages: loads with glibc 2.28, names no path of who built it, fits each series of Slurm."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.live]

OLDEST = (2, 28)


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the files of all packages."""
    root = tmp_path_factory.mktemp("unpacked")
    for package in built.glob("*-1+deb13_*.deb"):
        subprocess.run(["dpkg-deb", "--extract", str(package), str(root)], check=True)
    return root


def _compiled(root: Path) -> list[Path]:
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if path.open("rb").read(4) == b"\x7fELF"]


def _asked_for(path: Path) -> set[tuple[int, ...]]:
    """Return the versions of glibc whose symbols a file asks for."""
    table = subprocess.run(["objdump", "-T", str(path)], capture_output=True, text=True, check=False).stdout
    return {tuple(map(int, found.split("."))) for found in re.findall(r"\*UND\*.*GLIBC_([0-9.]+)", table)}


def test_everything_loads_with_the_oldest_glibc(unpacked: Path) -> None:
    """No compiled file asks for a symbol newer than glibc 2.28."""
    files = _compiled(unpacked)
    assert len(files) > 10
    too_new = {str(path.relative_to(unpacked)): max(asked) for path in files
               if (asked := _asked_for(path)) and max(asked) > OLDEST}  # fmt: skip
    assert not too_new


def test_programs_need_no_library(unpacked: Path) -> None:
    """The programs of the doors are static: nothing of the node or of a user is loaded into them."""
    programs = [
        path for path in (unpacked / "usr/libexec/sifgate").glob("sifgate-*") if path in _compiled(unpacked)
    ]
    assert {path.name for path in programs} >= {"sifgate-wrapper", "sifgate-ask"}
    for program in programs:
        dynamic = subprocess.run(
            ["readelf", "-d", str(program)], capture_output=True, text=True, check=True
        ).stdout
        assert "NEEDED" not in dynamic


def test_plugins_of_all_series_lie_side_by_side(unpacked: Path) -> None:
    """Each plugin says the series that it was compiled for, which Slurm's loader compares."""
    places = sorted(unpacked.glob("usr/lib/sifgate/spank/*/sifgate.so"))
    assert [path.parent.name for path in places] == ["22.05", "24.11", "26.05"]
    numbers = []
    for place in places:
        table = subprocess.run(
            ["objdump", "-T", str(place)], capture_output=True, text=True, check=True
        ).stdout
        line = next(line for line in table.splitlines() if line.endswith("plugin_version"))
        sections = subprocess.run(
            ["readelf", "-SW", str(place)], capture_output=True, text=True, check=True
        ).stdout
        numbers.append(_word(place, sections, int(line.split()[0], 16)) >> 8)
    assert numbers == [0x1605, 0x180B, 0x1A05]


def _word(path: Path, sections: str, address: int) -> int:
    """Return the 4-byte number at an address of a loaded file."""
    pattern = r"\] \S+ +\w+ +([0-9a-f]{16}) ([0-9a-f]+) ([0-9a-f]+) "
    for start, offset, size in re.findall(pattern, sections):
        begin = int(start, 16)
        if begin and begin <= address < begin + int(size, 16):
            place = int(offset, 16) + address - begin
            return int.from_bytes(path.read_bytes()[place : place + 4], "little")
    raise AssertionError(f"{path}: nothing at {address:#x}")


def test_packages_name_no_machine_of_their_builder(unpacked: Path) -> None:
    """No file of the packages has the clone's or the cache's path in it."""
    from testbed.cache import cache_root

    from sifpack.python import SOURCE

    traces = [str(SOURCE).encode() + b"/", str(cache_root()).encode()]
    files = [path for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink()]
    named = [str(path) for path in files if any(trace in path.read_bytes() for trace in traces)]
    assert not named
