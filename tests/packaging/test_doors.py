# SPDX-License-Identifier: Apache-2.0
"""The packages of the doors: in place after installation, put back by triggers, taken away with the package."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.packaging.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.live]


def _install(machine: Machine, revision: int, *packages: str) -> str:
    names = " ".join(f"/share/{name}_*-{revision}+deb13_*.deb" for name in packages)
    return machine.run(f"dpkg --install {names}", seconds=90)


def test_wrapper_is_in_place_after_dpkg_and_after_upgrades(machine: Machine) -> None:
    """The package wraps Apptainer; Apptainer's own upgrade and the package's leave it wrapped; removal unwraps it."""
    real = machine.run("sha256sum </usr/bin/apptainer")
    _install(machine, 1, "sifgate-agent", "sifgate-wrapper")
    assert machine.run("sifgate wrapper status; cmp /usr/bin/apptainer /usr/libexec/sifgate/sifgate-wrapper")
    machine.run(
        "mkdir -p /tmp/u/usr/bin /tmp/u/DEBIAN && cp /usr/bin/apptainer.real /tmp/u/usr/bin/apptainer && "
        "dpkg-query --status apptainer | grep -v '^Status\\|^Conffiles\\|^ /etc\\|^Depends' | "
        "sed 's/^Version: .*/Version: 999/' >/tmp/u/DEBIAN/control && dpkg-deb -Znone --build /tmp/u /tmp/u.deb && "
        "dpkg --install --force-all /tmp/u.deb"
    )
    machine.run("cmp /usr/bin/apptainer /usr/libexec/sifgate/sifgate-wrapper")
    _install(machine, 2, "sifgate-wrapper")
    machine.run("cmp /usr/bin/apptainer /usr/libexec/sifgate/sifgate-wrapper")
    machine.run("dpkg --remove sifgate-wrapper")
    assert machine.run("sha256sum </usr/bin/apptainer") == real


def test_wrapper_that_was_taken_away_stays_away(machine: Machine) -> None:
    """What an administrator removed or disabled is not put back by an upgrade of the package."""
    _install(machine, 1, "sifgate-wrapper")
    machine.run("sifgate disable wrapper")
    _install(machine, 2, "sifgate-wrapper")
    machine.run("! cmp --silent /usr/bin/apptainer /usr/libexec/sifgate/sifgate-wrapper")
    machine.run("sifgate enable wrapper && cmp /usr/bin/apptainer /usr/libexec/sifgate/sifgate-wrapper")
    machine.run("sifgate wrapper remove")
    _install(machine, 1, "sifgate-wrapper")
    machine.run("! cmp --silent /usr/bin/apptainer /usr/libexec/sifgate/sifgate-wrapper")
    machine.run("dpkg --purge sifgate-wrapper")


def test_plugstack_line_is_written_by_the_package_and_gone_with_it(machine: Machine) -> None:
    """The line names the plugin of the installed series, is optional at first, kept as it is by upgrades."""
    machine.run(
        "mkdir -p /etc/slurm && printf 'ClusterName=m\\nSlurmctldHost=machine\\n' >/etc/slurm/slurm.conf"
    )
    said = _install(machine, 1, "sifgate-spank")
    line = machine.run("grep -rh sifgate.so /etc/slurm", check=False)
    assert re.match(r"optional\s+/usr/lib/sifgate/spank/24\.11/sifgate\.so", line), said + line
    machine.run("sifgate spank install --required")
    _install(machine, 2, "sifgate-spank")
    assert machine.run("grep -rh sifgate.so /etc/slurm").startswith("required")
    machine.run(
        "dpkg-trigger --by-package=slurmd --no-await /usr/sbin/slurmd && dpkg --triggers-only --pending"
    )
    assert machine.run("grep -rh sifgate.so /etc/slurm").startswith("required")
    machine.run("dpkg --remove sifgate-spank")
    assert "sifgate.so" not in machine.run("grep -rh sifgate.so /etc/slurm", check=False)


@pytest.mark.parametrize("named", [True, False])
def test_a_prolog_that_slurm_names_outlasts_its_package(machine: Machine, named: bool) -> None:  # noqa: FBT001 - a case
    """A node whose prolog is missing is drained: what stays ends with 0; nothing stays where nobody names it."""
    prolog = "/usr/libexec/sifgate/prolog"
    line = f"Prolog={prolog}" if named else "ClusterName=m"
    machine.run(f"mkdir -p /etc/slurm && echo {line} >/etc/slurm/slurm.conf")
    _install(machine, 1, "sifgate-hooks")
    machine.run(f"{prolog} && dpkg --purge sifgate-hooks")
    assert machine.run(f"test -e {prolog} && {prolog} && echo harmless", check=False) == (
        "harmless\n" if named else ""
    )
    machine.run(f"rm -rf {prolog} /etc/slurm/slurm.conf")


def test_broken_sifgate_breaks_no_dpkg(machine: Machine) -> None:
    """With the command line broken, doors' packages install, upgrade, are triggered and go: dpkg is content."""
    machine.run("mv /usr/bin/sifgate /tmp/away && printf '#!/bin/sh\\nexit 7\\n' >/usr/bin/sifgate")
    machine.run("chmod 755 /usr/bin/sifgate")
    _install(machine, 1, "sifgate-wrapper", "sifgate-spank", "sifgate-hooks")
    machine.run(
        "dpkg-trigger --by-package=apptainer --no-await /usr/bin/apptainer && dpkg --triggers-only --pending"
    )
    _install(machine, 2, "sifgate-wrapper", "sifgate-spank", "sifgate-hooks")
    machine.run("dpkg --purge sifgate-wrapper sifgate-spank sifgate-hooks && dpkg --audit")
    machine.run("mv /tmp/away /usr/bin/sifgate")


def test_packages_install_in_a_chroot_without_starting_anything(built: Path, tmp_path: Path) -> None:
    """In an image that is being prepared, agent and wrapper are in place, enabled, and nothing runs."""
    from testbed.rootfs import obtain_tree

    for name in ("upper", "overlay", "root"):
        (tmp_path / name).mkdir()
    script = f"""
set -e
root={tmp_path}/root
mount -t overlay overlay -o lowerdir={obtain_tree("node")},upperdir={tmp_path}/upper,workdir={tmp_path}/overlay $root
mount -t tmpfs tmpfs $root/tmp
mkdir -p $root/share
mount --bind {built} $root/share
mount -t proc proc $root/proc
mount --rbind /dev $root/dev
chroot $root dpkg --install $(cd {built} && printf '/share/%s ' sifgate-{{agent,wrapper,hooks}}_*-1+deb13_*.deb)
chroot $root cmp /usr/bin/apptainer /usr/libexec/sifgate/sifgate-wrapper
test -L $root/etc/systemd/system/sockets.target.wants/sifgate-agent.socket
test ! -S $root/run/sifgate/agent.sock
ls /proc | grep -c '^[0-9]*$'
"""
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--",
                           "bash", "-c", script], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
