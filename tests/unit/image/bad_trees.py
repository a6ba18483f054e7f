# SPDX-License-Identifier: Apache-2.0
"""Bad images by the tree: squashfs that lies, names, archives and symlinks that would harm Clair."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.unit.image.corpus import (
    APK,
    CASES,
    OS_RELEASE,
    STATUS,
    Case,
    as_file,
    case,
    debian,
    in_sif,
    jar,
    patched,
    without,
)
from tests.unit.image.squashwriter import AS_IS, Directory, File, Link, Node, Pipe, tree, write

FIXED_PATHS = (
    "etc/os-release", "usr/lib/os-release", "etc/lsb-release", "etc/issue", "lib/apk/db/installed",
    "var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite", "root/buildinfo/labels.json", "opt/x/Packages",
    "opt/x/status.d/base", "var/lib/dnf/history.sqlite",
)  # fmt: skip
"""Where a dangling or looping symlink would make Clair fail, or die."""


# --- squashfs


@case("malformed")
def squashfs_truncated(directory: Path) -> Path:
    """Cut before its tables."""
    root = debian({"opt/a": File(bytes(100_000))})
    return as_file(directory, write(root)[:50_000])


@case("format")
def squashfs_unknown_compression(directory: Path) -> Path:
    """Compression 9."""
    return as_file(directory, write(debian(), compression=9))


@case("format")
def squashfs_version_3(directory: Path) -> Path:
    """An old version."""
    return as_file(directory, write(debian(), version=(3, 1)))


@case("malformed")
def squashfs_block_size(directory: Path) -> Path:
    """A block size that is no power of two."""
    return patched(as_file(directory, write(debian())), 12, struct.pack("<I", 131_073))


@case("malformed")
def squashfs_tables_past_end(directory: Path) -> Path:
    """An inode table far behind the file."""
    return patched(as_file(directory, write(debian())), 64, struct.pack("<Q", 1 << 62))


@case("malformed")
def squashfs_root_is_a_file(directory: Path) -> Path:
    """The root inode is a regular file's."""
    root = Directory()
    image = bytearray(write(root))
    inode = struct.unpack_from("<Q", image, 64)[0] + 2
    image[inode : inode + 2] = struct.pack("<H", 9)
    return as_file(directory, bytes(image))


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
    inner = jar({"zeros.jar": bytes(64 << 20)})
    outer = jar({f"bomb{number}.jar": inner for number in range(12)})
    return in_sif(directory, debian({"opt/bomb.jar": File(outer)}))


@case("omitted archive")
def zip_huge_declared(directory: Path) -> Path:
    """An inner jar that declares more than there is memory: Go would allocate it."""
    data = bytearray(jar({"inner.jar": bytes(100)}))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    return in_sif(directory, debian({"opt/bomb.jar": File(bytes(data))}))


@case("omitted archive")
def zip_deep(directory: Path) -> Path:
    """Jars in jars in jars."""
    data = jar({"a.txt": b"x"})
    for _ in range(20):
        data = jar({"inner.jar": data})
    return in_sif(directory, debian({"opt/deep.war": File(data)}))


@case("omitted archive")
def zip_manifest(directory: Path) -> Path:
    """A manifest that is one line of 100 MB."""
    data = jar({"META-INF/MANIFEST.MF": b"A" * (100 << 20)})
    return in_sif(directory, debian({"opt/manifest.jar": File(data)}))


# --- symlinks


def _link_case(path: str, target: bytes, how: str) -> Case:
    def make(directory: Path) -> Path:
        root = (
            without(path)
            if path in {"etc/os-release", "usr/lib/os-release", "var/lib/dpkg/status"}
            else debian()
        )
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
