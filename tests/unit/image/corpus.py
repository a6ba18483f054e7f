# SPDX-License-Identifier: Apache-2.0
"""The hostile images: a generator of every kind of bad image that a requester may bring.

Each case writes its image into a directory and returns what is opened. `expected` is a cause of `unscannable`, or a part of
what the facts must note; never "clean". Sizes are small: what is huge is huge only by what it declares.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from testbed import sif
from tests.unit.image.squashwriter import AS_IS, Directory, File, Link, Node, Pipe, tree, write

OS_RELEASE = b'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'
STATUS = b"Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n\n"
APK = b"P:musl\nV:1.1.19-r10\nA:x86_64\n\n"
FIXED_PATHS = (
    "etc/os-release", "usr/lib/os-release", "etc/lsb-release", "etc/issue", "lib/apk/db/installed",
    "var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite", "root/buildinfo/labels.json", "opt/x/Packages",
    "opt/x/status.d/base", "var/lib/dnf/history.sqlite",
)  # fmt: skip
"""Where a dangling or looping symlink would make Clair fail, or die."""


@dataclass(frozen=True)
class Case:
    """One bad image."""

    name: str
    make: Callable[[Path], Path]
    expected: str
    """A cause, or `omitted CODE`, or `contradiction CODE`."""


def debian(extra: dict[str, Node] | None = None) -> Directory:
    """Return a small honest Debian tree, with more in it."""
    files: dict[str, Node] = {
        "etc/os-release": Link(b"../usr/lib/os-release"),
        "usr/lib/os-release": File(OS_RELEASE),
        "var/lib/dpkg/status": File(STATUS),
        "var/lib/dpkg/info/bash.list": File(b"/bin/bash\n"),
    }
    return tree({**files, **(extra or {})})


def without(*paths: str) -> Directory:
    """Return the small tree without some of its files."""
    root = debian()
    for path in paths:
        *parents, last = path.encode().split(b"/")
        here = root
        for name in parents:
            below = dict(here.entries)[name]
            assert isinstance(below, Directory)
            here = below
        here.entries = [entry for entry in here.entries if entry[0] != last]
    return root


CASES: list[Case] = []


def case(expected: str) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    """Register a generator under its name."""

    def register(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES.append(Case(make.__name__, make, expected))
        return make

    return register


def _file(directory: Path, data: bytes) -> Path:
    path = directory / "image.sif"
    path.write_bytes(data)
    return path


def in_sif(directory: Path, root: Directory | bytes, *more: sif.SifObject, kind: int = sif.SQUASHFS) -> Path:
    """Write a SIF with this as its primary partition."""
    path = directory / "image.sif"
    data = root if isinstance(root, bytes) else write(root)
    sif.write_sif(path, [sif.partition(data, kind), *more])
    return path


def _patched(path: Path, offset: int, data: bytes) -> Path:
    with path.open("r+b") as image:
        image.seek(offset)
        image.write(data)
    return path


def _jar(members: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


# --- the file as a whole


@case("format")
def empty_file(directory: Path) -> Path:
    """Nothing at all."""
    return _file(directory, b"")


@case("format")
def short_file(directory: Path) -> Path:
    """Fewer bytes than the runtime sniffs."""
    return _file(directory, b"hsqs" + bytes(1000))


@case("format")
def text_file(directory: Path) -> Path:
    """A script with the right name."""
    return _file(directory, b"#!/bin/sh\n" * 1000)


@case("format")
def fifo(directory: Path) -> Path:
    """A pipe: opening must not wait, reading must not happen."""
    os.mkfifo(directory / "image.sif")
    return directory / "image.sif"


@case("format")
def device(directory: Path) -> Path:
    """A character device that never ends."""
    return Path("/dev/zero")


@case("filesystem")
def bare_ext3(directory: Path) -> Path:
    """A file with the magic of ext2, 3 and 4."""
    return _patched(_file(directory, bytes(8192)), 1080, b"\x53\xef")


@case("encrypted")
def bare_luks(directory: Path) -> Path:
    """A LUKS container."""
    return _file(directory, b"LUKS\xba\xbe\0\2" + bytes(8192))


# --- SIF


@case("malformed")
def sif_truncated_header(directory: Path) -> Path:
    """Cut inside the descriptors."""
    return _file(directory, in_sif(directory, debian()).read_bytes()[:5000])


@case("malformed")
def sif_truncated_partition(directory: Path) -> Path:
    """Cut inside the partition."""
    return _file(directory, in_sif(directory, debian()).read_bytes()[:-4096])


@case("malformed")
def sif_descriptor_past_end(directory: Path) -> Path:
    """The primary partition begins behind the file."""
    return _patched(in_sif(directory, debian()), sif.TABLE_OFFSET + 17, struct.pack("<q", 1 << 60))


@case("malformed")
def sif_negative_size(directory: Path) -> Path:
    """The primary partition has a negative size."""
    return _patched(in_sif(directory, debian()), sif.TABLE_OFFSET + 25, struct.pack("<q", -1))


@case("malformed")
def sif_overlapping(directory: Path) -> Path:
    """Two objects share bytes."""
    other = sif.SifObject(sif.LABELS, bytes(8192))
    path = in_sif(directory, debian(), other)
    place = path.read_bytes()[sif.TABLE_OFFSET + 17 : sif.TABLE_OFFSET + 25]
    return _patched(path, sif.TABLE_OFFSET + sif.DESCRIPTOR.size + 17, place)


@case("malformed")
def sif_partition_over_table(directory: Path) -> Path:
    """The primary partition overlaps the descriptors."""
    return _patched(in_sif(directory, debian()), sif.TABLE_OFFSET + 17, struct.pack("<q", 4096))


@case("malformed")
def sif_no_primary(directory: Path) -> Path:
    """Only a data partition."""
    path = directory / "image.sif"
    sif.write_sif(path, [sif.partition(write(debian()), kind=sif.DATA)])
    return path


@case("malformed")
def sif_two_primaries(directory: Path) -> Path:
    """One to be judged, one to be run."""
    return in_sif(directory, debian(), sif.partition(write(debian())))


@case("malformed")
def sif_no_descriptors(directory: Path) -> Path:
    """A header alone."""
    path = directory / "image.sif"
    sif.write_sif(path, [])
    return path


@case("malformed")
def sif_many_descriptors(directory: Path) -> Path:
    """More descriptors than memory."""
    return _patched(in_sif(directory, debian()), 88, struct.pack("<q", 1 << 40))


@case("malformed")
def sif_magic_elsewhere(directory: Path) -> Path:
    """The magic is there, but not where the loader insists on it."""
    return _file(directory, bytes(100) + b"SIF_MAGIC\x00" + bytes(8192))


@case("malformed")
def sif_unknown_version(directory: Path) -> Path:
    """A version that nobody knows."""
    return _patched(in_sif(directory, debian()), 42, b"99\0")


@case("encrypted")
def sif_luks(directory: Path) -> Path:
    """An encrypted partition, said so."""
    return in_sif(directory, b"LUKS\xba\xbe".ljust(4096, b"\0"), kind=sif.ENCRYPTED)


@case("encrypted")
def sif_luks_denied(directory: Path) -> Path:
    """An encrypted partition that calls itself squashfs."""
    return in_sif(directory, b"LUKS\xba\xbe".ljust(4096, b"\0"))


@case("encrypted")
def sif_gocryptfs(directory: Path) -> Path:
    """A squashfs full of ciphertext: unsquashing it would find nothing, and look clean."""
    return in_sif(directory, write(debian()), kind=sif.GOCRYPTFS)


@case("filesystem")
def sif_ext3(directory: Path) -> Path:
    """An ext3 partition."""
    return in_sif(directory, bytes(8192), kind=sif.EXT3)


@case("format")
def oci_sif(directory: Path) -> Path:
    """Layers in place of a partition."""
    path = directory / "image.sif"
    sif.write_sif(path, [sif.SifObject(0x400A, b"{}" * 100), sif.SifObject(0x400B, bytes(4096))])
    return path


# --- polyglots


@case("malformed")
def squashfs_with_sif_magic(directory: Path) -> Path:
    """A squashfs that is also found to be a SIF."""
    root = debian({"opt/a": File(b"SIF_MAGIC\0" * 50)})
    return _patched(_file(directory, write(root)), 1024, b"SIF_MAGIC\0")


@case("malformed")
def squashfs_with_ext3_magic(directory: Path) -> Path:
    """A squashfs that is also an ext3."""
    root = debian({"opt/a": File(bytes(4096))})
    return _patched(_file(directory, write(root)), 1080, b"\x53\xef")


@case("malformed")
def two_squashfs(directory: Path) -> Path:
    """One squashfs at 0 and another one after a shebang."""
    image = bytearray(write(debian({"opt/a": File(bytes(4096))})))
    image[100:117] = b" run-singularity\n"
    image[117:121] = b"hsqs"
    return _file(directory, bytes(image))


# --- squashfs


@case("malformed")
def squashfs_truncated(directory: Path) -> Path:
    """Cut before its tables."""
    root = debian({"opt/a": File(bytes(100_000))})
    return _file(directory, write(root)[:50_000])


@case("format")
def squashfs_unknown_compression(directory: Path) -> Path:
    """Compression 9."""
    return _file(directory, write(debian(), compression=9))


@case("format")
def squashfs_version_3(directory: Path) -> Path:
    """An old version."""
    return _file(directory, write(debian(), version=(3, 1)))


@case("malformed")
def squashfs_block_size(directory: Path) -> Path:
    """A block size that is no power of two."""
    return _patched(_file(directory, write(debian())), 12, struct.pack("<I", 131_073))


@case("malformed")
def squashfs_tables_past_end(directory: Path) -> Path:
    """An inode table far behind the file."""
    return _patched(_file(directory, write(debian())), 64, struct.pack("<Q", 1 << 62))


@case("malformed")
def squashfs_root_is_a_file(directory: Path) -> Path:
    """The root inode is a regular file's."""
    root = Directory()
    image = bytearray(write(root))
    inode = struct.unpack_from("<Q", image, 64)[0] + 2
    image[inode : inode + 2] = struct.pack("<H", 9)
    return _file(directory, bytes(image))


