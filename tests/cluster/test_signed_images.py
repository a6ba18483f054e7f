# SPDX-License-Identifier: Apache-2.0
"""Images signed by a real `apptainer sign`, judged by us and by `apptainer verify`: both must say the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pysequoia
import pytest
from testbed import sif
from testbed.images import obtain_image
from testbed.rootfs import obtain_tree

from sifgate.image.worker import read_facts

pytestmark = pytest.mark.cluster
ENTER = (
    'mount --bind "$1" "$2/mnt" && mount -t tmpfs tmpfs "$2/root" && '
    'exec chroot "$2" /usr/bin/env -i HOME=/mnt PATH=/usr/bin:/bin sh -c "$3"'
)
Apptainer = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def apptainer(tmp_path: Path) -> Apptainer:
    """Return a function that runs shell words in the node's root tree, with the test's directory at /mnt."""
    tree = obtain_tree("node")

    def run(words: str) -> subprocess.CompletedProcess[str]:
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "enter"]
        return subprocess.run(
            [*command, str(tmp_path), str(tree), words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture
def signed(tmp_path: Path, apptainer: Apptainer) -> Path:
    """Return an image that a new key has signed; the key is exported beside it."""
    path = tmp_path / "x.sif"
    shutil.copyfile(obtain_image("bullseye-kev.sif"), path)
    done = apptainer(
        'printf "n\\n" | apptainer key newpair --name Site --email s@site.example --comment "" --password ""'
        " && apptainer sign -k 0 /mnt/x.sif && echo 0 | apptainer key export /mnt/site.asc"
    )
    assert (tmp_path / "site.asc").exists(), done.stderr
    return path


def signers(path: Path) -> tuple[str, ...]:
    """Return whom we find, with the exported key as the site's ring."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = read_facts(descriptor, ("signers",), ring=path.with_name("site.asc").read_bytes()).signers
    finally:
        os.close(descriptor)
    assert found is not None
    return tuple(signer.fingerprint for signer in found)


def test_image_signed_by_apptainer_is_signed(signed: Path, apptainer: Apptainer) -> None:
    """The real program's signature, by its real key."""
    (key,) = pysequoia.Cert.split_bytes(signed.with_name("site.asc").read_bytes())
    assert apptainer("apptainer verify --local /mnt/x.sif").returncode == 0
    assert signers(signed) == (key.fingerprint.upper(),)


@pytest.mark.parametrize("change", ["content", "name", "object"])
def test_changed_image_fails_here_as_with_apptainer(signed: Path, apptainer: Apptainer, change: str) -> None:
    """A byte of the file system, a byte of a descriptor, and an object that came later."""
    if change == "object":
        (signed.parent / "added").write_text("{}")
        apptainer("apptainer sif add --datatype 6 --groupid 1 --filename added /mnt/x.sif /mnt/added")
    else:
        data = bytearray(signed.read_bytes())
        offset = sif.DESCRIPTOR.unpack_from(data, sif.TABLE_OFFSET)[5] + 5000
        data[sif.TABLE_OFFSET + 75 if change == "name" else offset] ^= 1
        signed.write_bytes(data)
    assert apptainer("apptainer verify --local /mnt/x.sif").returncode != 0
    assert signers(signed) == ()
