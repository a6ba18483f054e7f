# SPDX-License-Identifier: Apache-2.0
"""What goes into the slim layer, and that it is one sequence of bytes for one content."""

from __future__ import annotations

import os
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

import pytest
from testbed.squashfs import COMPRESSIONS, make_sif, make_squashfs
from tests.unit.image.corpus import APK, OS_RELEASE, STATUS, debian, in_sif
from tests.unit.image.opened import layer_of, squashfs_of
from tests.unit.image.squashwriter import File, Link, tree, write

from sifgate.image.worker import extract, recheck

FILES = {
    "usr/lib/os-release": OS_RELEASE,
    "var/lib/dpkg/status": STATUS,
    "var/lib/dpkg/info/bash.list": b"/bin/bash\n",
    "opt/venv/lib/python3.11/site-packages/a-1.dist-info/METADATA": b"Name: a\nVersion: 1\n",
    "opt/venv/lib/python3.11/site-packages/a-1.dist-info/INSTALLER": b"pip\n",
    "opt/data/noise.bin": os.urandom(300_000),
    "opt/data/zeros.bin": bytes(1_000_000),
    "usr/bin/tool": b"\x7fELF" + bytes(200_000),
}


def members(layer: bytes) -> dict[str, tarfile.TarInfo]:
    """Return the members as Python's own reader sees them."""
    with tarfile.open(fileobj=BytesIO(layer)) as archive:
        return {each.name: each for each in archive.getmembers()}


def on_disk(root: Path) -> Path:
    """Write the files below a directory and return it."""
    for path, data in FILES.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (root / "etc").mkdir()
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    return root


def extracted(path: Path) -> tuple[str, bytes]:
    """Return fingerprint and layer of an image, after the recheck that a server would make."""
    fd = os.open(path, os.O_RDONLY)
    try:
        extraction, layer = extract(fd)
    finally:
        os.close(fd)
    try:
        recheck(layer, extraction)
        return extraction.fingerprint, os.pread(layer, extraction.layer_size, 0)
    finally:
        os.close(layer)


def test_each_rule_takes_its_files() -> None:
    """Fixed paths, names anywhere and suffixes are in; everything else is not."""
    wanted = {
        "etc/lsb-release", "etc/issue", "lib/apk/db/installed", "root/buildinfo/Dockerfile-x-1-2",
        "root/buildinfo/content_manifests/a.json", "usr/share/buildinfo/labels.json", "opt/db/status.d/base",
        "opt/rpm/Packages", "opt/rpm/Packages.db", "opt/rpm/rpmdb.sqlite", "a/x.egg-info", "a/y.egg-info/PKG-INFO",
        "a/z.egg/EGG-INFO/PKG-INFO", "a/w.dist-info/METADATA", "a/w.dist-info/INSTALLER", "a/j.jar", "a/j.hpi",
        "gems/specifications/b.gemspec", "gems/specifications/default/c.gemspec", "var/lib/dnf/history.sqlite",
    }  # fmt: skip
    unwanted = {
        "etc/passwd", "opt/status", "a/PKG-INFO", "a/METADATA", "a/w.dist-info/RECORD", "a/.wh.q.egg-info", "a/t.jar",
        "gems/b.gemspec", "root/buildinfo/other", "usr/share/buildinfo/x.txt",
    }  # fmt: skip
    content = {path: File(APK if path.endswith("installed") else b"x" * 100) for path in wanted | unwanted}
    content["a/t.jar"] = File(b"tiny")
    _, layer = layer_of(tree({**content}))
    found = members(layer)
    assert wanted <= set(found)
    assert not unwanted & set(found)
    assert found["opt/db/status.d"].isdir()


def test_symlinks_lead_where_they_lead_in_one_step() -> None:
    """A chain of links becomes one link to the file itself; links to nothing in the layer are gone."""
    root = tree(
        {
            "etc": Link(b"conf"),
            "conf/os-release": Link(b"../a/b"),
            "a/b": Link(b"/x/../usr/lib/os-release"),
            "x/y": File(b""),
            "usr/lib/os-release": File(OS_RELEASE),
            "lib": Link(b"usr/lib"),
            "usr/lib/apk/db/installed": File(APK),
            "bin": Link(b"usr/bin"),
        }
    )
    facts, layer = layer_of(root)
    found = members(layer)
    assert found["conf/os-release"].linkname == "/usr/lib/os-release"
    assert found["etc"].linkname == "/conf"
    assert found["lib"].linkname == "/usr/lib"
    assert "bin" not in found
    assert facts.os_release.id == "debian"
    assert facts.managers == ("apk",)