@case("malformed")
def duplicate_names(directory: Path) -> Path:
    """Two files of one name: which one is run, which one judged?"""
    root = debian()
    root.entries.append((root.entries[-1][0], Directory()))
    return in_sif(directory, root)


@case("malformed")
def unsorted_names(directory: Path) -> Path:
    """Out of order: the kernel's search would not find what a walk finds."""
    root = debian()
    root.entries.reverse()
    return in_sif(directory, root)


@case("malformed")
def directory_twice(directory: Path) -> Path:
    """A directory inode that is reached by two ways."""
    shared = Directory([(b"a", File(b"x"))])
    return in_sif(directory, debian({"opt/one": shared, "opt/two": shared}))


@case("malformed")
def directory_cycle(directory: Path) -> Path:
    """A directory that holds itself."""
    loop = Directory()
    loop.entries.append((b"again", loop))
    root = debian()
    root.entries.append((b"zzz", loop))
    return in_sif(directory, root)


@case("malformed")
def name_dot_dot(directory: Path) -> Path:
    """An entry named `..`."""
    return in_sif(directory, Directory([(b"..", Directory())]))


@case("malformed")
def name_with_slash(directory: Path) -> Path:
    """An entry named as a path."""
    return in_sif(directory, Directory([(b"etc/os-release", File(OS_RELEASE))]))


