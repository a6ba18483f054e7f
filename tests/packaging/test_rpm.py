# SPDX-License-Identifier: Apache-2.0
"""The rpm packages: what they need and own; installed, upgraded and removed by rpm in a chroot."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from testbed.rootfs import obtain_tree

pytestmark = [pytest.mark.root, pytest.mark.live]

SPEC = """\
Name: apptainer
Version: 999
Release: 1
Summary: stands for the runtime's own package
License: none
AutoReqProv: no
%define __os_install_post %{nil}
%description
x
%install
mkdir -p %{buildroot}/usr/bin
install -m 0755 /bin/true %{buildroot}/usr/bin/apptainer
%files
/usr/bin/apptainer
"""


def _asked(built: Path, name: str, *words: str) -> str:
    package = next(built.glob(f"{name}-*.el.*.rpm"))
    return subprocess.run(["rpm", "--query", "--package", str(package), *words], capture_output=True, text=True,
                          check=True).stdout  # fmt: skip


def test_needs_and_triggers(built: Path) -> None:
    """The agent needs exactly its Python; wrapper and plugin are told of the programs that they belong to."""
    assert "/usr/bin/python3.13" in _asked(built, "sifgate-agent", "--requires")
    assert "libseccomp" in _asked(built, "sifgate-agent", "--requires")
    assert "sifgate-agent" in _asked(built, "sifgate-wrapper", "--requires")
    assert "/usr/bin/apptainer" in _asked(built, "sifgate-wrapper", "--filetriggers")
    assert "/usr/sbin/slurmd" in _asked(built, "sifgate-spank", "--filetriggers")


def test_files_belong_to_root_and_to_one_package(built: Path) -> None:
    """Every file is root's, writable by root alone, and in one package; directories of others are not owned."""
    seen: dict[str, str] = {}
    for package in sorted(built.glob("*.el.*.rpm")):
        form = "[%{FILENAMES}\\t%{FILEMODES:perms}\\t%{FILEUSERNAME}\\n]"
        words = ["rpm", "-qp", "--queryformat", form, str(package)]
        for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines():
            place, mode, owner = line.split("\t")
            assert owner == "root"
            assert mode.startswith("l") or mode[5] == mode[8] == "-", line
            if not mode.startswith("d"):
                assert place not in seen, (place, package.name, seen.get(place))
                seen[place] = package.name
            else:
                assert "sifgate" in place, f"{package.name} owns {place}"
    assert "/usr/lib/systemd/system/sifgate-agent.service" in seen


def test_rpm_installs_triggers_and_removes(built: Path, tmp_path: Path) -> None:
    """With rpm alone: users, settings, copy are there; the runtime is wrapped whenever rpm writes it, then itself."""
    spec = tmp_path / "apptainer.spec"
    spec.write_text(SPEC)
    subprocess.run(["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {tmp_path}/rpm", str(spec)],
                   check=True, capture_output=True)  # fmt: skip
    runtime = next((tmp_path / "rpm").rglob("apptainer-999*.rpm"))
    for name in ("upper", "overlay", "root"):
        (tmp_path / name).mkdir()
    script = f"""
set -e
root={tmp_path}/root
mount -t overlay overlay -o lowerdir={obtain_tree("node")},upperdir={tmp_path}/upper,workdir={tmp_path}/overlay $root
mount -t tmpfs tmpfs $root/tmp
mount -t proc proc $root/proc
mount --rbind /dev $root/dev
cd $root/usr/bin
rm -rf dpkg* ../../var/lib/dpkg deb-systemd-* apptainer singularity
rpm="rpm --root $root --dbpath /var/lib/rpm"
$rpm --initdb
rpm="$rpm --nodeps"
is_wrapped() {{ cmp $root/usr/bin/apptainer $root/usr/libexec/sifgate/sifgate-wrapper; }}
$rpm --install {built}/sifgate-agent-*.rpm {built}/sifgate-wrapper-*.rpm
test -s $root/etc/sifgate/policy.yaml
grep -q sifgate-scan $root/etc/passwd
test -L $root/usr/lib/sifgate/live/agent
echo '# site' >>$root/etc/sifgate/policy.yaml
$rpm --install {runtime}
is_wrapped
$rpm --upgrade --force {runtime}
is_wrapped
$rpm --upgrade --force {built}/sifgate-agent-*.rpm {built}/sifgate-wrapper-*.rpm
is_wrapped
grep -q '# site' $root/etc/sifgate/policy.yaml
chroot $root sifgate wrapper status
$rpm --erase sifgate-wrapper
cmp $root/usr/bin/apptainer /bin/true
$rpm --erase sifgate-agent
test -s $root/etc/sifgate/policy.yaml
test ! -e $root/usr/lib/sifgate
"""
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--",
                           "bash", "-c", script], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