def test_layer_carries_no_owner_time_or_mode() -> None:
    """Permissions, order and everything else that Clair does not read leave no trace."""
    first = layer_of(debian({"opt/x.egg-info": File(b"Name: x\n", mode=0o600)}))
    second = layer_of(debian({"opt/x.egg-info": File(b"Name: x\n", mode=0o755)}))
    assert first == second


@pytest.mark.parametrize("names", [["x" * 90, "y" * 90], ["z" * 250]])
def test_long_names_survive(names: list[str]) -> None:
    """Paths beyond a tar header's 100 bytes are read back the same."""
    path = "/".join(names) + "/a.egg-info"
    _, layer = layer_of(tree({path: File(b"Name: x\n")}))
    assert set(members(layer)) == {path}


def test_content_is_whole(tmp_path: Path) -> None:
    """Files of many blocks and of a tail are the bytes that went in."""
    data = os.urandom(700_001)
    _, layer = layer_of(tree({"opt/a.jar": File(data)}))
    with tarfile.open(fileobj=BytesIO(layer)) as archive:
        content = archive.extractfile("opt/a.jar")
        assert content is not None
        assert content.read() == data


def test_same_content_same_fingerprint(tmp_path: Path) -> None:
    """Whatever compression, file order or kind of image: one fingerprint, one layer."""
    root = on_disk(tmp_path / "tree")
    found = {"directory": extracted(root)}
    for compression in COMPRESSIONS:
        path = tmp_path / f"{compression}.sif"
        make_sif(root, path, compression)
        found[compression] = extracted(path)
    order = tmp_path / "order"
    order.write_text("opt/data/zeros.bin 100\nusr/bin/tool -100\n")
    variants = {
        "sorted": ("-sort", str(order)),
        "no fragments": ("-no-fragments",),
        "tails": ("-always-use-fragments",),
        "small blocks": ("-b", "4096"),
        "large blocks": ("-b", "1M"),
        "uncompressed": ("-noI", "-noD", "-noF"),
    }
    for name, options in variants.items():
        path = tmp_path / f"{name}.squashfs"
        make_squashfs(root, path, options=options)
        found[name] = extracted(path)
    assert len(set(found.values())) == 1, {name: each[0] for name, each in found.items()}


def test_bare_squashfs_of_old_runtimes_is_read(tmp_path: Path) -> None:
    """A squashfs at 0, or behind the shebang of a Singularity 2 image, gives what the SIF gives."""
    data = write(debian({"opt/a": File(bytes(4000))}))
    variants = {
        "plain": data,
        "shebang": b"#!/usr/bin/env run-singularity\n" + data,
    }
    found = set()
    for name, content in variants.items():
        (tmp_path / name).write_bytes(content)
        found.add(extracted(tmp_path / name))
    found.add(extracted(in_sif(tmp_path, debian({"opt/a": File(bytes(4000))}))))
    assert len(found) == 1


def test_layer_needs_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no temporary file can be made, the layer is kept in memory."""
    path = in_sif(tmp_path, debian())
    expected = extracted(path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert extracted(path) == expected


def test_reader_agrees_with_another_one(tmp_path: Path) -> None:
    """Every file of a tree has the names, sizes and bytes that PySquashfsImage finds."""
    from PySquashfsImage import SquashFsImage

    from sifgate.image.bounds import Bounds
    from sifgate.image.tree import Kind, walk

    image = tmp_path / "image"
    make_squashfs(on_disk(tmp_path / "tree"), image)
    ours = {}
    own = squashfs_of(image.read_bytes())
    for path, entries in walk(own, Bounds()):
        for name, entry in entries:
            if entry.kind is Kind.FILE:
                ours["/" + b"/".join((*path, name)).decode()] = b"".join(own.content(entry).chunks())
    with SquashFsImage.from_file(str(image)) as other:
        theirs = {each.path: each.read_bytes() for each in other if each.is_file}
    assert ours == theirs