@case("malformed")
def name_with_nul(directory: Path) -> Path:
    """An entry with a NUL byte."""
    return in_sif(directory, Directory([(b"a\0b", File())]))


@case("bounds")
def deep_tree(directory: Path) -> Path:
    """Directories in directories, a thousand deep."""
    here = Directory()
    for _ in range(1000):
        here = Directory([(b"d", here)])
    return in_sif(directory, here)


@case("bounds")
def million_entries(directory: Path) -> Path:
    """A directory of three million names for one inode."""
    shared = File(b"x")
    return in_sif(directory, Directory([(b"%07d" % number, shared) for number in range(3_000_000)]))


@case("malformed")
def block_list_past_end(directory: Path) -> Path:
    """A status file of an exabyte, whose list of blocks cannot be there."""
    return in_sif(directory, debian({"usr/lib/python3/x.egg-info": File(b"", size=1 << 40, sizes=[])}))


@case("omitted too-large")
def huge_sparse_text(directory: Path) -> Path:
    """Python metadata of a gigabyte of zeros."""
    return in_sif(directory, debian({"opt/x.egg-info": File(b"", size=1 << 30, sizes=[0] * 8192)}))


@case("malformed")
def block_too_large(directory: Path) -> Path:
    """A block that says it is longer than a block."""
    return in_sif(directory, debian({"opt/x.egg-info": File(b"abc", sizes=[0xFFFFFF | AS_IS])}))


@case("malformed")
def damaged_block(directory: Path) -> Path:
    """A compressed block that is none."""
    return in_sif(directory, debian({"opt/x.egg-info": File(b"garbage", size=100, sizes=[7])}))


