# SPDX-License-Identifier: Apache-2.0
"""The offline bundle on a machine without network: checked, installed, and its wheels resolved."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cache import cache_root, key_of, obtain
from testbed.images import obtain_image
from tests.packaging.machine import Machine, booted

from sifpack import bundle
from sifpack.python import SOURCE, build_wheel
from sifpack.series import SERIES

pytestmark = [pytest.mark.root, pytest.mark.live, pytest.mark.engine]

RECIPE = "1"


@pytest.fixture(scope="module")
def archive(built: Path) -> Path:
    """Return the bundle's archive for trixie, with packages of this clone."""

    def make(work: Path) -> None:
        wheel = build_wheel(work, sdist=False)
        mapping = work / "mapping.json"
        mapping.write_text('{"data": {}}')
        packages = sorted(built.glob("*-1+deb13_*.deb"))
        content = bundle.Content(packages, wheel, [SERIES["trixie"]], cache_root(), mapping=mapping)
        bundle.assemble(work, content)
        for left in (path for path in work.iterdir() if path.suffix != ".zst"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    recipe = [
        (SOURCE / "packaging" / name).read_bytes() for name in ("offline/install.sh", "sifpack/bundle.py")
    ]
    entry = obtain("bundle", "trixie", key_of(RECIPE, built.name, *recipe), make)
    for old in (path for path in entry.parent.iterdir() if path != entry):
        shutil.rmtree(old)
    return next(entry.glob("*.tar.zst"))


@pytest.fixture(scope="module")
def offline(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Boot a machine with nothing but the bundle, unpacked, and loopback."""
    with booted(tmp_path_factory.mktemp("offline")) as machine:
        subprocess.run(
            ["tar", "--extract", "--file", str(archive), "--directory", str(machine.share)], check=True
        )
        next(machine.share.iterdir()).rename(machine.share / "bundle")
        yield machine


def test_bundle_installs_a_node_without_network(offline: Machine) -> None:
    """`install.sh node` alone brings agent, wrapper, hooks and, as the host has Slurm, the plugin."""
    said = offline.run("ip -brief link; sh /share/bundle/install.sh node", seconds=120)
    assert said.startswith("lo ")
    offline.until("systemctl is-active sifgate-agent.service")
    found = offline.run("dpkg-query --show --showformat='${Package} ' 'sifgate-*'").split()
    assert {"sifgate-agent", "sifgate-wrapper", "sifgate-hooks", "sifgate-spank"} <= set(found)
    offline.run("cmp /usr/bin/apptainer /usr/libexec/sifgate/sifgate-wrapper")


def test_damaged_bundle_installs_nothing(offline: Machine) -> None:
    """One changed byte is found before anything is touched; wrong usage is told."""
    offline.run("sh /share/bundle/install.sh check")
    offline.run("cd /share/bundle && cp SHA256SUMS /tmp/kept && echo x >>mapping/repository-to-cpe.json")
    assert "damaged" in offline.run("sh /share/bundle/install.sh node", check=False)
    offline.run("cd /share/bundle && printf '{\"data\": {}}' >mapping/repository-to-cpe.json")
    offline.run("sh /share/bundle/install.sh check")
    assert "roles:" in offline.run("sh /share/bundle/install.sh everything", check=False)


def test_single_machine_judges_without_network(offline: Machine) -> None:
    """`install.sh server` and one unit: PostgreSQL, the bundle's Clair and server are up, an image gets a verdict."""
    offline.run("sh /share/bundle/install.sh server", seconds=120)
    assert not offline.run("find /var/cache/sifgate -name '*.go'")
    shutil.copyfile(obtain_image("bullseye-kev.sif"), offline.share / "kev.sif")
    offline.run("systemctl start sifgate-engine.service")
    offline.until("sifgate status | grep 'sifgate: up'", seconds=90)
    offline.until("sifgate status | grep 'server.url *https'")
    told = offline.run("sifgate scan --wait 60 --format json /share/kev.sif", seconds=90)
    assert "CVE-2025-48384" in told
    clair = offline.run("readlink /proc/$(pgrep --exact clair)/exe").strip()
    digest = offline.run(f"sha256sum {clair} /share/bundle/clair/*/clair").split()
    assert digest[0] == digest[2]
    offline.run("systemctl stop sifgate-engine.service")
    assert not offline.run("pgrep --list-full 'clair|postgres'", check=False)


def test_wheels_resolve_without_network(offline: Machine) -> None:
    """Everything that server and engine need is among the wheels, for the distribution's Python."""
    wheels = offline.share / "bundle/wheels/3.13"
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-index",
             "--find-links", str(wheels), "--only-binary", ":all:", "--python-version", "3.13", "--implementation",
             "cp", "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_17_x86_64", "--platform",
             "manylinux2014_x86_64", "--platform", "manylinux_2_12_x86_64", "--platform", "manylinux2010_x86_64",
             "--platform", "manylinux_2_5_x86_64", "--platform", "manylinux1_x86_64",
             "-d", str(offline.share / "resolved"), "sifgate[server,engine,report]"]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((offline.share / "resolved").glob("*.whl"))) > 30
