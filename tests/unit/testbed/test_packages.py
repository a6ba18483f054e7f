# SPDX-License-Identifier: Apache-2.0
"""Host programs: what is missing is named, and installed only where that is allowed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from testbed import packages
from testbed.errors import MissingPackages


@pytest.fixture
def empty_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let no program be found; return the directory that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packages, "SYSTEM_PATHS", ())
    return tmp_path


def test_missing_packages_are_named(empty_host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SIFGATE_APT=0 nothing is installed, and the error names every package once."""
    monkeypatch.setenv("SIFGATE_APT", "0")
    with pytest.raises(MissingPackages) as caught:
        packages.require("rpm", "mksquashfs", "rpmbuild")
    assert caught.value.packages == ("rpm", "squashfs-tools")
    assert "SIFGATE_APT=0" in str(caught.value)


def test_present_programs_need_nothing(empty_host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all programs are found, neither root nor apt-get is asked for."""
    monkeypatch.setenv("SIFGATE_APT", "0")
    program = empty_host / "mksquashfs"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    packages.require("mksquashfs")


def test_host_without_apt_is_told_so(empty_host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another distribution, the packages are still named."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(MissingPackages, match=r"squashfs-tools \(this host has no apt-get"):
        packages.require("mksquashfs")


def test_users_install_nothing(empty_host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root gets the names."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingPackages, match="only root"):
        packages.require("mksquashfs")


APT = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *update*) exit 0 ;; esac
grep -q update {log} || exit 100
printf '#!/bin/sh\\n' > {program}
/bin/chmod 755 {program}
"""


def test_failed_install_is_tried_again_after_an_update(
    empty_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fresh machines have no package lists: the install fails, the lists are fetched, the install works."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    log = empty_host / "log"
    apt = empty_host / "apt-get"
    apt.write_text(APT.format(log=log, program=empty_host / "mksquashfs").replace("grep", "/bin/grep"))
    apt.chmod(0o755)
    packages.require("mksquashfs")
    verbs = [line.split()[2] for line in log.read_text().splitlines()]
    assert verbs == ["install", "update", "install"]


def test_optional_packages_only_warn() -> None:
    """`make test` goes on without them: the tests that need them are skipped."""
    words = [sys.executable, "-m", "testbed", "packages", "--optional", "rpm", "mksquashfs"]
    environment = {"PATH": "/nonexistent", "SIFGATE_APT": "0", "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert not done.stderr or "SIFGATE_APT=0" in done.stderr