# --- names that Clair cannot bear


@case("omitted glob")
def bracket_directory(directory: Path) -> Path:
    """A dpkg database below `[`: Clair panics in fs.Glob."""
    extra: dict[str, Node] = {"opt/[a/status": File(STATUS), "opt/[a/info/bash.list": File()}
    return in_sif(directory, debian(extra))


@case("omitted glob")
def backslash_directory(directory: Path) -> Path:
    """A dpkg database below a name that ends in a backslash."""
    extra: dict[str, Node] = {"opt/a\\/status": File(STATUS), "opt/a\\/info/bash.list": File()}
    return in_sif(directory, debian(extra))


@case("omitted name")
def colliding_names(directory: Path) -> Path:
    """Two names that Clair shows alike."""
    root = debian()
    both = Directory([(rb"\xff.egg-info", File(b"Name: a\n")), (b"\xff.egg-info", File(b"Name: b\n"))])
    root.entries.append((b"zzz", both))
    return in_sif(directory, root)


@case("omitted apk")
def apk_empty_line(directory: Path) -> Path:
    """Three newlines in a row: Clair's apk scanner indexes past the end."""
    return in_sif(directory, debian({"lib/apk/db/installed": File(APK + b"\n" + APK)}))


@case("omitted not-a-file")
def fifo_as_database(directory: Path) -> Path:
    """A pipe where Clair opens a database."""
    return in_sif(directory, debian({"opt/x/rpmdb.sqlite": Pipe()}))


# --- archives


@case("omitted archive")
def zip_bomb(directory: Path) -> Path:
    """A jar in a jar that unfolds to a gigabyte of zeros."""
    inner = _jar({"zeros.jar": bytes(64 << 20)})
    outer = _jar({f"bomb{number}.jar": inner for number in range(12)})
    return in_sif(directory, debian({"opt/bomb.jar": File(outer)}))


@case("omitted archive")
def zip_huge_declared(directory: Path) -> Path:
    """An inner jar that declares more than there is memory: Go would allocate it."""
    data = bytearray(_jar({"inner.jar": bytes(100)}))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    return in_sif(directory, debian({"opt/bomb.jar": File(bytes(data))}))


@case("omitted archive")
def zip_deep(directory: Path) -> Path:
    """Jars in jars in jars."""
    data = _jar({"a.txt": b"x"})
    for _ in range(20):
        data = _jar({"inner.jar": data})
    return in_sif(directory, debian({"opt/deep.war": File(data)}))


@case("omitted archive")
def zip_manifest(directory: Path) -> Path:
    """A manifest that is one line of 100 MB."""
    data = _jar({"META-INF/MANIFEST.MF": b"A" * (100 << 20)})
    return in_sif(directory, debian({"opt/manifest.jar": File(data)}))


# --- symlinks


def _link_case(path: str, target: bytes, how: str) -> Case:
    def make(directory: Path) -> Path:
        root = without(path) if path in {"etc/os-release", "usr/lib/os-release", "var/lib/dpkg/status"} else debian()
        root.add(path, Link(target))
        _resort(root)
        if path == "usr/lib/os-release":
            root = tree({path: Link(target), "var/lib/dpkg/status": File(STATUS)})
        return in_sif(directory, root)

    return Case(f"{how}:{path}", make, "omitted link")


def _resort(directory: Directory) -> None:
    directory.entries.sort(key=lambda entry: entry[0])
    for _, node in directory.entries:
        if isinstance(node, Directory):
            _resort(node)


CASES.extend(_link_case(path, b"/nowhere/at/all", "dangling") for path in FIXED_PATHS)
CASES.extend(_link_case(path, b"/" + path.encode(), "looping") for path in FIXED_PATHS)


@case("omitted link")
def link_out_of_the_tree(directory: Path) -> Path:
    """A link to a file of the host."""
    return in_sif(directory, debian({"etc/issue": Link(b"../../../../../etc/passwd")}))


@case("omitted link")
def links_in_a_ring(directory: Path) -> Path:
    """Two links that lead to each other: Clair's stack would overflow."""
    return in_sif(directory, debian({"etc/issue": Link(b"x"), "etc/x": Link(b"issue")}))


@case("omitted link")
def link_ring_of_directories(directory: Path) -> Path:
    """A ring above a path that Clair opens."""
    return in_sif(directory, debian({"lib": Link(b"lib64"), "lib64": Link(b"lib")}))
